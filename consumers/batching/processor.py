"""Applies the batch rules to a handler of records: the `RecordProcessor` that every engine feeds alike."""

import math
import threading
from collections.abc import Iterable, Sequence
from typing import Generic

from consumers.batching.attempt import Attempt, State, Waiting
from consumers.batching.handler import HeardT, RecordHandler
from consumers.batching.rules import BatchRules
from consumers.blame import Fault, fault_of, loggable
from consumers.dead_letters import PERFORMING, READING, SetsApart
from consumers.processing import Progress, RecordFailure, ShardAssignment, Unprocessable
from foundation.clock import Clock
from foundation.kinesis import Batch, Position, Record, position_key
from foundation.threads import StartThread, in_parallel


class TooOld(Unprocessable):
    """The record is older than the rules allow; it was not tried."""


class HandlerFailed(Exception):
    """A handler's own error, told without its words, since those may quote the record."""


class BatchProcessor(Generic[HeardT]):
    """Hands a shard's records to their handler, several keys at once and each key in order, until each is done.

    Done means handled, its promise kept; or of no concern to the handler; or set apart. Progress is the longest prefix
    of that. A record that is done behind one that is not, is not handled again for as long as this processor lives.
    """

    def __init__(
        self,
        handler: RecordHandler[HeardT],
        assignment: ShardAssignment,
        rules: BatchRules,
        *,
        apart: SetsApart,
        clock: Clock,
        thread: StartThread = threading.Thread,
    ) -> None:
        self._handler = handler
        self._assignment = assignment
        self._rules = rules
        self._apart = apart
        self._clock = clock
        self._thread = thread
        self._waiting: list[Waiting[HeardT]] = []
        self._gather_until = -math.inf
        self._done: Position = assignment.checkpoint

    @property
    def resume_after(self) -> Position:
        return self._done

    def process(self, batch: Batch) -> Progress:
        self._take(batch.records)
        if len(self._waiting) < self._rules.batch_size and self._clock.monotonic() < self._gather_until:
            return Progress(self._done)
        return self._handle()

    def flush(self) -> Progress:
        return self._handle()

    def _take(self, records: Sequence[Record]) -> None:
        """What is given again, since a record failed, waits here already; the order stays the stream's."""
        if not self._waiting:
            self._waiting = [Waiting(record) for record in records]
            self._gather_until = self._clock.monotonic() + self._rules.batching_window.total_seconds()
            return
        known = {_place(one.record) for one in self._waiting}
        # guarantee: what is done behind a failed record is not done again
        self._waiting += [Waiting(record) for record in records if _place(record) not in known]
        self._waiting.sort(key=lambda one: one.record.sequence_number.key)

    def _handle(self) -> Progress:
        """All that waits, one batch after the other, up to the first that cannot be finished now."""
        while self._waiting:
            batch = self._waiting[: self._rules.batch_size]
            stopped_by = self._attempt(batch)
            finished = next((index for index, one in enumerate(batch) if one.state is not State.DONE), len(batch))
            if finished:
                self._done = max(self._done, batch[finished - 1].record.sequence_number, key=position_key)
                del self._waiting[:finished]
            if finished < len(batch):
                # Tried again as soon as the engine comes back: the window is for what nobody has tried.
                self._gather_until = -math.inf
                first = batch[finished]
                return Progress(self._done, RecordFailure(first.record.sequence_number, self._why(first, stopped_by)))
        return Progress(self._done)

    def _attempt(self, batch: Sequence[Waiting[HeardT]]) -> Exception | None:
        """One attempt at what is not done of a batch; answers what ended it early."""
        unheard = self._hear(batch)
        chains = _by_key(batch)
        attempt = Attempt(chains, self._handler, self._rules)
        if chains:
            try:
                self._handler.recall([one.heard for chain in chains for one in chain if one.heard is not None])
            except Exception as error:  # noqa: BLE001 - whatever it is, it is the answer: the engine waits, or stops
                return error
            threads = min(self._rules.parallelization_factor, len(chains))
            in_parallel(attempt.run, threads, name=self._assignment.shard_id, thread=self._thread)
        self._await_promises(batch)
        return self._settle(batch) or unheard or attempt.stopped_by

    def _hear(self, batch: Sequence[Waiting[HeardT]]) -> Exception | None:
        """In stream order, setting apart what is unreadable or too old; answers why it could not go on."""
        for one in batch:
            if one.state is State.HEARD:
                one.error = None
            try:
                if one.state in {State.NEW, State.HEARD} and self._is_too_old(one.record):
                    self._set_apart(one, TooOld(f"older than {self._rules.max_record_age}"), None)
                elif one.state is State.NEW:
                    self._hear_one(one)
            except Exception as error:  # noqa: BLE001 - no letter could be written, or the deployment is bad
                one.error = error
                return error
        return None

    def _hear_one(self, one: Waiting[HeardT]) -> None:
        try:
            one.heard = self._handler.hear(one.record)
        except Exception as error:  # noqa: BLE001 - hearing asks nobody, so an error is the record's, and stays
            one.attempts = 1
            self._set_apart(one, error, READING)
            return
        self._apart.went_well(self._assignment.shard_id, READING)
        one.key = one.record.partition_key
        # guarantee: records without a partition key keep their order's order, side by side with other orders
        if one.key is None and one.heard is not None:
            one.key = self._handler.order_of(one.heard)
        one.state = State.DONE if one.heard is None else State.HEARD

    def _await_promises(self, batch: Sequence[Waiting[HeardT]]) -> None:
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
            except Exception as error:  # noqa: BLE001 - its fault decides what follows
                one.failed(error, self._rules)
                broken.add(one.key)

    def _settle(self, batch: Sequence[Waiting[HeardT]]) -> Exception | None:
        """In stream order: what was handled is done, what is broken is set apart; answers why it could not go on."""
        for one in batch:
            if one.state is State.HANDLED:
                self._apart.went_well(self._assignment.shard_id, PERFORMING)
                one.state = State.DONE
            elif one.state is State.BROKEN and one.error is not None:
                try:
                    self._set_apart(one, one.error, PERFORMING)
                except Exception as error:  # noqa: BLE001 - no letter could be written, or the deployment is bad
                    return error
        return None

    def _set_apart(self, one: Waiting[HeardT], error: Exception, kind: str | None) -> None:
        self._apart.set_apart(self._assignment, one.record, error, kind, attempts=one.attempts)
        one.state = State.DONE

    def _is_too_old(self, record: Record) -> bool:
        longest = self._rules.max_record_age
        return longest is not None and self._clock.now() - record.arrived_at > longest

    def _why(self, first: Waiting[HeardT], stopped_by: Exception | None) -> Exception:
        """What the engine is told: a bad deployment before all else, then the first record's own error."""
        if stopped_by is not None and fault_of(stopped_by) is Fault.DEPLOYMENT:
            return stopped_by
        error = (first.error if first.state is not State.BROKEN else None) or stopped_by
        if error is None:
            raise RuntimeError(f"{first.record.sequence_number} was left undone, and nothing failed. fix: report this")
        if fault_of(error) is not Fault.HANDLER:
            return error
        told = HandlerFailed(f"{loggable(error)}, attempt {first.attempts} of {self._rules.max_attempts}")
        told.__cause__ = error
        return told


def _by_key(batch: Iterable[Waiting[HeardT]]) -> list[list[Waiting[HeardT]]]:
    chains: dict[str | None, list[Waiting[HeardT]]] = {}
    for one in batch:
        if one.state is State.HEARD:
            # guarantee: keys run side by side, and one key's records one after the other
            chains.setdefault(one.key, []).append(one)
    return list(chains.values())


def _place(record: Record) -> tuple[str, int]:
    return record.number, record.sub
