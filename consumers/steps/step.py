"""Plugs a step of the choreography into the batch rules: hear an event, recall or perform, remember, tell."""

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Generic, Protocol, TypeVar

from consumers.batching import Awaited, BatchProcessor, BatchRules, Experience, Handled, Promise
from consumers.dead_letters import SetsApart
from consumers.diagnostics import StepPerformed
from consumers.processing import ProcessorFactory, RecordProcessor, ShardAssignment, ShardStop
from consumers.steps.answers import Answer, Outcome, outcome_of, read_outcome
from consumers.steps.effects import Effects
from consumers.steps.outcomes import Happening, IdempotencyStore, happening, recalled
from events import Event, EventEnvelope, decode_only, partition_key
from foundation.clock import Clock
from foundation.diagnostics import Emit
from foundation.kinesis import Record
from foundation.threads import StartThread
from producers.publishing import EventPublisher, PublisherClosed

EventT = TypeVar("EventT", bound=Event)
HeardT_contra = TypeVar("HeardT_contra", bound=Event, contravariant=True)


@dataclass(frozen=True)
class HandlerStep(Generic[EventT]):
    """An actor's steps bound to their handler: hears `listens_to`, performs `handle`, tells what that returns."""

    actor: str
    listens_to: type[EventT] | tuple[type[EventT], ...]
    handle: Callable[[EventEnvelope[EventT]], Answer]


class Performance(Protocol[HeardT_contra]):
    """How an outcome comes about and is remembered: by an effect, or by a state that moves on. Safe for threads."""

    def known(self, heard: Sequence[EventEnvelope[HeardT_contra]]) -> Mapping[Happening, bytes]:
        """The outcomes that are remembered of these events, as `Outcome.data` is."""

    def once(self, heard: EventEnvelope[HeardT_contra]) -> Outcome:
        """The outcome that stands, which is this one's own if there was none."""


class StepHandler(Generic[EventT]):
    """The `RecordHandler` of one actor on one shard.

    For each event it listens to: recall the remembered outcome, or perform the step and remember it; then publish what
    follows. The promise of a record is Kinesis' acknowledgement of all of that.
    """

    def __init__(
        self,
        actor: str,
        listens_to: type[EventT] | tuple[type[EventT], ...],
        performance: Performance[EventT],
        publisher: EventPublisher,
    ) -> None:
        self._actor = actor
        self._listens_to = listens_to
        self._performance = performance
        self._publisher = publisher
        self._known: dict[Happening, bytes] = {}

    def hear(self, record: Record) -> EventEnvelope[EventT] | None:
        return decode_only(self._listens_to, record.data)

    def order_of(self, heard: EventEnvelope[EventT]) -> str:
        return partition_key(heard)

    def recall(self, heard: Sequence[EventEnvelope[EventT]]) -> None:
        self._known = dict(self._performance.known(heard))

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
        outcome = read_outcome(known) if known else self._performance.once(event)
        self._known[happening(event)] = outcome.data
        try:
            told = [self._publisher.publish(follows) for follows in outcome.follows]
        except PublisherClosed as error:
            raise ShardStop(f"{self._actor} can publish nothing more: {error}. fix: restart the process") from error
        return told[0] if len(told) == 1 else _All(told)


class _All:
    """The promise of several events, or of none: all of them are acknowledged."""

    def __init__(self, told: Iterable[Awaited]) -> None:
        self._told = tuple(told)

    def result(self) -> None:
        # guarantee: progress waits for each event of an answer
        for one in self._told:
            one.result()


class WithEffects(Generic[EventT]):
    """The `Performance` of a handler with an effect: that comes first, and what it answered is remembered then."""

    def __init__(
        self,
        step: HandlerStep[EventT],
        outcomes: IdempotencyStore,
        *,
        clock: Clock,
        emit: Emit,
    ) -> None:
        self._step = step
        self._outcomes = outcomes
        self._effects = Effects(outcomes)
        self._clock = clock
        self._emit = emit

    def known(self, heard: Sequence[EventEnvelope[EventT]]) -> Mapping[Happening, bytes]:
        """Behind what is still to be stored: while that does not work, nothing else is tried."""
        self._effects.catch_up()
        return recalled(self._outcomes, heard)

    def once(self, heard: EventEnvelope[EventT]) -> Outcome:
        return self._effects.once(heard, partial(self._perform, heard))

    def _perform(self, heard: EventEnvelope[EventT]) -> Outcome:
        """The effect; answers its outcome. A crash before that is stored repeats it: the stated bound of the step."""
        answer = self._step.handle(heard)
        outcome = outcome_of(heard, answer, actor=self._step.actor, at=self._clock.now())
        self._emit(performed(self._step.actor, heard, outcome))
        return outcome


def performed(actor: str, heard: EventEnvelope[Event], outcome: Outcome) -> StepPerformed:
    told = ", ".join(one.envelope.event_type for one in outcome.follows)
    return StepPerformed(actor, heard.order_id, heard.event_id, told or "nothing")


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
    performance = WithEffects(step, outcomes, clock=clock, emit=emit)
    return shards_of(
        step.actor, step.listens_to, performance, rules, publisher=publisher, apart=apart, clock=clock, thread=thread
    )


def shards_of(
    actor: str,
    listens_to: type[EventT] | tuple[type[EventT], ...],
    performance: Performance[EventT],
    rules: BatchRules,
    *,
    publisher: EventPublisher,
    apart: SetsApart,
    clock: Clock,
    thread: StartThread = threading.Thread,
) -> ProcessorFactory:
    """Makes the processor of each shard of an actor whose outcomes come about by `performance`."""
    experience = Experience()

    def factory(assignment: ShardAssignment) -> RecordProcessor:
        handler = StepHandler(actor, listens_to, performance, publisher)
        return BatchProcessor(
            handler, assignment, rules, apart=apart, clock=clock, experience=experience, thread=thread
        )

    return factory
