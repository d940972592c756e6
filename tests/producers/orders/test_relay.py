"""The relay: whatever process dies at whatever call, what is stored comes onto the stream, in order, and to rest."""

import random
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, cast

import pytest
from botocore.exceptions import BotoCoreError, EndpointConnectionError, ReadTimeoutError
from hypothesis import given
from hypothesis import strategies as st

from events import EncodedEvent, Event
from foundation.diagnostics import Diagnostic
from foundation.dynamodb import FAILURES_A_ROUND, MOST_OF_A_PART
from producers.orders.commands import Order, derive_order_id
from producers.orders.diagnostics import NotRelayed, Relayed, RelayStands
from producers.orders.ordering import Done, Ordering
from producers.orders.relay import PENDING_FOR, Relay, RelayThread
from producers.orders.requests import AcceptOrder, CompleteOrder, PlaceOrder
from producers.orders.table import PENDING_KEYS, pending_key
from producers.publishing import EventPublisher, PublishFailed
from tests.support.builders import an_order_item
from tests.support.fakes.clock import FakeClock
from tests.support.fakes.orders import FakeOrders
from tests.support.fakes.turns import TurnGate, Turns

CUSTOMER, RESTAURANT = "customer-1", "restaurant-1"
KEYS = ("key-1", "key-2")
PLACE = PlaceOrder(
    restaurant_id=RESTAURANT,
    customer_name="Ada",
    customer_email="ada@example.com",
    items=(an_order_item(),),
    currency="EUR",
    city="Utrecht",
)
ACCEPT = AcceptOrder(ready_in_minutes=5)


class Died(BaseException):
    """The process, here."""


Through = Callable[[Callable[[], Any]], Any]


def at_once(apply: Callable[[], Any]) -> Any:
    return apply()


class Gated:
    """A store whose every call goes through what a test has between it and a process."""

    def __init__(self, orders: FakeOrders, through: Through) -> None:
        self._orders = orders
        self._through = through

    def __getattr__(self, name: str) -> Any:
        return lambda *arguments: self._through(lambda: getattr(self._orders, name)(*arguments))


class Publisher:
    """A stream that takes everything; a call that fails on its way is an event that was given up, on it or not."""

    def __init__(self, published: list[EncodedEvent[Event]], through: Through) -> None:
        self._published = published
        self._through = through

    def publish(self, event: EncodedEvent[Event]) -> "Future[None]":
        answer: Future[None] = Future()
        try:
            self._through(lambda: self._published.append(event))
        except BotoCoreError:
            answer.set_exception(PublishFailed("given up"))
        else:
            answer.set_result(None)
        return answer


@dataclass
class World:
    """One table, one stream, and any number of processes beside each other."""

    time: FakeClock = field(default_factory=FakeClock)
    orders: FakeOrders = field(default_factory=FakeOrders)
    published: list[EncodedEvent[Event]] = field(default_factory=list)
    told: list[Diagnostic] = field(default_factory=list)

    def ordering(self, through: Through = at_once) -> Ordering:
        return Ordering(
            cast("Any", Gated(self.orders, through)),
            cast("EventPublisher", Publisher(self.published, through)),
            clock=self.time.clock,
            emit=lambda _: None,
            answer_within=timedelta(seconds=10),
            accept_within=timedelta(hours=10),
            wait=lambda _: False,
        )

    def relay(self, through: Through = at_once, seed: int = 0) -> Relay:
        return Relay(
            cast("Any", Gated(self.orders, through)),
            self.ordering(through),
            clock=self.time.clock,
            wait=self.time.wait,
            emit=self.told.append,
            jitter=random.Random(seed),
        )

    def place(self, key: str, through: Through = at_once) -> None:
        self.ordering(through).place(PLACE, customer_id=CUSTOMER, idempotency_key=key, traceparent=None)

    def left_behind(self, key: str) -> Order:
        """An order whose process died between table and stream."""
        with pytest.raises(Died):
            self.place(key, dying(at=2))
        return self.stored(derive_order_id(CUSTOMER, key))

    def stored(self, order_id: str) -> Order:
        order = self.orders.get(order_id)
        assert order
        return order

    def published_of(self, order_id: str) -> list[str]:
        return [event.envelope.event_id for event in self.published if event.envelope.order_id == order_id]


def dying(*, at: int) -> Through:
    calls = 0

    def through(apply: Callable[[], Any]) -> Any:
        nonlocal calls
        calls += 1
        if calls == at:
            raise Died
        return apply()

    return through


def event_ids(order: Order) -> list[str]:
    return [performed.envelope.event_id for performed in order.history]


def test_what_a_process_left_behind_is_published_seconds_later_and_not_before() -> None:
    world = World()
    order = world.left_behind("key-1")
    relay = world.relay()
    world.time.advance(PENDING_FOR.total_seconds())
    assert relay.look()
    assert world.published == []
    world.time.advance(0.001)
    assert relay.look()
    assert world.published_of(order.order_id) == event_ids(order)
    assert world.stored(order.order_id).is_acknowledged
    assert world.orders.pending_since == {}
    assert world.told == [Relayed(order.order_id, 1)]
    assert relay.look()
    assert len(world.published) == 1


def test_what_an_order_has_left_behind_is_published_in_its_order() -> None:
    world = World()
    order_id = world.left_behind("key-1").order_id
    with pytest.raises(Died):
        world.ordering(dying(at=3)).perform(ACCEPT, order_id=order_id, subject=RESTAURANT, idempotency_key=None)
    world.time.advance(5)
    assert world.relay().look()
    assert world.published_of(order_id) == event_ids(world.stored(order_id))
    assert world.told == [Relayed(order_id, 2)]


def test_what_follows_an_event_that_was_given_up_is_not_published() -> None:
    world = World()
    order_id = world.left_behind("key-1").order_id
    with pytest.raises(Died):
        world.ordering(dying(at=3)).perform(ACCEPT, order_id=order_id, subject=RESTAURANT, idempotency_key=None)
    publishes = 0

    def first_is_given_up(apply: Callable[[], Any]) -> Any:
        nonlocal publishes
        if "Publisher" in apply.__qualname__:
            publishes += 1
            if publishes == 1:
                raise EndpointConnectionError(endpoint_url="http://kinesis")
        return apply()

    assert world.ordering(first_is_given_up).relay(order_id) is None
    assert (publishes, world.published) == (1, [])


def test_an_order_whose_events_all_came_is_settled_and_nothing_published() -> None:
    world = World()
    order = world.left_behind("key-1")
    world.time.advance(5)
    world.orders.note_acknowledged(order, order.placing)
    world.orders.pending_since[order.order_id] = world.time.now() - timedelta(minutes=1)
    assert world.relay().look()
    assert (world.published, world.orders.pending_since, world.told) == ([], {}, [])


def test_an_order_that_was_removed_meanwhile_is_nothing_to_relay() -> None:
    world = World()
    order = world.left_behind("key-1")
    assert world.orders.remove(order)
    assert world.ordering().relay(order.order_id) == 0


def of_one_key(count: int) -> list[str]:
    """Idempotency keys whose orders are in the same part of the index."""
    keys = (f"key-{number}" for number in range(100 * PENDING_KEYS))
    return [key for key in keys if pending_key(derive_order_id(CUSTOMER, key)) == 3][:count]


class Unreadable(FakeOrders):
    """As a newer release's items are: nobody here can read some of them."""

    def __init__(self) -> None:
        super().__init__()
        self.unreadable: set[str] = set()

    def get(self, order_id: str) -> Order | None:
        if order_id in self.unreadable:
            raise ValueError("an event that is unknown here")
        return super().get(order_id)


def test_orders_that_cannot_be_relayed_hold_up_no_other() -> None:
    orders = Unreadable()
    world = World(orders=orders)
    bad = [world.left_behind(key).order_id for key in of_one_key(FAILURES_A_ROUND + 1)[:-1]]
    world.time.advance(1)
    good = world.left_behind(of_one_key(FAILURES_A_ROUND + 1)[-1])
    orders.unreadable = set(bad)
    relay = world.relay()
    world.time.advance(5)
    # So many in a row: that may be the table's fault, and the next look will tell.
    assert not relay.look()
    assert world.told == [NotRelayed(order_id, "ValueError") for order_id in bad]
    assert relay.look()
    assert world.told[len(bad) :] == [Relayed(good.order_id, 1)]
    world.time.advance(3)
    orders.unreadable.clear()
    assert relay.look()
    assert world.orders.pending_since == {}
    assert {event.envelope.order_id for event in world.published} == {good.order_id, *bad}


def test_as_many_that_cannot_be_relayed_as_a_look_takes_hold_up_no_other() -> None:
    orders = Unreadable()
    world = World(orders=orders)
    *bad_keys, good_key = of_one_key(MOST_OF_A_PART + 1)
    orders.unreadable = {world.left_behind(key).order_id for key in bad_keys}
    world.time.advance(1)
    good = world.left_behind(good_key)
    relay = world.relay()
    for _ in range(MOST_OF_A_PART // FAILURES_A_ROUND + 1):
        # So long that all that failed before is due again.
        world.time.advance(60)
        relay.look()
    assert world.published_of(good.order_id) == event_ids(good)


def test_a_stream_that_takes_nothing_is_asked_less_and_less() -> None:
    world = World()
    for number in range(8):
        world.left_behind(f"key-{number}")
    world.time.advance(5)
    calls = 0

    def refusing(apply: Callable[[], Any]) -> Any:
        nonlocal calls
        # Of a relay's call the store's are answered.
        if "Publisher" in apply.__qualname__:
            calls += 1
            raise EndpointConnectionError(endpoint_url="http://kinesis")
        return apply()

    relay = world.relay(refusing)
    passes = world.time.wait

    def for_ten_minutes(seconds: float) -> bool:
        return passes(seconds) or world.time.monotonic() > 600

    relay._rounds._wait = for_ten_minutes
    relay.run()
    pauses = [pause for pause in world.time.waits if pause]
    assert pauses[1] < pauses[3] < 30
    assert max(pauses) <= 30
    # Eight orders that are each tried for as long as all is well would be thousands.
    assert calls < 250
    assert world.published == []


def test_a_table_that_is_away_is_told_and_asked_again() -> None:
    world = World()
    order = world.left_behind("key-1")
    world.time.advance(5)
    world.orders.fail()
    relay = world.relay()
    assert not relay.look()
    assert world.told == [RelayStands("EndpointConnectionError")]
    assert relay.look()
    assert world.published_of(order.order_id) == event_ids(order)


def test_a_look_takes_a_bounded_number_and_the_next_one_the_rest() -> None:
    world = World()
    for key in of_one_key(MOST_OF_A_PART + 2):
        world.left_behind(key)
    world.time.advance(5)
    relay = world.relay()
    assert relay.look()
    assert len(world.published) == MOST_OF_A_PART
    assert relay.look()
    assert (len(world.published), world.orders.pending_since) == (MOST_OF_A_PART + 2, {})


def test_a_stop_ends_a_look_before_the_next_order() -> None:
    world = World()
    world.left_behind("key-1")
    world.time.advance(5)
    world.time.stopping = True
    world.relay().look()
    world.relay().run()
    assert world.published == []


def test_looks_come_every_second_or_two_and_not_at_once() -> None:
    world = World()
    first, second = world.relay(seed=1), world.relay(seed=2)
    pauses = [relay._rounds._pause(0) for relay in (first, second) for _ in range(20)]
    assert all(1 <= pause <= 2 for pause in pauses)
    assert len(set(pauses)) == len(pauses)


def test_the_thread_of_a_relay_ends_when_it_is_told_to() -> None:
    world = World()
    thread = RelayThread(
        lambda wait: Relay(
            world.orders,
            world.ordering(),
            clock=world.time.clock,
            wait=wait,
            emit=world.told.append,
            jitter=random.Random(),
        )
    )
    thread.start()
    thread.stop()
    thread.join()
    assert not thread.alive


@dataclass(frozen=True)
class Process:
    """What a process does, the call at which it dies, one that fails on its way and one whose answer is lost."""

    does: str
    key: str
    dies_at: int
    fails_at: int
    loses_at: int


# Of a dozen calls or so: most processes meet one fault, and some none.
_CALLS = st.integers(1, 24)
PROCESSES = st.lists(
    st.builds(
        Process,
        st.sampled_from(["place", "accept", "complete", "relay"]),
        st.sampled_from(KEYS),
        _CALLS,
        _CALLS,
        _CALLS,
    ),
    min_size=2,
    max_size=5,
)


@pytest.mark.slow
@given(
    processes=PROCESSES,
    dies_at=st.integers(1, 5),
    turns=st.lists(st.integers(0, 4), max_size=80),
    # Seconds between two calls: most are none, and a relay looks at what is pending for four.
    passes=st.lists(st.sampled_from([0, 0, 0, 1, 5]), max_size=80),
)
def test_whatever_dies_beside_whatever_relays_nothing_is_lost_and_order_is_kept(
    processes: list[Process], dies_at: int, turns: list[int], passes: list[int]
) -> None:
    world, done = World(), list[Done]()
    for key in KEYS:
        try:
            world.place(key, dying(at=dies_at))
        except Died:
            continue
    schedule, remaining = Turns(turns), iter(passes)

    def work(process: Process, gate: TurnGate) -> Callable[[], None]:
        through = disturbed(process, gate)

        def carried_out() -> None:
            try:
                answer = run(world, process, through)
            except (Died, BotoCoreError):
                return
            if isinstance(answer, Done):
                done.append(answer)

        return carried_out

    schedule.run(
        {f"{at}": work(process, schedule.gate(f"{at}")) for at, process in enumerate(processes)},
        lambda: world.time.advance(next(remaining, 0)),
    )
    # No client comes back; what lives on is a relay.
    relay = world.relay()
    for _ in range(3):
        world.time.advance(10)
        assert relay.look()
    assert world.orders.pending_since == {}
    for key in KEYS:
        order = world.orders.get(derive_order_id(CUSTOMER, key))
        came = world.published_of(derive_order_id(CUSTOMER, key))
        assert list(dict.fromkeys(came)) == (event_ids(order) if order else [])
        assert order is None or order.is_acknowledged
    assert {answer.event_id for answer in done} <= {event.envelope.event_id for event in world.published}


def disturbed(process: Process, gate: TurnGate) -> Through:
    """Every call of a process takes its turn, and may be the one that it dies at, or that goes wrong."""
    calls = 0

    def through(apply: Callable[[], Any]) -> Any:
        nonlocal calls
        calls += 1
        at = calls

        def applied() -> Any:
            if at == process.dies_at:
                raise Died
            if at == process.fails_at:
                raise EndpointConnectionError(endpoint_url="http://aws")
            answer = apply()
            if at == process.loses_at:
                raise ReadTimeoutError(endpoint_url="http://aws")
            return answer

        return gate.through(applied)

    return through


def run(world: World, process: Process, through: Through) -> Any:
    order_id = derive_order_id(CUSTOMER, process.key)
    match process.does:
        case "place":
            return world.place(process.key, through)
        case "accept":
            ordering = world.ordering(through)
            return ordering.perform(ACCEPT, order_id=order_id, subject=RESTAURANT, idempotency_key=None)
        case "complete":
            ordering = world.ordering(through)
            return ordering.perform(CompleteOrder(), order_id=order_id, subject=RESTAURANT, idempotency_key=None)
        case _:
            return world.relay(through, seed=process.dies_at).look()
