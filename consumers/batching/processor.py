"""Applies the batch rules to a handler of records: the `RecordProcessor` that every engine feeds alike."""

import math
import threading
import zlib
from collections.abc import Iterable, Sequence
from typing import Generic

import msgspec

from consumers.batching.attempt import MOST_IN_A_ROW, Attempt, State, Waiting
from consumers.batching.handler import HeardT, RecordHandler
from consumers.batching.pace import HandlerFailed, is_standstill, pace_of, told
from consumers.batching.rules import BatchRules
from consumers.batching.trial import Experience, Place
from consumers.dead_letters import Bad, SetsApart
from consumers.processing import Pace, Progress, RecordFailure, ShardAssignment, Standstill, Unavailable, Unprocessable
from consumers.verdicts import loggable, verdict_of
from foundation.backoff import pause_after
from foundation.clock import Clock
from foundation.kinesis import Batch, Position, Record, position_key
from foundation.threads import StartThread, in_parallel

# So many records may wait behind one that is not done. Beyond that the shard stands still until it is.
MOST_WAITING = 10_000


class TooOld(Unprocessable):
    """The record is older than the rules allow; it was not tried."""


class BatchProcessor(Generic[HeardT]):
    """Hands a shard's records to their handler, several keys at once and each key in order, until each is done.

    Done means handled, its promise kept; or of no concern to the handler; or set apart. Progress is the longest prefix
    of that. A record that is done behind one that is not, is not handled again for as long as this processor lives.

    One that fails waits here for a growing pause, and its key with it, while others go on. Only where nothing else
    works does the shard wait, or stand: `RecordFailure.pace` tells the engine.
    """

    def __init__(
        self,
        handler: RecordHandler[HeardT],
        assignment: ShardAssignment,
        rules: BatchRules,
        *,
        apart: SetsApart,
        clock: Clock,
        experience: Experience | None = None,
        thread: StartThread = threading.Thread,
    ) -> None:
        self._handler = handler
        self._assignment = assignment
        self._rules = rules
        self._apart = apart
        self._clock = clock
        self._experience = experience or Experience()
        self._thread = thread
        self._waiting: list[Waiting[HeardT]] = []
        self._gather_until = -math.inf
        self._done: Position = assignment.checkpoint
        self._round = 0
        # What the engine waited for, all records of it are due.
        self._stood_still = False
        # Our own code failed on every record, and one at a time is tried.
        self._stands = False
        # Keys that failed since one has worked.
        self._failing: set[str | None] = set()

    @property
    def resume_after(self) -> Position:
        return self._done

    def process(self, batch: Batch) -> Progress:
        self._take(batch.records)
        return self._handle(flushing=False)

    def flush(self) -> Progress:
        return self._handle(flushing=True)

    def _take(self, records: Sequence[Record]) -> None:
        """What is given again, since a record failed, waits here already; the order stays the stream's."""
        known = {_place(one.record) for one in self._waiting}
        # guarantee: what is done behind a failed record is not done again
        new = [record for record in records if _place(record) not in known]
        if not new:
            return
        if not any(map(_is_fresh, self._waiting)):
            self._gather_until = self._clock.monotonic() + self._rules.batching_window.total_seconds()
        remembers = self._experience.of
        self._waiting += [Waiting(record, record.partition_key, remembers(self._place(record))) for record in new]
        if known:
            self._waiting.sort(key=lambda one: one.record.sequence_number.key)

    def _handle(self, *, flushing: bool) -> Progress:
        """All that is due, one batch after the other, up to where the shard has to wait."""
        self._round += 1
        everything = flushing or self._stood_still
        self._stood_still = False
        enough = sum(map(_is_fresh, self._waiting)) >= self._rules.batch_size
        gathers = not everything and not enough and self._clock.monotonic() < self._gather_until
        failure: RecordFailure | None = None
        while batch := self._next_batch(everything=everything, gathers=gathers):
            stopped_by, attempt = self._attempt(batch)
            self._note(attempt)
            self._move_on()
            failure = self._failure(stopped_by, attempt) or failure
            if failure is not None and failure.pace is not Pace.FULL:
                break
        if failure is None and len(self._waiting) >= MOST_WAITING:
            failure = self._fails(Unavailable("as many records as may wait behind it do so"), Pace.STILL)
        self._stood_still = failure is not None and failure.pace is Pace.STILL
        return Progress(self._done, failure)

    def _next_batch(self, *, everything: bool, gathers: bool) -> list[Waiting[HeardT]]:
        """The first that are due, in the stream's order; none of a key whose earlier record is not due."""
        now = self._clock.monotonic()
        held: set[str | None] = set()
        batch: list[Waiting[HeardT]] = []
        for one in self._waiting:
            if one.state is State.DONE:
                continue
            waits = one.is_open and one.retry_at > now and not everything
            if waits or one.failed_in == self._round or (gathers and _is_fresh(one)):
                held.add(one.key)
            elif one.state is State.NEW or one.key not in held:
                batch.append(one)
            if len(batch) == self._rules.batch_size:
                break
        return batch

    def _attempt(self, batch: Sequence[Waiting[HeardT]]) -> tuple[Exception | None, Attempt[HeardT]]:
        """One attempt at what is due; answers also what speaks against going on with anything."""
        failed_to_hear = self._hear(batch)
        chains = self._chains(batch)
        attempt = Attempt(chains, self._handler, self._rules, self._experience)
        for one, error in failed_to_hear:
            attempt.fails(one, error)
        if chains:
            try:
                self._handler.recall([one.heard for chain in chains for one in chain if one.heard is not None])
            except Exception as error:  # noqa: BLE001 - whatever it is, it is the answer: the engine waits, or stops
                return error, attempt
            threads = min(self._rules.parallelization_factor, len(chains))
            in_parallel(attempt.run, threads, name=self._assignment.shard_id, thread=self._thread)
        self._await_promises(batch, attempt)
        return self._settle(batch) or attempt.stopped_by, attempt

    def _hear(self, batch: Sequence[Waiting[HeardT]]) -> list[tuple[Waiting[HeardT], Exception]]:
        """In stream order; what is unreadable or too old is broken. Answers on what our own code failed."""
        failed = []
        for one in batch:
            if one.is_open and self._is_too_old(one.record):
                one.state, one.error = State.BROKEN, TooOld(f"older than {self._rules.max_record_age}")
            if one.state is not State.NEW:
                continue
            try:
                one.heard = self._handler.hear(one.record)
                # guarantee: records without a partition key keep their order's order, side by side with other orders
                if one.key is None and one.heard is not None:
                    one.key = self._handler.order_of(one.heard)
            except Exception as error:  # noqa: BLE001 - hearing asks nobody: it is the record's, or ours
                failed.append((one, error))
            else:
                one.state = State.DONE if one.heard is None else State.HEARD
        return failed

    def _chains(self, batch: Iterable[Waiting[HeardT]]) -> list[list[Waiting[HeardT]]]:
        """What is heard, by key; the keys that failed least often come first, and where all fail, in any order."""
        due, held = {id(one) for one in batch}, set[str | None]()
        chains: dict[str | None, list[Waiting[HeardT]]] = {}
        for one in self._waiting:
            if one.state is State.HEARD and id(one) in due and one.key not in held:
                # guarantee: keys run side by side, and one key's records one after the other
                chains.setdefault(one.key, []).append(one)
            elif one.is_open:
                held.add(one.key)
        in_order = sorted(chains.values(), key=lambda chain: (chain[0].trial.failures, self._anywhere(chain[0].key)))
        # guarantee: a shard that stands tries one record at a time, each time another
        return in_order[:1] if self._stands else in_order

    def _anywhere(self, key: str | None) -> int:
        """A place for the key: where all fail, those that are tried next come from all over what waits."""
        return zlib.crc32(str(key).encode(errors="replace")) if len(self._failing) >= MOST_IN_A_ROW else 0

    def _await_promises(self, batch: Sequence[Waiting[HeardT]], attempt: Attempt[HeardT]) -> None:
        """Where one is not kept, what came behind it in its key is undone too: its order holds."""
        broken: set[str | None] = set()
        for one in batch:
            if one.state is not State.HANDLED:
                continue
            if one.key in broken:
                one.state = State.HEARD
                continue
            try:
                # guarantee: progress waits for Kinesis' acknowledgement
                if one.promise is not None:
                    one.promise.result()
            except Exception as error:  # noqa: BLE001 - the verdict on it decides what follows
                attempt.fails(one, error)
                broken.add(one.key)

    def _settle(self, batch: Sequence[Waiting[HeardT]]) -> Exception | None:
        """What was handled is done, and what is broken once it is set apart; answers why that was not possible."""
        for one in batch:
            if one.state is State.HANDLED:
                one.state = State.DONE
        broken = [one for one in batch if one.state is State.BROKEN and one.error is not None]
        letters = [Bad(one.record, one.error, one.trial.failures) for one in broken if one.error is not None]
        try:
            self._apart.set_apart(self._assignment, letters)
        except Exception as error:  # noqa: BLE001 - no letter could be written: the engine waits
            return error
        finally:
            for one, letter in zip(broken, letters, strict=True):
                one.state = State.DONE if letter.is_safe else State.BROKEN
        return None

    def _note(self, attempt: Attempt[HeardT]) -> None:
        """When what failed is due again, and what the shard's failures have in common."""
        if attempt.worked:
            self._failing.clear()
        now = self._clock.monotonic()
        for one in attempt.failed:
            if one.is_open:
                one.failed_in = self._round
                one.retry_at = now + pause_after(one.trial.failures)
                self._experience.note(self._place(one.record), one.trial)
                self._failing.add(one.key)
        if self._stands and attempt.worked:
            self._stands = False
            # What failed while all did is no evidence against a record; what fails from now on is.
            for one in self._waiting:
                if one.trial.failures:
                    one.trial, one.retry_at = one.trial.begun_anew(), 0.0
                    self._experience.note(self._place(one.record), one.trial)

    def _move_on(self) -> None:
        finished = next((at for at, one in enumerate(self._waiting) if one.state is not State.DONE), len(self._waiting))
        for one in self._waiting[:finished]:
            if one.trial.failures:
                self._experience.forget(self._place(one.record))
        if finished:
            self._done = max(self._done, self._waiting[finished - 1].record.sequence_number, key=position_key)
            del self._waiting[:finished]
        for one in self._waiting:
            if one.state is State.DONE and one.record.data:
                one.record, one.heard, one.promise = msgspec.structs.replace(one.record, data=b""), None, None

    def _failure(self, stopped_by: Exception | None, attempt: Attempt[HeardT]) -> RecordFailure | None:
        """What the engine is told behind an attempt; nothing when all of it went well."""
        failed = [one for one in attempt.failed if one.is_open]
        if stopped_by is not None:
            return self._fails(stopped_by, Pace.STILL)
        if not failed:
            return None
        trials, keys = [one.trial for one in failed], len(self._failing)
        error = failed[0].error or HandlerFailed("no error was noted. fix: report this")
        if is_standstill(trials, self._rules, worked=attempt.worked, failing_keys=keys, stands=self._stands):
            self._stands = True
            says = Standstill(
                f"{self._apart.consumer} fails on every record of {self._assignment.shard_id}, of {keys} keys by now: "
                f"{loggable(error)}. "
                "fix: this looks like a bad deployment, not bad records; deploy one that can process them"
            )
            return self._fails(says, Pace.SLOW)
        return self._fails(error, pace_of(trials, worked=attempt.worked, failing_keys=keys), failed[0].trial.ours)

    def _fails(self, error: Exception, pace: Pace, attempts: int = 1) -> RecordFailure:
        """At the first record that is not done."""
        if len(self._waiting) >= MOST_WAITING:
            pace = Pace.STILL
        first = next(one for one in self._waiting if one.state is not State.DONE)
        says = error if isinstance(error, Standstill) else told(error, attempts=attempts, rules=self._rules)
        return RecordFailure(first.record.sequence_number, says, pace, verdict_of(error).value)

    def _is_too_old(self, record: Record) -> bool:
        longest = self._rules.max_record_age
        return longest is not None and self._clock.now() - record.arrived_at > longest

    def _place(self, record: Record) -> Place:
        return self._assignment.stream, self._assignment.shard_id, record.number, record.sub


def _is_fresh(one: Waiting[HeardT]) -> bool:
    return one.state is State.NEW and not one.failed_in


def _place(record: Record) -> tuple[str, int]:
    return record.number, record.sub
