"""What a processor is, and how it answers. Engines and processors know each other by these names only."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from enum import Enum, auto
from typing import Protocol

from foundation.diagnostics import PlainlyTold
from foundation.kinesis import Batch, Position, name_anew, position_key


class Unprocessable(Exception):
    """This record can never be processed as things are: set it apart, whole, and move on."""


class Unavailable(Exception):
    """A service that a step needs does not do its work at present; the record is not to blame.

    What the service itself said, as its cause, may still be held against the record when others fare better.
    """


class AllMustWait(Unavailable):
    """No record can be handled at present, whichever it is, so no other one is tried meanwhile."""


class Standstill(PlainlyTold):
    """Our own code fails on every record: a bad deployment. Nothing is set apart, and the shard stands.

    After each pause another record is tried; when that works, the shard goes on by itself.
    """


class ShardStop(PlainlyTold):
    """A processor must not go on, whatever else works. The shard stops loudly, and nothing is lost.

    Its lease is kept, the record is tried again only minutes later. Raised by a processor, or given as a failure's
    error when records before it were done.
    """


class Pace(Enum):
    """How an engine goes on behind a failure.

    STILL: it waits, and gives the records again from the failed one on. In the other two the processor keeps what
    failed and tries it again by itself. SLOW: the engine waits, and gives what follows. FULL: it gives that at once.
    """

    STILL = auto()
    SLOW = auto()
    FULL = auto()


@dataclass(frozen=True)
class RecordFailure:
    """The first record that is not done, why, whose fault that is in words, and how to go on.

    Where it is no record's, `at` is the place behind which nothing is done.
    """

    at: Position
    error: Exception
    pace: Pace = Pace.STILL
    verdict: str | None = None


@dataclass(frozen=True)
class Progress:
    """A processor's answer: safe to resume after *this*; stopped by *that*, or by nothing.

    `resume_after` may lag behind the batch, when rows wait for a file. It never runs ahead of a finished effect.
    """

    resume_after: Position
    failure: RecordFailure | None = None


@dataclass(frozen=True)
class Trouble:
    """Why a shard does not get on, in words without customers' data, and since when.

    `stopped`: its processor refuses to go on. Otherwise it is tried again and again.
    """

    error: str
    since: datetime
    stopped: bool = False


@dataclass(frozen=True)
class ShardAssignment:
    """A shard that an engine is about to feed, and the checkpoint it found for it.

    `creation` says which of the streams of this name it is of, where the engine knows; `made_anew` that the consumer
    has read an earlier one.
    """

    stream: str
    shard_id: str
    checkpoint: Position
    creation: str | None = None
    made_anew: bool = False

    @property
    def shard_name(self) -> str:
        """The shard's name among those of all streams of this name."""
        return name_anew(self.shard_id, self.creation) if self.made_anew and self.creation else self.shard_id


class RecordProcessor(Protocol):
    """Processes one shard, from one thread at a time. Its state belongs to that shard."""

    @property
    def resume_after(self) -> Position:
        """Where reading has to begin: the checkpoint, or the processor's own record of what is done."""

    def process(self, batch: Batch) -> Progress:
        """Takes the next records. Called with an empty batch on idle reads, so that time can pass for it too.

        After a failure the engine goes on as the failure's pace says. An empty batch after SHARD_END says that the
        shard is gone, with whatever it held behind the batch before.
        """

    def flush(self) -> Progress:
        """Finishes what waits: at the shard's end, and before the shard is let go."""


ProcessorFactory = Callable[[ShardAssignment], RecordProcessor]


def rest_from(batch: Batch, failure: RecordFailure) -> Batch:
    """What is left of the batch from the failed record on: all of it when that came with an earlier one.

    Raises `ValueError` where it is behind the batch.
    """
    done = sum(1 for record in batch.records if position_key(record.sequence_number) < position_key(failure.at))
    if not done:
        return batch
    if done == len(batch.records):
        raise ValueError(
            f"{batch.shard_id}: the processor failed at {failure.at}, which is behind the batch it was given. "
            "fix: name a record of the batch"
        ) from failure.error
    return replace(batch, after=batch.records[done - 1].sequence_number, records=batch.records[done:])
