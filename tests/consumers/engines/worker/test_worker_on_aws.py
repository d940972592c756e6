"""The worker with real threads and clocks on the embedded AWS: the wiring of time, threads and clients is true."""

import threading
import uuid
from typing import Any

import pytest

from consumers.engines.worker.settings import Retrieval, WorkerSettings
from consumers.engines.worker.worker import Worker
from consumers.processing import Progress, ShardAssignment
from foundation.clock import SYSTEM_CLOCK
from foundation.diagnostics import Diagnostic
from foundation.kinesis.records import Batch, Position


class Collector:
    """Collects what it is given; `wanted` records set its event."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.wanted = 0
        self.enough = threading.Event()

    def processor(self, assignment: ShardAssignment) -> "Collecting":
        return Collecting(self, assignment.checkpoint)


class Collecting:
    def __init__(self, collector: Collector, checkpoint: Position) -> None:
        self._collector = collector
        self.resume_after = checkpoint

    def process(self, batch: Batch) -> Progress:
        for record in batch.records:
            self._collector.texts.append(record.data.decode())
            self.resume_after = record.sequence_number
        if len(self._collector.texts) >= self._collector.wanted:
            self._collector.enough.set()
        return self.flush()

    def flush(self) -> Progress:
        return Progress(self.resume_after)


@pytest.mark.local_aws
@pytest.mark.parametrize("retrieval", ["polling", "fan_out"])
def test_records_go_through_once_and_a_restart_keeps_its_place(local_aws: Any, retrieval: Retrieval) -> None:
    kinesis, dynamodb = local_aws.client("kinesis"), local_aws.client("dynamodb")
    name = f"worker-{uuid.uuid4().hex[:12]}"
    kinesis.create_stream(StreamName=name, ShardCount=2)
    kinesis.get_waiter("stream_exists").wait(StreamName=name)
    collector = Collector()
    happened: list[Diagnostic] = []

    def put(count: int) -> None:
        records = [{"Data": f"{count}-{n}".encode(), "PartitionKey": f"order-{n}"} for n in range(count)]
        assert kinesis.put_records(StreamName=name, Records=records)["FailedRecordCount"] == 0

    def work_until(wanted: int) -> None:
        collector.wanted = wanted
        collector.enough.clear()
        settings = WorkerSettings(
            application=name, stream=name, failover_seconds=5.0, reads_per_second=5, retrieval=retrieval
        )
        worker = Worker(
            settings,
            kinesis=kinesis,
            dynamodb=dynamodb,
            factory=collector.processor,
            clock=SYSTEM_CLOCK,
            emit=happened.append,
        )
        stop = threading.Event()
        thread = threading.Thread(target=worker.run, args=(stop,))
        thread.start()
        assert collector.enough.wait(20), happened
        stop.set()
        thread.join(20)
        assert not thread.is_alive()

    put(30)
    work_until(30)
    put(20)
    work_until(50)
    assert sorted(collector.texts) == sorted([f"30-{n}" for n in range(30)] + [f"20-{n}" for n in range(20)])
    rows = dynamodb.scan(TableName=name)["Items"]
    assert len(rows) == 2
    assert all("leaseOwner" not in row for row in rows)
    kinesis.close()
    dynamodb.close()
