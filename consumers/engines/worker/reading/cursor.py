"""What reading a shard means, whichever way it is read: where to begin, what comes next, and what may be missing."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol

from consumers.diagnostics import AggregateDropped, PositionRefused, ReadFailed, RecordsTrimmed, ShardGone
from consumers.engines.worker.leases import position_text
from consumers.engines.worker.settings import WorkerSettings
from consumers.processing import ShardStop
from foundation.clock import Clock, Moment
from foundation.diagnostics import Diagnostic, Emit
from foundation.error_codes import error_code
from foundation.kinesis import (
    SURELY_RETAINED,
    Batch,
    HashKeyRange,
    Position,
    Record,
    Sentinel,
    SequenceNumber,
    Shard,
    is_gone,
    position_key,
)
from foundation.kinesis.deaggregation import any_packed, unpack

if TYPE_CHECKING:
    from mypy_boto3_kinesis import KinesisClient

# What Kinesis answers where the stream, the shard or the consumer is not there.
NOT_THERE = "ResourceNotFoundException"
# And where a number is none of the shard's.
_REFUSED = "InvalidArgumentException"


@dataclass(frozen=True)
class EndOfShard:
    """Everything was delivered. `children` as Kinesis names them, since some services name none; `gone` when the
    shard vanished before its end.
    """

    children: tuple[Shard, ...] = ()
    gone: bool = False


class BatchReader(Protocol):
    """Hands out a shard's batches; `position` is the last record handed out, or where reading began.

    Errors of Kinesis are waited out, however long they last, and never skip a record. A wait that is cut short ends
    the batches; `end` is set when the shard itself has ended. `gap` is the last position that is no record's own.
    """

    end: EndOfShard | None

    @property
    def position(self) -> Position: ...

    @property
    def gap(self) -> Position | None: ...

    def batches(self, after: Position) -> Iterator[Batch]:
        """Every record behind `after`, then new ones as they come; an empty batch when there are none."""
        ...


@dataclass(frozen=True)
class Start:
    """Where to ask Kinesis to begin, by its own names for it."""

    kind: str
    number: str | None = None
    timestamp: datetime | None = None

    def parameters(self, kind: str, number: str) -> dict[str, Any]:
        """For an operation that has these names for the two."""
        parts = {kind: self.kind, number: self.number, "Timestamp": self.timestamp}
        return {name: part for name, part in parts.items() if part is not None}


class ShardCursor:
    """A reader's place in its shard: it turns what Kinesis delivers into the next batch.

    `latest_since` is when this application first asked for LATEST here: what came later is its own, crash or not.
    """

    def __init__(
        self,
        settings: WorkerSettings,
        shard_id: str,
        hash_keys: HashKeyRange | None,
        latest_since: datetime | None = None,
        *,
        clock: Clock,
        emit: Emit,
    ) -> None:
        self._settings = settings
        self.shard_id = shard_id
        self._hash_keys = hash_keys
        self._latest_since = latest_since
        self._clock = clock
        self._emit = emit
        # The last record that Kinesis delivered, as it lies in the shard: aggregated ones count as one.
        self._delivered: Position = settings.start
        # Nothing that came until then lies behind the position.
        self._tip: tuple[Position, Moment] | None = None
        self._resumes = False
        self.position: Position = settings.start
        self.gap: Position | None = None

    def begin(self, after: Position) -> None:
        if self._tip is not None and position_key(after) < position_key(self._tip[0]):
            self._tip = None  # some of what was read up to then is to be read again
        self.position = self._delivered = after

    def end_of_gone(self, kinesis: "KinesisClient") -> EndOfShard | None:
        """Asked when Kinesis knows something no more: the end of the shard, which is told, or None if it is there."""
        if not is_gone(kinesis, self._settings.stream, self.shard_id):
            return None
        self._emit(ShardGone(self.shard_id, position_text(self.position)))
        return EndOfShard(gone=True)

    def failure(self, error: Exception, pause: float) -> Diagnostic:
        """What to tell of a read that failed."""
        if error_code(error) == _REFUSED and isinstance(self._delivered, SequenceNumber):
            return PositionRefused(self.shard_id, error, pause, position_text(self._delivered))
        return ReadFailed(self.shard_id, error, pause)

    def start(self, continuation: str | None = None) -> Start:
        """AT the last record delivered, and not AFTER it: the rest of a half processed aggregate is still to come.

        `continuation` is the number that Kinesis gave with the last delivery. It is no record's own, so it does not
        show when something is missing behind it: it will do when the tip was seen lately, since then nothing can be.
        """
        if continuation is not None and self._saw_the_tip_lately():
            self._resumes = False
            return Start("AT_SEQUENCE_NUMBER", number=continuation)
        place = self._delivered
        self._resumes = isinstance(place, SequenceNumber)
        if isinstance(place, SequenceNumber):
            # guarantee: the rest of a half processed aggregate is still to come
            return Start("AT_SEQUENCE_NUMBER", number=place.number)
        if place is Sentinel.AT_TIMESTAMP:
            if self._settings.start_at is None:
                raise ShardStop(
                    f"{self.shard_id} starts AT_TIMESTAMP, and no time is set. fix: name it in the settings"
                )
            return Start(place.value, timestamp=self._settings.start_at)
        if place is Sentinel.LATEST and self._latest_since is not None:
            # The tip has moved since we first asked for it; the records in between are ours.
            return Start(Sentinel.AT_TIMESTAMP.value, timestamp=self._latest_since)
        return Start(place.value)

    def started(self, asked: Moment) -> None:
        """Kinesis has accepted where to begin."""
        if self._delivered is Sentinel.LATEST and self._latest_since is None:
            self._latest_since = asked.at

    def batch(self, delivered: Sequence[Record], millis_behind_latest: int, asked: Moment) -> Batch:
        """The user records behind the position, in order; all that came before `asked` if none are left behind."""
        if delivered:
            if self._resumes:
                self._watch_for_a_gap(delivered[0])
                self._resumes = False
            self._delivered = delivered[-1].sequence_number
        after = self.position
        records = tuple(_behind(after, self._user_records(delivered)))
        if records:
            self.position = records[-1].sequence_number
        if millis_behind_latest == 0:
            self._tip = self.position, asked
        # guarantee: a batch says when it was asked for, and not when it came
        return Batch(self._settings.stream, self.shard_id, after, records, millis_behind_latest, asked.at)

    def _watch_for_a_gap(self, first: Record) -> None:
        """The record to resume after comes first, unless the stream has trimmed it, and maybe more behind it.

        Then the next batch comes after the place just before its first record. That is no record's own place, so it is
        none that Kinesis could be asked for. When the tip was seen lately, nothing behind it can have been trimmed yet.
        """
        if int(first.number) > position_key(self._delivered)[0] and not self._saw_the_tip_lately():
            self._emit(RecordsTrimmed(self.shard_id, position_text(self.position), first.number))
            self.gap = self.position = SequenceNumber(str(int(first.number) - 1))

    def _saw_the_tip_lately(self) -> bool:
        return self._tip is not None and self._tip[1].is_within(SURELY_RETAINED, self._clock)

    def _user_records(self, delivered: Sequence[Record]) -> Sequence[Record]:
        if not any_packed(delivered):
            return delivered
        records: list[Record] = []
        for record in delivered:
            aggregate = unpack(record)
            if aggregate is None:
                records.append(record)
            elif self._hash_keys is not None and aggregate.is_stray(self._hash_keys):
                self._emit(AggregateDropped(self.shard_id, record.number, len(aggregate.records)))
            else:
                records += aggregate.records
        return records


def _behind(position: Position, records: Sequence[Record]) -> Sequence[Record]:
    """What was already handed out comes first: Kinesis delivers in order."""
    if not isinstance(position, SequenceNumber):
        return records
    known = 0
    while known < len(records) and records[known].sequence_number <= position:
        known += 1
    return records[known:] if known else records
