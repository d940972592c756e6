"""`python -m tests.benchmarks.failover_worker FILE`: a consumer that writes down when it was given each record.

All on one machine share its monotonic clock, so the times of several processes can be compared.
"""

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import msgspec

from consumers import assembly
from consumers.processing import ProcessorFactory, Progress, RecordProcessor, ShardAssignment
from consumers.specs import CONSUMERS, ConsumerSpec
from foundation.clock import SYSTEM_CLOCK
from foundation.diagnostics import json_lines
from foundation.kinesis.records import Batch, Position
from takeaway.commands.options import stop_on_signal

CONSUMER = "failover"


class Given(NamedTuple):
    """A record, whom it was given to, and when by the machine's monotonic clock."""

    at: float
    worker: int
    shard_id: str
    text: str


class TimeKeeper:
    """Is done with a record when it is written down."""

    def __init__(self, file: int, assignment: ShardAssignment) -> None:
        self._file = file
        self._shard_id = assignment.shard_id
        self.resume_after: Position = assignment.checkpoint

    def process(self, batch: Batch) -> Progress:
        for record in batch.records:
            given = Given(SYSTEM_CLOCK.monotonic(), os.getpid(), self._shard_id, record.data.decode())
            os.write(self._file, msgspec.json.encode(given) + b"\n")
            self.resume_after = record.sequence_number
        return Progress(self.resume_after)

    def flush(self) -> Progress:
        return Progress(self.resume_after)


def given(file: Path) -> Iterator[Given]:
    """Every record that was given to anybody, repeats included."""
    for line in file.read_bytes().splitlines():
        yield msgspec.json.decode(line, type=Given)


def time_keepers(*_: object) -> ProcessorFactory:
    file = os.open(sys.argv[1], os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    def factory(assignment: ShardAssignment) -> RecordProcessor:
        return TimeKeeper(file, assignment)

    return factory


def main() -> None:
    build = "tests.benchmarks.failover_worker:time_keepers"
    CONSUMERS[CONSUMER] = ConsumerSpec(part=CONSUMER, build=build, reads_per_second=1.75)
    assembly.worker(CONSUMER, os.environ, json_lines(CONSUMER)).run(stop_on_signal())


if __name__ == "__main__":
    main()
