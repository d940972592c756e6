"""A flow in memory for the watcher: an orders table, a stream, a tracker that follows it, and time that is moved."""

import random
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, cast

from events.envelope import EventEnvelope, following
from events.orders import Event, OrderPlaced, RestaurantNotified
from events.timeline import seen, seen_event
from events.wire import EncodedEvent, encoded, read
from foundation.clock import Clock
from foundation.diagnostics import Diagnostic
from producers.deadlines import Reach, Watcher
from producers.orders import AcceptOrder, Command, Ordering, PlaceOrder, derive_order_id
from producers.publishing import EventPublisher, PublishFailed
from tests.support.builders import an_order_item
from tests.support.fakes.clock import FakeClock
from tests.support.fakes.orders import FakeOrders
from tests.support.fakes.tracker_table import FakeTrackerTable

CUSTOMER, RESTAURANT = "customer-1", "restaurant-1"
PLACE = PlaceOrder(
    restaurant_id=RESTAURANT,
    customer_name="Ada",
    customer_email="ada@example.com",
    items=(an_order_item(),),
    currency="EUR",
    city="Utrecht",
)
ACCEPT = AcceptOrder(ready_in_minutes=5)
ACCEPT_WITHIN = timedelta(minutes=10)
SHARD = "shardId-000000000000"


@dataclass(frozen=True)
class _Expires:
    """What the watcher asks of the orders context, and what happens just before."""

    ordering: Ordering
    before: Callable[[], None]

    def expire(self, order_id: str) -> Any:
        self.before()
        return self.ordering.expire(order_id)


@dataclass
class Flow:
    """`track` has the tracker catch up with the stream; until then it knows nothing of what was published."""

    speed: float = 1.0
    accept_within: timedelta | None = ACCEPT_WITHIN
    time: FakeClock = field(default_factory=FakeClock)
    orders: FakeOrders = field(default_factory=FakeOrders)
    table: FakeTrackerTable = field(default_factory=FakeTrackerTable)
    # Each with when it arrived.
    stream: list[tuple[EncodedEvent[Event], datetime]] = field(default_factory=list)
    told: list[Diagnostic] = field(default_factory=list)
    open_shards: list[str] = field(default_factory=lambda: [SHARD])
    stream_is_down: bool = False
    _tracked: int = 0

    def publish(self, event: EncodedEvent[Event]) -> "Future[None]":
        answer: Future[None] = Future()
        if self.stream_is_down:
            answer.set_exception(PublishFailed("given up"))
        else:
            self.stream.append((event, self.time.now()))
            answer.set_result(None)
        return answer

    def ordering(self, clock: Clock | None = None) -> Ordering:
        return Ordering(
            self.orders,
            cast("EventPublisher", self),
            clock=clock or self.time.clock,
            emit=lambda _: None,
            answer_within=timedelta(seconds=10),
            accept_within=self.accept_within,
            wait=lambda _: False,
        )

    def watcher(
        self,
        seed: int = 0,
        *,
        clock: Clock | None = None,
        before_expiry: Callable[[], None] = lambda: None,
        before_asking: Callable[[], None] = lambda: None,
    ) -> Watcher:
        """`before_asking` happens before each question how far the tracker has read."""

        def read_until() -> datetime | None:
            before_asking()
            return reach.until()

        ordering = cast("Ordering", _Expires(self.ordering(clock), before_expiry))
        reach = Reach(lambda: self.open_shards, self.table.shards(), clock=self.time.clock)
        return Watcher(
            self.table.orders(speed=self.speed),
            ordering,
            read_until,
            clock=clock or self.time.clock,
            wait=self.time.wait,
            emit=self.told.append,
            jitter=random.Random(seed),
        )

    def place(self, key: str = "key-1") -> str:
        self.ordering().place(PLACE, customer_id=CUSTOMER, idempotency_key=key, traceparent=None)
        return derive_order_id(CUSTOMER, key)

    def perform(self, order_id: str, command: Command = ACCEPT, subject: str | None = RESTAURANT) -> Any:
        return self.ordering().perform(command, order_id=order_id, subject=subject, idempotency_key=None)

    def notify(self, order_id: str) -> None:
        """What the restaurant's notifier tells."""
        [placed] = [one for one in self.of(order_id) if isinstance(one.event, OrderPlaced)]
        told = RestaurantNotified(restaurant_id=RESTAURANT, channel="sns", message_id="message-1")
        self.publish(encoded(following(placed, told, occurred_at=self.time.now(), producer="restaurant_notifier")))

    def track(self, *shards: str) -> None:
        for number, (event, arrived_at) in enumerate(self.stream[self._tracked :], self._tracked + 1):
            header, of_ours = read(event.data)
            noted = seen_event(header, of_ours, arrived_at=arrived_at, shard=SHARD, sequence=str(number), sub=0)
            self.table.orders(speed=self.speed).join(header.order_id, seen([noted]))
        self._tracked = len(self.stream)
        for shard in shards or (SHARD,):
            self.table.shards().note(shard, self.time.now())

    def of(self, order_id: str) -> list[EventEnvelope[Event]]:
        return [event.envelope for event, _ in self.stream if event.envelope.order_id == order_id]

    def types(self, order_id: str) -> list[str]:
        return [envelope.event_type for envelope in self.of(order_id)]

    def pass_to(self, moment: datetime) -> None:
        self.time.advance((moment - self.time.now()).total_seconds())

    def due_parts(self) -> list[str]:
        return [name for name, item in self.table.items.items() if "due_at" in item]
