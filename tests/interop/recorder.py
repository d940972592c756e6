"""`python -m tests.interop.recorder worker|kcl`: a consumer that writes down each record it sees, under either engine.

Any number of them share a file: a line is one write to its end, so the order of its lines is the order of seeing.
"""

import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec

from consumers.engines.kcl import daemon as kcl_daemon
from consumers.engines.kcl.child import DaemonLine
from consumers.engines.kcl.daemon import DaemonSettings
from consumers.engines.worker.settings import WorkerSettings
from consumers.engines.worker.worker import Worker
from consumers.processing import ProcessorFactory, Progress, RecordFailure, RecordProcessor, ShardAssignment, ShardStop
from foundation import aws
from foundation.clock import SYSTEM_CLOCK
from foundation.diagnostics import json_lines
from foundation.kinesis.records import Batch, Position, Record
from foundation.settings import from_environment
from takeaway.commands.options import stop_on_signal
from takeaway.local import aws as local_aws
from takeaway.local import kcl

# The user record of an aggregate that a recorder told to hold does not get past.
HELD_AT_SUB = 37

WORKER, KCL, CHILD = "worker", "kcl", "child"
_BATCH_RECORDS = 1000


@dataclass(frozen=True)
class RecorderSettings:
    """Each field is the variable TAKEAWAY_<FIELD>. One that is to hold does so after so many records of a shard.

    The KCL `tuned` looks at the shards more often than it would, and so starts about a minute sooner.
    """

    stream: str
    application: str
    file: str
    home: str
    hold_after: int | None = None
    hold_for_good: bool = False
    failover_seconds: float = 2.0
    fleet: str = "own"
    tuned: bool = True


class Seen(msgspec.Struct, frozen=True):
    """A record as a process saw it, or the record that it `held` at and so did not get past."""

    engine: str
    shard_id: str
    number: str
    sub: int
    data: str
    held: bool = False


class Recorder:
    """Writes down, and is done with, every record. One that holds has a broken world, or is a bad deployment."""

    def __init__(self, engine: str, settings: RecorderSettings, file: int, assignment: ShardAssignment) -> None:
        self._engine = engine
        self._hold_after = settings.hold_after
        self._error: Exception = ShardStop("held") if settings.hold_for_good else OSError("held")
        self._file = file
        self._shard_id = assignment.shard_id
        self._seen = 0
        self.resume_after: Position = assignment.checkpoint

    def process(self, batch: Batch) -> Progress:
        for record in batch.records:
            hold = self._hold_after is not None and self._seen >= self._hold_after and record.sub == HELD_AT_SUB
            self._write(record, held=hold)
            if hold:
                return Progress(self.resume_after, RecordFailure(record.sequence_number, self._error))
            self._seen += 1
            self.resume_after = record.sequence_number
        return Progress(self.resume_after)

    def flush(self) -> Progress:
        return Progress(self.resume_after)

    def _write(self, record: Record, *, held: bool) -> None:
        seen = Seen(self._engine, self._shard_id, record.number, record.sub, record.data.decode(), held)
        os.write(self._file, msgspec.json.encode(seen) + b"\n")


def seen(file: Path) -> Iterator[Seen]:
    """Every line that is whole, repeats included."""
    for line in file.read_bytes().splitlines(keepends=True) if file.exists() else ():
        if line.endswith(b"\n"):
            yield msgspec.json.decode(line, type=Seen)


def _factory(engine: str, settings: RecorderSettings) -> ProcessorFactory:
    file = os.open(settings.file, os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    def factory(assignment: ShardAssignment) -> RecordProcessor:
        return Recorder(engine, settings, file, assignment)

    return factory


def _work(settings: RecorderSettings) -> None:
    worker = Worker(
        WorkerSettings(
            application=settings.application,
            stream=settings.stream,
            failover_seconds=settings.failover_seconds,
            reads_per_second=4,
            batch_records=_BATCH_RECORDS,
            fleet="kcl" if settings.fleet == "kcl" else "own",
        ),
        kinesis=aws.client("kinesis", os.environ),
        dynamodb=aws.client("dynamodb", os.environ),
        factory=_factory(WORKER, settings),
        clock=SYSTEM_CLOCK,
        emit=json_lines(WORKER),
    )
    worker.run(stop_on_signal())


def _daemon(settings: RecorderSettings) -> int:
    daemon = DaemonSettings(
        application=settings.application,
        stream=settings.stream,
        child=("tests.interop.recorder", CHILD),
        region=local_aws.REGION,
        endpoints=kcl_daemon.endpoints(os.environ),
        failover_seconds=settings.failover_seconds,
        reads_per_second=4,
    )
    properties = {**daemon.properties(), **({"shardSyncIntervalMillis": "1000"} if settings.tuned else {})}
    return kcl.run_kcl(properties, Path(settings.home), os.environ, stop_on_signal().wait)


def _child(settings: RecorderSettings) -> None:
    line = DaemonLine.taken()
    factory = _factory(KCL, settings)
    line.serve(settings.stream, factory, json_lines(KCL), batch_records=_BATCH_RECORDS, is_gone=lambda _: False)


def main() -> None:
    settings = from_environment(RecorderSettings, os.environ)
    if sys.argv[1] == CHILD:
        _child(settings)
    elif sys.argv[1] == KCL:
        sys.exit(_daemon(settings))
    else:
        _work(settings)


if __name__ == "__main__":
    main()
