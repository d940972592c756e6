"""Plugs a step of the choreography into the batch rules: hear an event, recall or perform, remember, tell."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Generic, TypeVar

from consumers.batching import BatchProcessor, BatchRules, Experience, Handled, Promise
from consumers.dead_letters import SetsApart
from consumers.diagnostics import StepPerformed
from consumers.processing import ProcessorFactory, RecordProcessor, ShardAssignment, ShardStop
from consumers.steps.effects import Effects
from consumers.steps.outcomes import Happening, IdempotencyStore, happening, recalled
from events import (
    EVENT_TYPES,
    EncodedEvent,
    Event,
    EventEnvelope,
    decode_only,
    decoded,
    encoded,
    following,
    partition_key,
)
from foundation.clock import Clock
from foundation.diagnostics import Emit
from foundation.kinesis import Record
from foundation.threads import StartThread
from producers.publishing import EventPublisher, PublisherClosed

EventT = TypeVar("EventT", bound=Event)


@dataclass(frozen=True)
class HandlerStep(Generic[EventT]):
    """An actor's steps bound to their handler: hears `listens_to`, performs `handle`, tells what that returns."""

    actor: str
    listens_to: type[EventT] | tuple[type[EventT], ...]
    handle: Callable[[EventEnvelope[EventT]], Event]


class StepHandler(Generic[EventT]):
    """The `RecordHandler` of one step on one shard.

    For each event it listens to: recall the remembered outcome, or perform the step and remember it; then publish what
    follows. The promise of a record is Kinesis' acknowledgement of that.
    """

    def __init__(
        self,
        step: HandlerStep[EventT],
        *,
        outcomes: IdempotencyStore,
        effects: Effects,
        publisher: EventPublisher,
        clock: Clock,
        emit: Emit,
    ) -> None:
        self._step = step
        self._outcomes = outcomes
        self._effects = effects
        self._publisher = publisher
        self._clock = clock
        self._emit = emit
        self._known: dict[Happening, bytes] = {}

    def hear(self, record: Record) -> EventEnvelope[EventT] | None:
        return decode_only(self._step.listens_to, record.data)

    def order_of(self, heard: EventEnvelope[EventT]) -> str:
        return partition_key(heard)

    def recall(self, heard: Sequence[EventEnvelope[EventT]]) -> None:
        """Behind what is still to be stored: while that does not work, nothing else is tried."""
        self._effects.catch_up()
        self._known = recalled(self._outcomes, heard)

    def handle(self, heard: Sequence[EventEnvelope[EventT]]) -> Handled:
        promises: list[Promise] = []
        for event in heard:
            try:
                promises.append(self._tell(event))
            except Exception as error:  # noqa: BLE001 - named, so that nothing before it is done again
                return Handled(promises, error)
        return Handled(promises)

    def _tell(self, event: EventEnvelope[EventT]) -> Promise:
        known = self._known.get(happening(event))
        follows = decoded(known) if known else self._effects.once(event, partial(self._perform, event))
        self._known[happening(event)] = follows.data
        try:
            return self._publisher.publish(follows)
        except PublisherClosed as error:
            raise ShardStop(
                f"{self._step.actor} can publish nothing more: {error}. fix: restart the process"
            ) from error

    def _perform(self, heard: EventEnvelope[EventT]) -> EncodedEvent[Event]:
        """The effect; answers its outcome. A crash before that is stored repeats it: the stated bound of the step."""
        event = self._step.handle(heard)
        if type(event) not in EVENT_TYPES:
            raise ShardStop(
                f"{self._step.actor}'s handler answered {type(event).__name__}, no event, and so its effect cannot be "
                "remembered. fix: return the event that the step publishes, and restart"
            )
        follows = encoded(following(heard, event, occurred_at=self._clock.now(), producer=self._step.actor))
        self._emit(StepPerformed(self._step.actor, heard.order_id, heard.event_id, follows.envelope.event_type))
        return follows


def performs(
    step: HandlerStep[EventT],
    rules: BatchRules,
    *,
    outcomes: IdempotencyStore,
    publisher: EventPublisher,
    apart: SetsApart,
    clock: Clock,
    emit: Emit,
    thread: StartThread = threading.Thread,
) -> ProcessorFactory:
    """Makes the processor of each shard; all of them share what is given here, and what they have seen and done."""
    effects, experience = Effects(outcomes), Experience()

    def factory(assignment: ShardAssignment) -> RecordProcessor:
        handler = StepHandler(step, outcomes=outcomes, effects=effects, publisher=publisher, clock=clock, emit=emit)
        return BatchProcessor(
            handler, assignment, rules, apart=apart, clock=clock, experience=experience, thread=thread
        )

    return factory
