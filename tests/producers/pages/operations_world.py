"""The operations page over facts of one look, and an order that the tracker has seen."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from litestar import Litestar

from events import arrows
from events.timeline import seen
from producers.api.app import create_app
from producers.pages.frame import Pages, SignInKey, frame
from producers.pages.operations import ConsumerRow, LateStep, OldestOrder, Operations, ShardRow, operations_pages
from producers.publishing.publisher import EventPublisher
from tests.events.test_timeline import NOTIFIED, PLACED, places
from tests.support.builders import NOON
from tests.support.fakes.clock import FakeClock
from tests.support.fakes.kinesis import FakeKinesis
from tests.support.fakes.marks import FakeMarks
from tests.support.fakes.orders import FakeOrders
from tests.support.fakes.tracker_table import FakeTrackerTable
from tests.support.worlds.orders_api import KEY

ORDER = "order-1"
EVENTS = sorted({event for _, event, _ in arrows()})


def a_look(**changes: Any) -> Operations:
    consumers = ("restaurant_notifier", "user_notifier", "archiver", "promo_issuer", "voucher_mailer")
    facts: dict[str, Any] = {
        "at": NOON,
        "since": NOON - timedelta(minutes=5),
        "problems": ("user_notifier (pid 4242) is frozen: 73 records unread, the oldest for 29 s",),
        "counts": {name: 1234 + number for number, name in enumerate(EVENTS)},
        "rates": {name: 0.7 for name in EVENTS if name != "order_expired"},
        "shards": (
            ShardRow("shardId-000000000000", 3.7, 2.7, 0.01),
            ShardRow("shardId-000000000001", None, None, None),
        ),
        "consumers": tuple(
            ConsumerRow(
                name,
                name != "user_notifier",
                "73" if name == "user_notifier" else "0",
                "29 s",
                "0",
                "pid 4242",
                {"order_accepted": 12} if name == "user_notifier" else {},
                ORDER,
            )
            for name in consumers
        ),
        "orders": (OldestOrder("placed", "3", ORDER, NOON), OldestOrder("accepted", "8", ORDER, NOON)),
        "missed": "12+",
        "late": (LateStep(ORDER, "user_notifier", "user_notified", "customers", NOON),),
        "slowest": "restaurant after order_accepted: 37 s of 120 s (31%)",
    }
    return Operations(**{**facts, **changes})


class World:
    """`look` is what the page is given; `looks` counts how often it was asked for."""

    def __init__(self) -> None:
        self.time = FakeClock()
        self.look = a_look()
        self.looks = 0
        self.tracker = FakeTrackerTable()
        self.tracker.orders().join(ORDER, seen(places(PLACED, NOTIFIED)))

    def looked(self) -> Operations:
        self.looks += 1
        return self.look


@contextmanager
def serving(world: World) -> Iterator[Litestar]:
    kinesis, clock = FakeKinesis(world.time.clock), world.time.clock
    told: list[Any] = []
    pages = Pages(SignInKey(KEY), clock)
    publisher = EventPublisher(kinesis.client, "orders", clock=clock, wait=world.time.wait, emit=told.append)
    with publisher:
        marks: Any = FakeMarks()
        orders: Any = FakeOrders()
        yield create_app(
            orders,
            world.tracker.orders(),
            publisher,
            KEY,
            clock,
            told.append,
            additions=[frame(pages, marks, told.append), operations_pages(world.looked)(pages, told.append)],
        )
