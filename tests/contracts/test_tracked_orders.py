"""The tracker's table on a real DynamoDB API: joined by two writers, listed by pages, due, and forgotten."""

import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import msgspec
import pytest

from events.timeline import SeenEvent, seen, timeline_bytes
from foundation.clock import uninterrupted_wait
from producers.assembly import read_shards, tracked_orders
from producers.tracking import DUE_KEYS, BadCursor, Page, TrackedOrders
from producers.tracking.item import part_of
from tests.events.test_timeline import ACCEPTED, COMPLETED, EVERYTHING, NOTIFIED, PLACED, TOLD_READY, at, places, told
from tests.support.builders import NOON

if TYPE_CHECKING:
    from tests.conftest import LocalAws

pytestmark = pytest.mark.local_aws


@pytest.fixture
def orders(local_aws: "LocalAws") -> TrackedOrders:
    return tracked_orders(local_aws.environ)


def an_id(of: str) -> str:
    return f"{of}-{uuid.uuid4()}"


def of(customer: str, minute: int, *events: SeenEvent, restaurant: str = "restaurant-1") -> list[SeenEvent]:
    """These events as a customer's, each so many minutes later."""
    return [
        msgspec.structs.replace(
            one,
            customer_id=customer,
            restaurant_id=restaurant,
            occurred_at=one.occurred_at + timedelta(minutes=minute),
        )
        for one in events
    ]


def test_an_order_is_joined_and_read_alone_and_among_many(orders: TrackedOrders) -> None:
    names = [an_id("order") for _ in range(105)]
    assert orders.get(names[0]) is None
    with ThreadPoolExecutor(8) as threads:
        written = list(threads.map(lambda name: orders.join(name, seen([at(1, PLACED)])), names))
    assert orders.get(names[0]) == written[0]
    assert orders.get_many([*names, names[0], "unknown"]) == dict(zip(names, written, strict=True))


def test_eight_writers_of_one_order_come_to_the_same_bytes(orders: TrackedOrders) -> None:
    name = "order-1-" + uuid.uuid4().hex
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda one: orders.join(name, seen([one])), [*EVERYTHING, *reversed(EVERYTHING)]))
    order = orders.get(name)
    assert order is not None
    expected = msgspec.structs.replace(told(EVERYTHING), order_id=name)
    assert timeline_bytes(order.timeline) == timeline_bytes(expected)


def all_pages(orders: TrackedOrders, customer: str, **how: object) -> list[str]:
    found: list[str] = []
    cursor = None
    while True:
        page: Page = orders.of_customer(customer, limit=3, cursor=cursor, **how)  # type: ignore[arg-type]
        found += [one.order_id for one in page.orders]
        cursor = page.cursor
        if cursor is None:
            return found


def test_a_customers_and_a_restaurants_orders_are_listed_the_newest_first(orders: TrackedOrders) -> None:
    ada, bob, place = an_id("customer"), an_id("customer"), an_id("restaurant")
    names = [an_id("order") for _ in range(8)]
    for minute, name in enumerate(names):
        events = of(ada, minute, *(places(PLACED) if minute % 2 else places(PLACED, ACCEPTED)), restaurant=place)
        orders.join(name, seen(events))
    his = an_id("order")
    orders.join(his, seen(of(bob, 99, *places(PLACED), restaurant=place)))
    wait = uninterrupted_wait()
    for _ in range(50):
        if len(all_pages(orders, ada)) == 8:
            break
        wait(0.1)
    assert all_pages(orders, ada) == names[::-1]
    assert all_pages(orders, ada, state="placed") == names[::-1][::2]
    [newest] = orders.of_customer(ada, limit=1).orders
    assert (newest.state, newest.placed_at) == ("placed", NOON + timedelta(minutes=7))
    assert (newest.customer_id, newest.restaurant_id) == (ada, place)
    page = orders.of_restaurant(place, limit=2)
    assert [one.order_id for one in page.orders] == [his, names[7]]
    assert [one.order_id for one in orders.of_restaurant(place, limit=2, cursor=page.cursor).orders] == names[6:4:-1]
    assert orders.of_customer(an_id("customer"), limit=2) == Page((), None)
    with pytest.raises(BadCursor):
        orders.of_customer(ada, limit=2, cursor="nonsense")


def test_all_orders_are_listed_across_their_parts(orders: TrackedOrders) -> None:
    # Newer than those of any other test.
    names = [an_id("order") for _ in range(20)]
    for minute, name in enumerate(names):
        orders.join(name, seen(of("customer-1", 1_000_000 + minute, *places(PLACED))))
    assert len({part_of(name) for name in names}) > 1
    first = orders.all(limit=12)
    assert [one.order_id for one in first.orders] == names[:7:-1]
    second = orders.all(limit=8, cursor=first.cursor, state="placed")
    assert [one.order_id for one in second.orders] == names[7::-1]


def test_what_is_due_is_found_until_it_waits_for_nothing(orders: TrackedOrders) -> None:
    name, later = an_id("order"), an_id("order")
    while part_of(later) != part_of(name):
        later = an_id("order")
    orders.join(name, seen(places(PLACED, NOTIFIED)))
    orders.join(later, seen([at(3600, ACCEPTED)]))
    key = part_of(name)

    def due(minutes: float) -> list[str]:
        found = orders.due(key, NOON + timedelta(minutes=minutes), 1000)
        assert [one.due_at for one in found] == sorted(one.due_at for one in found)
        return [one.order_id for one in found if one.order_id in (name, later)]

    assert (due(10), due(10.01), due(70)) == ([], [name], [name, later])
    orders.join(name, seen([at(3, COMPLETED), at(4, TOLD_READY)]))
    assert due(70) == [later]


def test_what_is_settled_comes_due_no_more_whatever_is_seen_later(orders: TrackedOrders) -> None:
    name = an_id("order")
    order = orders.join(name, seen(places(PLACED)))
    key, late = part_of(name), NOON + timedelta(minutes=90)

    def due() -> list[datetime]:
        return [one.due_at for one in orders.due(key, late, 1000) if one.order_id == name]

    assert due() == [order.deadlines[0].due]
    assert orders.settle(order, order.deadlines[:1]) == order.deadlines[:1]
    assert due() == [order.deadlines[1].due]
    # Of two that saw the same one hears that it is news; what was seen in between stays.
    orders.join(name, seen([at(2, NOTIFIED)]))
    assert orders.settle(order, order.deadlines) == order.deadlines[1:]
    assert orders.settle(order, order.deadlines) == ()
    assert due() == []
    there = orders.get(name)
    assert there is not None
    assert there.known == seen(places(PLACED, NOTIFIED))
    assert orders.join(name, seen([at(3, ACCEPTED)])).settled == there.settled
    assert len(due()) == 1


def test_more_orders_are_due_than_a_page_of_the_index_has(orders: TrackedOrders) -> None:
    names = {an_id("order") for _ in range(40)}
    long_ago = NOON - timedelta(days=365)
    for name in names:
        placed = msgspec.structs.replace(at(1, PLACED), arrived_at=long_ago, accept_by=long_ago)
        orders.join(name, seen([placed]))
    found = [one.order_id for key in DUE_KEYS for one in orders.due(key, long_ago + timedelta(minutes=5), 1000)]
    assert sorted(found) == sorted(names)
    assert all(len(orders.due(key, NOON, 1)) <= 1 for key in DUE_KEYS)


def test_how_far_a_shard_is_read_only_grows(local_aws: "LocalAws") -> None:
    shards, left, right = read_shards(local_aws.environ), an_id("shard"), an_id("shard")
    shards.note(left, NOON + timedelta(minutes=2))
    assert shards.until([left, right]) is None
    shards.note(right, NOON + timedelta(minutes=3))
    shards.note(left, NOON)
    assert shards.until([left, right]) == NOON + timedelta(minutes=2)


def test_a_forgotten_customers_orders_go_but_for_those_named(orders: TrackedOrders) -> None:
    ada, bob = an_id("customer"), an_id("customer")
    mine, kept, his = (an_id("order") for _ in range(3))
    for name, customer in ((mine, ada), (kept, ada), (his, bob)):
        orders.join(name, seen(of(customer, 0, *places(PLACED))))
    assert orders.forget_customer(ada, but=[kept]) == 1
    assert [orders.get(name) is None for name in (mine, kept, his)] == [True, False, False]
    assert orders.forget_customer(ada) == 1
