"""`python -m tests.end_to_end.recorder FILE`: one more consumer; it writes down each record that it sees.

Any number of them share FILE: a line is one write to its end, so the order of its lines is the order of seeing.
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
from events.wire import decode
from foundation.clock import uninterrupted_wait
from foundation.diagnostics import json_lines
from foundation.kinesis.records import Batch, Position, SequenceNumber, StreamPosition
from takeaway.commands.options import stop_on_signal
from takeaway.stack.environment import resolved

RECORDER = "recorder"
SECONDS_A_RECORD = 0.005
_PAUSE = uninterrupted_wait()


class Seen(NamedTuple):
    """A record as a worker saw it. `number` is text: as an integer it is too long for JSON."""

    worker: int
    order_id: str
    shard_id: str
    number: str
    sub: int

    @property
    def place(self) -> StreamPosition:
        return self.shard_id, SequenceNumber(self.number, self.sub)


class Recorder:
    """Writes down, and is done with, every record it is given. Takes its time, so that shards read at once are seen."""

    def __init__(self, file: int, assignment: ShardAssignment) -> None:
        self._file = file
        self._shard_id = assignment.shard_id
        self.resume_after: Position = assignment.checkpoint

    def process(self, batch: Batch) -> Progress:
        for record in batch.records:
            place = record.sequence_number
            saw = Seen(os.getpid(), decode(record.data).order_id, self._shard_id, place.number, place.sub)
            os.write(self._file, msgspec.json.encode(saw) + b"\n")
            _PAUSE(SECONDS_A_RECORD)
            self.resume_after = place
        return Progress(self.resume_after)

    def flush(self) -> Progress:
        return Progress(self.resume_after)


def seen(file: Path) -> Iterator[Seen]:
    """Every record that was seen, repeats included."""
    for line in file.read_bytes().splitlines():
        yield msgspec.json.decode(line, type=Seen)


def recorders(*_: object) -> ProcessorFactory:
    file = os.open(sys.argv[1], os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    def factory(assignment: ShardAssignment) -> RecordProcessor:
        return Recorder(file, assignment)

    return factory


def main() -> None:
    CONSUMERS[RECORDER] = ConsumerSpec(
        part=RECORDER, build="tests.end_to_end.recorder:recorders", reads_per_second=1.75
    )
    assembly.worker(RECORDER, resolved(), json_lines(RECORDER)).run(stop_on_signal())


if __name__ == "__main__":
    main()
