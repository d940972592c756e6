"""Performs one step of the choreography on each record of a batch, in the shard's order."""

from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Generic, TypeVar

from botocore.exceptions import BotoCoreError, ClientError

from consumers.bad_runs import BadRuns
from consumers.dead_letters import DeadLetters, dead_letter
from consumers.diagnostics import RecordSetApart, StepPerformed
from consumers.idempotency import IdempotencyStore
from consumers.processing import Progress, RecordFailure, ShardAssignment, ShardStop, Unavailable, Unprocessable
from consumers.records import Batch, Position, Record
from events.envelope import EventEnvelope, following
from events.orders import Event
from events.wire import UnreadableEvent, decode, encode
from foundation.clock import Clock
from foundation.diagnostics import Emit
from producers.publisher import EventPublisher, PublisherClosed, PublishFailed

EventT = TypeVar("EventT", bound=Event)

# A handler's own error on one record: tried so often before the record, not the world, is held to be broken.
MAX_ATTEMPTS = 5
# Errors of the world around us: waited out for as long as they last, since the record is not to blame.
_WORLD_IS_BROKEN = (BotoCoreError, ClientError, OSError, PublishFailed, Unavailable)

_READING, _PERFORMING = "reading", "performing"


@dataclass(frozen=True)
class HandlerStep(Generic[EventT]):
    """A step bound to its handler: hears `listens_to`, performs `handle`, tells what that returns."""

    actor: str
    listens_to: type[EventT]
    handle: Callable[[EventEnvelope[EventT]], Event]


class StepProcessor(Generic[EventT]):
    """A `RecordProcessor` for one step on one shard.

    For each event it listens to: recall the remembered outcome, or perform the step and remember it; then publish what
    follows. Safe to resume after the longest prefix whose following events Kinesis acknowledged.
    """

    def __init__(
        self,
        step: HandlerStep[EventT],
        assignment: ShardAssignment,
        *,
        outcomes: IdempotencyStore,
        publisher: EventPublisher,
        dead_letters: DeadLetters,
        bad_runs: BadRuns,
        clock: Clock,
        emit: Emit,
    ) -> None:
        self._step = step
        self._assignment = assignment
        self._outcomes = outcomes
        self._publisher = publisher
        self._dead_letters = dead_letters
        self._bad_runs = bad_runs
        self._clock = clock
        self._emit = emit
        self._done: Position = assignment.checkpoint
        self._attempts: tuple[Record | None, int] = (None, 0)

    @property
    def resume_after(self) -> Position:
        return self._done

    def process(self, batch: Batch) -> Progress:
        heard = [(record, self._hear(record)) for record in batch.records]
        known = self._outcomes.recall([event.event_id for _, event in heard if isinstance(event, EventEnvelope)])
        told: list[tuple[Record, Future[object] | None]] = []
        failure: RecordFailure | None = None
        for record, event in heard:
            try:
                told.append((record, self._perform(record, event, known)))
            except Exception as error:  # noqa: BLE001 - whatever it is, it is the answer: the engine waits, or stops
                failure = RecordFailure(record.sequence_number, error)
                break
        return self._acknowledged(told, failure)

    def flush(self) -> Progress:
        return Progress(self._done)

    def _hear(self, record: Record) -> EventEnvelope[EventT] | UnreadableEvent | None:
        """The event when it is one this step listens to, None when it is another's, or why nobody can read it."""
        try:
            envelope = decode(record.data)
        except UnreadableEvent as error:
            return error
        return envelope if isinstance(envelope.event, self._step.listens_to) else None  # type: ignore[return-value]

    def _perform(
        self, record: Record, event: EventEnvelope[EventT] | UnreadableEvent | None, known: dict[str, bytes]
    ) -> "Future[object] | None":
        """Does what one record asks for and answers with the publication to wait for, if any."""
        if isinstance(event, UnreadableEvent):
            self._set_apart(record, event, _READING, attempts=1)
            return None
        self._bad_runs.over(self._assignment.shard_id, _READING)
        if event is None:
            return None
        try:
            outcome = known.get(event.event_id) or self._first_time(event)
        except _WORLD_IS_BROKEN:
            raise
        except Unprocessable as error:
            self._set_apart(record, error, _PERFORMING, attempts=1)
            return None
        except Exception as error:
            if self._attempt(record) < MAX_ATTEMPTS:
                raise
            self._set_apart(record, error, _PERFORMING, attempts=MAX_ATTEMPTS)
            return None
        known[event.event_id] = outcome
        self._bad_runs.over(self._assignment.shard_id, _PERFORMING)
        try:
            return self._publisher.publish(decode(outcome))  # type: ignore[return-value]
        except PublisherClosed as error:
            raise ShardStop(
                f"{self._step.actor} can publish nothing more: {error}. fix: restart the process"
            ) from error

    def _first_time(self, heard: EventEnvelope[EventT]) -> bytes:
        """The effect, then its memory. A crash between the two repeats the effect: the stated bound of the step."""
        event = self._step.handle(heard)
        follows = following(heard, event, occurred_at=self._clock.now(), producer=self._step.actor)
        self._emit(StepPerformed(self._step.actor, heard.order_id, heard.event_id, follows.event_type))
        return self._outcomes.remember(heard.event_id, encode(follows))

    def _acknowledged(
        self, told: list[tuple[Record, "Future[object] | None"]], failure: RecordFailure | None
    ) -> Progress:
        for record, publication in told:
            try:
                if publication is not None:
                    publication.result()
            except PublishFailed as error:
                return Progress(self._done, RecordFailure(record.sequence_number, error))
            self._done = record.sequence_number
        return Progress(self._done, failure)

    def _set_apart(self, record: Record, error: Exception, kind: str, *, attempts: int) -> None:
        shard_id = self._assignment.shard_id
        self._bad_runs.require_not_a_deployment(shard_id, kind, record.sequence_number, error)
        letter = dead_letter(
            consumer=self._step.actor,
            stream=self._assignment.stream,
            shard_id=shard_id,
            record=record,
            failed_at=self._clock.now(),
            attempts=attempts,
            error=error,
        )
        self._dead_letters.put(letter)
        self._bad_runs.another(shard_id, kind, record.sequence_number)
        # A handler's own error may quote the record; the letter has it, a log must not.
        said = letter.error if isinstance(error, (UnreadableEvent, Unprocessable)) else type(error).__name__
        self._emit(RecordSetApart(self._step.actor, shard_id, str(record.sequence_number), said))

    def _attempt(self, record: Record) -> int:
        last, attempts = self._attempts
        self._attempts = (record, attempts + 1 if record == last else 1)
        return self._attempts[1]
