"""A subscriber that keeps state: a pure function from state and event to the next state and what follows.

State and outcome are stored in one transaction, on condition of the state's version. So each event counts once, however
often it is heard, by how many processes, and on however many shards the events of one state lie.
"""

import random
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import msgspec

from consumers.batching import BatchRules
from consumers.dead_letters import SetsApart
from consumers.processing import ProcessorFactory, Unavailable, Unprocessable
from consumers.steps.answers import MOST_BYTES, Answer, Outcome, outcome_of, read_outcome
from consumers.steps.outcomes import Happening
from consumers.steps.states import Conflict, States
from consumers.steps.step import EventT, performed, shards_of
from events import EventEnvelope
from foundation.backoff import pause_after
from foundation.clock import Clock, Wait
from foundation.diagnostics import Emit
from foundation.threads import StartThread
from producers.publishing import EventPublisher

StateT = TypeVar("StateT", bound=msgspec.Struct)

# Each conflict is another's event that counted, so the ones that meet at one state get on.
MOST_TRIES = 20
_FIRST_PAUSE_SECONDS = 0.02


class StateUnreadable(Exception):
    """What is stored is no state as the subscriber's code has it now: our own code's failure, and no record's."""


@dataclass(frozen=True)
class Stateful(Generic[StateT, EventT]):
    """`key` names the state that an event belongs to, as its customer's id; `begin` is a state before its first event.

    `decide` is pure: the same state and event give the same answer. It may be called several times for an event, of
    which one counts, and with it what was drawn by chance. The state is a struct, stored as JSON, of at most 350,000
    bytes.
    """

    key: Callable[[EventEnvelope[EventT]], str]
    begin: StateT
    decide: Callable[[StateT, EventEnvelope[EventT]], tuple[StateT, Answer]]


class WithState(Generic[StateT, EventT]):
    """The `Performance` of a stateful subscriber."""

    def __init__(
        self,
        actor: str,
        stateful: Stateful[StateT, EventT],
        states: States,
        *,
        clock: Clock,
        wait: Wait,
        chance: random.Random,
        emit: Emit,
    ) -> None:
        self._actor = actor
        self._stateful = stateful
        self._states = states
        self._clock = clock
        self._wait = wait
        self._chance = chance
        self._emit = emit

    def known(self, heard: Sequence[EventEnvelope[EventT]]) -> Mapping[Happening, bytes]:
        return self._states.recall(heard)

    def once(self, heard: EventEnvelope[EventT]) -> Outcome:
        """Raises `Unavailable` when others moved the state on, again and again."""
        key = self._stateful.key(heard)
        # guarantee: two events that meet at one state both count
        for tries in range(1, MOST_TRIES + 1):
            stored = self._states.get(key)
            after, answer = self._stateful.decide(self._decoded(stored.data), heard)
            outcome = outcome_of(heard, answer, actor=self._actor, at=self._clock.now())
            try:
                # An event that changes nothing is remembered too: heard again, it must not meet a later state.
                stands = self._states.commit(key, stored.version, self._encoded(after), heard, outcome)
            except Conflict:
                self._wait(self._chance.random() * pause_after(tries, first=_FIRST_PAUSE_SECONDS))
                continue
            if stands == outcome.data:
                self._emit(performed(self._actor, heard, outcome))
            return read_outcome(stands)
        raise Unavailable(
            f"a state of {self._actor} was moved on by others {MOST_TRIES} times in a row. fix: it is tried again; if "
            "it lasts, choose a key that fewer events share"
        )

    def _decoded(self, data: bytes | None) -> StateT:
        if data is None:
            return self._stateful.begin
        kind = type(self._stateful.begin)
        try:
            return msgspec.json.decode(data, type=kind)
        # guarantee: a state that cannot be read is never begun anew
        except msgspec.DecodeError as error:
            raise StateUnreadable(
                f"what {self._actor} has stored is no {kind.__name__} any more. fix: have its code read what is "
                "stored: no field may change its type, and a new one needs a default; then redrive what was set apart"
            ) from error

    def _encoded(self, state: StateT) -> bytes:
        data = msgspec.json.encode(state)
        if len(data) > MOST_BYTES:
            raise Unprocessable(
                f"a state of {self._actor} would have {len(data):,} bytes, and {MOST_BYTES:,} can be stored. "
                "fix: keep less in it"
            )
        return data


def keeps_state(
    actor: str,
    listens_to: type[EventT] | tuple[type[EventT], ...],
    stateful: Stateful[StateT, EventT],
    rules: BatchRules,
    *,
    states: States,
    publisher: EventPublisher,
    apart: SetsApart,
    clock: Clock,
    wait: Wait,
    chance: random.Random,
    emit: Emit,
    thread: StartThread = threading.Thread,
) -> ProcessorFactory:
    """Makes the processor of each shard; all of them share what is given here."""
    performance = WithState(actor, stateful, states, clock=clock, wait=wait, chance=chance, emit=emit)
    return shards_of(
        actor, listens_to, performance, rules, publisher=publisher, apart=apart, clock=clock, thread=thread
    )
