"""One of the consumers that are fed together: its processor, its own place, and what waits for it."""

from collections import deque
from collections.abc import Callable
from dataclasses import replace

from consumers.processing import (
    Pace,
    ProcessorFactory,
    Progress,
    RecordFailure,
    RecordProcessor,
    ShardAssignment,
    ShardStop,
    Unavailable,
    rest_from,
)
from foundation.backoff import pause_after
from foundation.clock import Clock
from foundation.kinesis import Batch, Position, Sentinel, SequenceNumber, position_key

# So much is kept for one that does not take it, for each shard. Beyond that nothing is read until it does.
MOST_WAITING = 10_000
MOST_WAITING_BYTES = 16 * 1024 * 1024
# For so long at a time it is given what waits for it: the others, and a stop, wait meanwhile.
CATCHES_UP_SECONDS = 5.0


class Member:
    """Is given every record of the shard behind its own place, once and in order, whatever the others do.

    What it fails on waits here, with what follows, and is tried again after growing pauses. After a `ShardStop` it is
    tried no more. One that cannot be opened is opened later: until then its place is the lease's checkpoint.
    """

    def __init__(self, name: str, factory: ProcessorFactory, assignment: ShardAssignment, *, clock: Clock) -> None:
        self.name = name
        self.place: Position = assignment.checkpoint
        self.stopped: ShardStop | None = None
        # Opened late, it was found to be behind where reading began.
        self.is_behind = False
        self._factory = factory
        self._assignment = assignment
        self._clock = clock
        self._processor: RecordProcessor | None = None
        self._backlog: deque[Batch] = deque()
        # The last record that it was given, or that waits for it.
        self._given: Position = self.place
        self._is_told_gone = False
        # It was opened, or given what had waited, since the batch at hand was read: to it that is no longer the tip.
        self._has_caught_up = False
        # Why it does not get on, and what of that was not told yet; how often in a row it failed there.
        self._failure: RecordFailure | None = None
        self._untold: RecordFailure | None = None
        self._failures = 0
        self._retry_at = clock.monotonic()
        self._open()

    @property
    def shard_id(self) -> str:
        return self._assignment.shard_id

    @property
    def is_open(self) -> bool:
        return self._processor is not None

    @property
    def waits(self) -> bool:
        """Whether it has not taken all that it was to be given."""
        return bool(self._backlog) or not self.is_open or self.stopped is not None

    @property
    def held_up_by(self) -> RecordFailure:
        """Why it does not take what waits for it."""
        at = self._backlog[0].records[0].sequence_number if self._backlog and self._backlog[0].records else self.place
        return self._failure or RecordFailure(at, Unavailable("as many records as may wait for it do so"))

    def has_room(self, batch: Batch) -> bool:
        """Whether what is new of the batch may wait too. Where nothing waits, one of any size may."""
        new = self._new(batch).records
        if not self._backlog or not new:
            return True
        sizes = [len(record.data) for each in (*self._backlog, replace(batch, records=new)) for record in each.records]
        # guarantee: what waits for one of several consumers of a process is bounded
        return len(sizes) <= MOST_WAITING and sum(sizes) <= MOST_WAITING_BYTES

    def give(self, batch: Batch) -> None:
        """What is new to it: at once, or behind what waits for it."""
        new, is_end = self._new(batch), batch.after is Sentinel.SHARD_END
        takes_it = None if self._backlog else self._takes
        if (is_end and self._is_told_gone) or (takes_it is None and not new.records and not is_end):
            return
        self._is_told_gone |= is_end
        self._wait_for(new if takes_it and not self._has_caught_up else not_the_tip(new))
        if takes_it:
            self._process_next(takes_it)

    def catch_up(self, *, everything: bool = False) -> None:
        """Is given what waits for it if it is due, as it always is where `everything` is."""
        self._has_caught_up = False
        if everything:
            self._retry_at = self._clock.monotonic()
        if not self._is_due:
            return
        if self.stopped is not None and self._failure is not None:
            self._fails(self._failure)  # told again, not tried
        if self._processor is None and self.stopped is None:
            self._open()
            self._has_caught_up = True
        until = self._clock.monotonic() + CATCHES_UP_SECONDS
        while self._backlog and (processor := self._takes) and self._clock.monotonic() < until:
            self._process_next(processor)
            self._has_caught_up = True

    def flush(self) -> None:
        """As its processor does; what waits for it goes on waiting."""
        if self._processor is not None and self.stopped is None:
            self._called(self._processor.flush, self.place)

    def tell(self) -> RecordFailure | None:
        """What it failed with since it was last asked."""
        untold, self._untold = self._untold, None
        return untold

    @property
    def _is_due(self) -> bool:
        return self._clock.monotonic() >= self._retry_at

    @property
    def _takes(self) -> RecordProcessor | None:
        """What takes a batch now, if anything does."""
        return self._processor if self.stopped is None and self._is_due else None

    def _open(self) -> None:
        is_late = self._failures > 0
        try:
            processor = self._factory(self._assignment)
            place = processor.resume_after
        except ShardStop as error:
            self._stops(error, self.place)
            return
        except Exception as error:  # noqa: BLE001 - whatever it is, others are fed, and it is opened later
            self._fails(RecordFailure(self.place, error))
            return
        # guarantee: a consumer that is opened after its host began to read misses nothing
        if is_late and earliest(place) < earliest(self.place):
            self.is_behind = True
            why = f"it is done up to {place}, and the shard was read after {self.place}. fix: none; it is read again"
            self._stops(ShardStop(why), self.place)
            return
        self._processor, self.place, self._given = processor, place, place
        self._failure, self._failures = None, 0
        waited, self._backlog = self._backlog, deque()
        for batch in map(self._new, waited):
            if batch.records or batch.after is Sentinel.SHARD_END:
                self._wait_for(batch)

    def _wait_for(self, batch: Batch) -> None:
        self._backlog.append(batch)
        if batch.records:
            self._given = batch.records[-1].sequence_number

    def _process_next(self, processor: RecordProcessor) -> None:
        batch = self._backlog[0]
        at: Position = batch.records[0].sequence_number if batch.records else batch.after
        failure = self._called(lambda: processor.process(batch), at)
        if failure is not None and failure.pace is Pace.STILL:
            try:
                self._backlog[0] = not_the_tip(rest_from(batch, failure))
            except ValueError as error:  # its own code names a record that it was not given
                failure = self._fails(RecordFailure(at, error))
        if failure is None or failure.pace is not Pace.STILL or _is_idle(batch):
            # After an idle read comes another one, which tells more.
            self._backlog.popleft()

    def _called(self, call: Callable[[], Progress], at: Position) -> RecordFailure | None:
        """Why it did not do what it was called for, which is noted; where it raised, that is at `at`."""
        try:
            progress = call()
        except ShardStop as error:
            return self._stops(error, at)
        except Exception as error:  # noqa: BLE001 - whatever it is, nothing is known to be done: all of it again
            return self._fails(RecordFailure(at, error))
        self.place = progress.resume_after
        if progress.failure is None:
            self._failure, self._failures = None, 0
            return None
        if isinstance(progress.failure.error, ShardStop):
            return self._stops(progress.failure.error, progress.failure.at)
        return self._fails(progress.failure)

    def _stops(self, error: ShardStop, at: Position) -> RecordFailure:
        self.stopped = error
        return self._fails(RecordFailure(at, error))

    def _fails(self, failure: RecordFailure) -> RecordFailure:
        is_again = self._failure is not None and self._failure.at == failure.at
        self._failures = self._failures + 1 if is_again else 1
        self._failure = failure
        self._untold = self._untold or failure
        if failure.pace is not Pace.FULL:
            self._retry_at = self._clock.monotonic() + pause_after(self._failures)
        return failure

    def _new(self, batch: Batch) -> Batch:
        """What of it lies behind all that this one was given."""
        given = self._given
        if not isinstance(given, SequenceNumber) or position_key(batch.after) >= given.key:
            return batch
        # guarantee: of several consumers of a process each is given a record once
        records = tuple(record for record in batch.records if record.sequence_number.key > given.key)
        return replace(batch, after=given, records=records)


def not_the_tip(batch: Batch) -> Batch:
    """As one that was read a while ago: what came meanwhile is not known."""
    # guarantee: what waited for a consumer is not given to it as the shard's tip
    return replace(batch, millis_behind_latest=max(1, batch.millis_behind_latest))


def earliest(place: Position) -> tuple[float, int]:
    """Sorts places by what is read from there: nothing lies before the stream's beginning."""
    return (float("-inf"), 0) if place is Sentinel.TRIM_HORIZON else position_key(place)


def _is_idle(batch: Batch) -> bool:
    return not batch.records and batch.after is not Sentinel.SHARD_END
