"""Our side of the reading race: `python -m tests.benchmarks.consume_ours STREAM N`. Prints one line of JSON.

The very classes that the demo runs: a lease for each shard, kept in memory, its worker in a thread, its reader.
"""

import gc
import json
import sys
import threading
import time

import boto3
from botocore.config import Config

from consumers.engines.health import ShardHealth
from consumers.engines.worker.leases.keeper import HeldLease
from consumers.engines.worker.leases.lease import Lease
from consumers.engines.worker.leases.table import LeaseTable
from consumers.engines.worker.reading.cursor import ShardCursor
from consumers.engines.worker.reading.polling import ShardReader
from consumers.engines.worker.settings import WorkerSettings
from consumers.engines.worker.shard_worker import ShardWorker
from consumers.processing import Progress, ShardAssignment
from foundation.clock import SYSTEM_CLOCK
from foundation.diagnostics import Diagnostic
from foundation.kinesis.get_records import decoding
from foundation.kinesis.limits import READS_PER_SECOND
from foundation.kinesis.records import Batch, Position, Sentinel
from foundation.kinesis.shards import listed_shards
from tests.benchmarks.order_events import differences, order_events
from tests.support.fakes.clock import FakeClock
from tests.support.fakes.leases import FakeDynamoDB


class Collector:
    """A processor that keeps what it is given, and ends its shard's thread at the tip."""

    def __init__(self, assignment: ShardAssignment, held: HeldLease) -> None:
        self._held = held
        self._done: Position = assignment.checkpoint
        self.got: list[bytes] = []

    @property
    def resume_after(self) -> Position:
        return self._done

    def process(self, batch: Batch) -> Progress:
        self.got += [record.data for record in batch.records]
        if batch.records:
            self._done = batch.records[-1].sequence_number
        elif batch.millis_behind_latest == 0:
            self._held.ending.set()
        return Progress(self._done)

    def flush(self) -> Progress:
        return Progress(self._done)


def drained(stream: str) -> tuple[list[bytes], float]:
    """Everything in the stream, and the seconds of CPU that took; like the peers, without a pause between reads."""
    kinesis = decoding(boto3.client("kinesis", config=Config(max_pool_connections=16)))
    table = LeaseTable(FakeDynamoDB().client, "race", "worker-1")
    table.create(FakeClock().wait)
    settings = WorkerSettings("race", stream, reads_per_second=READS_PER_SECOND)
    happened: list[Diagnostic] = []
    collectors: list[Collector] = []
    gc.collect()
    before = time.process_time()

    def thread(shard_id: str) -> threading.Thread:
        lease = Lease(shard_id, Sentinel.TRIM_HORIZON)
        table.add(lease)
        taken = table.take(lease, SYSTEM_CLOCK.now())
        assert taken is not None
        held = HeldLease(
            table, taken, since=SYSTEM_CLOCK.monotonic(), clock=SYSTEM_CLOCK, failover=600, emit=happened.append
        )

        def factory(assignment: ShardAssignment) -> Collector:
            collectors.append(Collector(assignment, held))
            return collectors[-1]

        def at_once(_: float) -> bool:
            return held.ending.is_set()

        cursor = ShardCursor(settings, shard_id, taken.hash_keys, clock=SYSTEM_CLOCK, emit=happened.append)
        reader = ShardReader(kinesis, settings, cursor, clock=SYSTEM_CLOCK, wait=at_once, emit=happened.append)
        health = ShardHealth(shard_id, tell=held.note_trouble, clock=SYSTEM_CLOCK, emit=happened.append)
        worker = ShardWorker(held, reader, factory, lambda *_: frozenset(), settings, wait=at_once, health=health)
        return threading.Thread(target=worker.run, name=shard_id)

    threads = [thread(shard.shard_id) for shard in listed_shards(kinesis, stream)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    cpu = time.process_time() - before
    return [data for collector in collectors for data in collector.got], cpu


def main() -> None:
    stream, count = sys.argv[1], int(sys.argv[2])
    got, cpu = drained(stream)
    missing, extra = differences((data for _, data in order_events(count)), got)
    print(json.dumps({"cpu": cpu, "records": len(got), "missing": missing, "extra": extra}))  # noqa: T201


if __name__ == "__main__":
    main()
