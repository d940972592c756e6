"""However commands meet, whenever they come and whatever crashes: an order has one outcome, and all hear the same."""

import random
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, cast

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from events.orders import Event, OrderAccepted, OrderCancelled, OrderCompleted, OrderExpired, OrderRejected
from events.states import reached
from events.timeline import seen, seen_event
from events.wire import EncodedEvent, read
from producers.deadlines import Watcher
from producers.orders.commands import Order, Refusal, TooEarly, WrongState, derive_order_id
from producers.orders.ordering import Done, Ordering
from producers.orders.requests import (
    AcceptOrder,
    CancelOrder,
    Command,
    CompleteOrder,
    ExpireOrder,
    PlaceOrder,
    RejectOrder,
)
from producers.publishing.publisher import EventPublisher
from tests.support.builders import an_order_item
from tests.support.fakes.clock import FakeClock
from tests.support.fakes.orders import FakeOrders
from tests.support.fakes.tracker_table import FakeTrackerTable
from tests.support.fakes.turns import TurnGate, Turns

ORDER_ID = derive_order_id("customer-1", "key-1")
PLACE = PlaceOrder(
    restaurant_id="restaurant-1",
    customer_name="Ada",
    customer_email="ada@example.com",
    items=(an_order_item(),),
    currency="EUR",
    city="Utrecht",
)
COMMANDS: tuple[tuple[Command, str | None], ...] = (
    (AcceptOrder(ready_in_minutes=5), "restaurant-1"),
    (RejectOrder(reason="closed"), "restaurant-1"),
    (CompleteOrder(), "restaurant-1"),
    (CancelOrder(), "customer-1"),
    (ExpireOrder(), None),
)
# Not a command: a watcher that looks at what is due.
WATCHES = len(COMMANDS)
BRINGS_ABOUT = (OrderAccepted, OrderRejected, OrderCompleted, OrderCancelled, OrderExpired)
ANSWERS = (OrderAccepted, OrderRejected, OrderCancelled, OrderExpired)


class Died(BaseException):
    """The process, here."""


@dataclass
class World:
    """One store, one stream, and any number of processes that carry out commands on them."""

    time: FakeClock = field(default_factory=FakeClock)
    orders: FakeOrders = field(default_factory=FakeOrders)
    published: list[EncodedEvent[Event]] = field(default_factory=list)
    tracker: FakeTrackerTable = field(default_factory=FakeTrackerTable)

    def watcher(self, gate: TurnGate | None = None) -> Watcher:
        return Watcher(
            self.tracker.orders(),
            self.ordering(gate),
            lambda: None,
            clock=self.time.clock,
            wait=lambda _: False,
            emit=lambda _: None,
            jitter=random.Random(0),
        )

    def track(self) -> None:
        """The tracker hears all that is published by now."""
        for number, event in enumerate(self.published, 1):
            header, of_ours = read(event.data)
            noted = seen_event(
                header, of_ours, arrived_at=self.time.now(), shard="shard-1", sequence=str(number), sub=0
            )
            self.tracker.orders().join(ORDER_ID, seen([noted]))

    def ordering(self, gate: TurnGate | None = None) -> Ordering:
        through = gate.through if gate else _at_once
        return Ordering(
            cast("Any", Gated(self.orders, through)),
            cast("EventPublisher", Publisher(self.published, through)),
            clock=self.time.clock,
            emit=lambda _: None,
            answer_within=timedelta(seconds=10),
            accept_within=timedelta(minutes=10),
            wait=lambda _: False,
        )

    def stored(self) -> Order:
        order = self.orders.get(ORDER_ID)
        assert order
        return order


def _at_once(apply: Callable[[], Any]) -> Any:
    return apply()


class Gated:
    """A store whose every call waits for its turn, and may be the last of its process."""

    def __init__(self, orders: FakeOrders, through: Callable[[Callable[[], Any]], Any]) -> None:
        self._orders = orders
        self._through = through

    def __getattr__(self, name: str) -> Any:
        return lambda *arguments: self._through(lambda: getattr(self._orders, name)(*arguments))


class Publisher:
    """A stream that takes everything."""

    def __init__(self, published: list[EncodedEvent[Event]], through: Callable[[Callable[[], Any]], Any]) -> None:
        self._published = published
        self._through = through

    def publish(self, event: EncodedEvent[Event]) -> "Future[None]":
        self._through(lambda: self._published.append(event))
        done: Future[None] = Future()
        done.set_result(None)
        return done


@dataclass(frozen=True)
class Attempt:
    """A command of `COMMANDS`, or a watcher's look, in a process that dies at its so many-th call, if that comes."""

    number: int
    dies_at: int


ATTEMPTS = st.lists(st.builds(Attempt, st.integers(0, WATCHES), st.integers(1, 9)), min_size=2, max_size=5)


@pytest.mark.slow
@given(
    attempts=ATTEMPTS,
    turns=st.lists(st.integers(0, 4), max_size=40),
    # Seconds between two calls: most are none, and accept_by is 600 s after the placing.
    passes=st.lists(st.sampled_from([0, 0, 0, 0, 1, 299, 300, 599, 600]), max_size=40),
)
# Of two watchers each dies, one of them between store and stream, and no command comes.
@example(attempts=[Attempt(WATCHES, 1), Attempt(WATCHES, 3)], turns=[], passes=[600])
def test_however_commands_meet_an_order_has_one_outcome(
    attempts: list[Attempt], turns: list[int], passes: list[int]
) -> None:
    world, answers = World(), list[tuple[int, Done | Refusal]]()
    world.ordering().place(PLACE, customer_id="customer-1", idempotency_key="key-1", traceparent=None)
    world.track()
    schedule, remaining = Turns(turns), iter(passes)

    def between() -> None:
        world.time.advance(next(remaining, 0))
        assert len(outcomes(world.stored())) <= 1

    def gate(name: str, dies_at: int) -> TurnGate:
        def dies(calls: int) -> None:
            if calls == dies_at:
                raise Died

        opened = schedule.gate(name)
        opened.dies = dies
        return opened

    schedule.run(
        {
            f"{at}": carrying_out(world, attempt, gate(f"{at}", attempt.dies_at), answers)
            for at, attempt in enumerate(attempts)
        },
        between,
    )
    # Those whose process died, and all others, ask again, or look again.
    for attempt in attempts:
        if attempt.number == WATCHES:
            assert world.watcher().look()
        else:
            answers.append((attempt.number, performed(world.ordering(), attempt.number)))
    require_one_outcome(world, attempts, answers)
    # Where no command comes, a watcher does, hours later: whatever was answered stays, and what was not has expired.
    unanswered = not outcomes(world.stored())
    world.time.advance(7_200)
    assert world.watcher().look()
    assert isinstance(outcomes(world.stored())[0], OrderExpired) or not unanswered
    require_one_outcome(world, attempts, answers)


def carrying_out(
    world: World, attempt: Attempt, gate: TurnGate, answers: list[tuple[int, Done | Refusal]]
) -> Callable[[], None]:
    def carried_out() -> None:
        try:
            if attempt.number == WATCHES:
                world.watcher(gate).look()
            else:
                answers.append((attempt.number, performed(world.ordering(gate), attempt.number)))
        except Died:
            return

    return carried_out


def performed(ordering: Ordering, number: int) -> Done | Refusal:
    command, subject = COMMANDS[number]
    return ordering.perform(command, order_id=ORDER_ID, subject=subject, idempotency_key=None)


def outcomes(order: Order) -> list[Event]:
    return [one.envelope.event for one in order.later if isinstance(one.envelope.event, ANSWERS)]


def require_one_outcome(world: World, attempts: list[Attempt], answers: list[tuple[int, Done | Refusal]]) -> None:
    order = world.stored()
    history = [one.envelope for one in order.history]
    answer = next((one for one in history if isinstance(one.event, ANSWERS)), None)
    asked = {type(COMMANDS[attempt.number][0]) for attempt in attempts if attempt.number != WATCHES}
    assert len(outcomes(order)) == (1 if answer else 0)
    assert answer or not asked & {AcceptOrder, RejectOrder, CancelOrder}
    if answer and order.placed.accept_by:
        assert (answer.occurred_at >= order.placed.accept_by) == isinstance(answer.event, OrderExpired)
    # What is on the stream is what is stored, first in its order: a loser's event never was.
    assert list(dict.fromkeys(one.envelope.event_id for one in world.published)) == [one.event_id for one in history]
    stored = {one.event_id: type(one.event) for one in history}
    done: dict[int, Done] = {}
    for number, told in answers:
        assert isinstance(told, Done | WrongState | TooEarly)
        if isinstance(told, Done):
            assert stored[told.event_id] is BRINGS_ABOUT[number]
            assert done.setdefault(number, told) == told
        else:
            assert number not in done
        if isinstance(told, WrongState):
            assert any(told.detail.endswith(f"this one is {state}.") for state in reached(order.state))
