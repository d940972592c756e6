"""The streams that pages follow: what they say, of whose orders, and when they end."""

import asyncio
import threading
from datetime import timedelta
from typing import Any

import pytest

from events.timeline import seen
from producers.api.following import Follower
from producers.api.streams import OrderStreams, StreamLimits
from producers.orders import Principal, Role
from producers.pages.orders.changes import Changes
from producers.pages.orders.recent import RecentOrders
from producers.tracking import TrackedOrder
from tests.events.test_timeline import PLACED, WHOLE, at, places
from tests.support.builders import an_envelope, an_order_placed
from tests.support.worlds.orders_api import OrdersApi

HOUR = timedelta(hours=1)
SOON = timedelta(milliseconds=2)


def who(subject: str, role: Role = "customer") -> Principal:
    return Principal(subject=subject, role=role)


def streams(api: OrdersApi, **limits: Any) -> OrderStreams:
    return OrderStreams(api.tracker.orders(), StreamLimits(**limits), api.diagnostics.append)


def follow(some: OrderStreams, principal: Principal, admitted_for: timedelta = HOUR) -> Changes:
    changes = Changes(principal, admitted_for)
    some.enter(changes)
    return changes


async def begun(some: OrderStreams, changes: Changes) -> Any:
    """Its parts, behind the first one."""
    parts = some.parts(changes)
    assert await anext(parts) == b"retry: 2000\n\nevent: here\ndata: {}\n\n"
    return parts


def test_a_page_hears_at_once_of_its_own_orders_alone(api: OrdersApi) -> None:
    order_id = api.placed()
    order = api.orders.get(order_id)
    assert order

    async def hear() -> None:
        some = streams(api)
        await some.start()
        own = [who("customer-1"), who("restaurant-1", "restaurant")]
        others = [who("customer-2"), who("restaurant-2", "restaurant"), who("customer-1", "restaurant")]
        changes = {one: follow(some, one) for one in (*own, *others)}
        some.carried_out(order)
        await asyncio.sleep(0)
        for one in own:
            parts = await begun(some, changes[one])
            assert await anext(parts) == f'data: {{"order_id":"{order_id}","state":"placed"}}\n\n'.encode()
        for one in others:
            assert changes[one].take() == b""
        await some.stop()

    asyncio.run(hear())


def test_lists_have_what_a_command_of_the_process_has_led_on_of_ones_own(api: OrdersApi) -> None:
    ids = [api.placed(), api.placed()]
    recent = RecentOrders()
    for order_id in (*ids, ids[0]):
        order = api.orders.get(order_id)
        assert order
        recent.carried_out(order)
    assert recent.of(who("customer-1")) == ids
    assert recent.of(who("customer-2")) == []


def test_a_principal_has_four_pages_beside_the_order_that_it_follows_over_the_api(api: OrdersApi) -> None:
    async def crowd() -> None:
        some = streams(api)
        followed = Follower(who("customer-1"), TrackedOrder("order-1"), HOUR)
        some.enter(followed)
        pages = [follow(some, who("customer-1")) for _ in range(5)]
        parts = await begun(some, pages[0])
        assert await anext(parts) == b'event: end\ndata: {"reason":"replaced"}\n\n'
        assert [one.closed_for for one in (followed, *pages[1:])] == [None] * 5

    asyncio.run(crowd())


def test_one_reader_asks_for_pages_and_for_those_who_follow_an_order(api: OrdersApi) -> None:
    api.tracker.orders().join("order-1", seen([at(1, PLACED)]))
    api.tracker.orders().join("order-9", seen([at(1, an_envelope(an_order_placed(), order_id="order-9"))]))

    async def read() -> None:
        readers: list[str] = []

        def thread(**how: Any) -> threading.Thread:
            readers.append(how["name"])
            return threading.Thread(**how)

        limits = StreamLimits(look=SOON)
        some = OrderStreams(api.tracker.orders(), limits, api.diagnostics.append, thread=thread)
        changes = follow(some, who("customer-1"))
        followed = Follower(who("customer-2"), TrackedOrder("order-9"), HOUR)
        some.enter(followed)
        await some.start()
        async with asyncio.timeout(30):
            await followed.changed.wait()
            await changes.changed.wait()
        await some.stop()
        # Both orders are this customer's.
        told = [b'data: {"order_id":"%b","state":"placed"}' % name for name in (b"order-1", b"order-9")]
        assert sorted(changes.take().split(b"\n\n")) == [b"", *told]
        assert followed.order.version == 1
        assert readers == ["followed orders"]

    asyncio.run(read())


def test_of_an_order_that_is_over_a_page_is_not_read_for_for_ever(api: OrdersApi) -> None:
    """What follows from its end comes soon behind it."""
    api.tracker.orders().join("order-1", seen(places(*WHOLE)))
    tracked, asked = api.tracker.orders(), list[set[str]]()
    get_many = tracked.get_many

    def counted(order_ids: Any, **how: Any) -> Any:
        asked.append(set(order_ids))
        return get_many(order_ids, **how)

    async def read(monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(tracked, "get_many", counted)
        some = OrderStreams(tracked, StreamLimits(look=SOON, quiet_looks=3), api.diagnostics.append)
        follow(some, who("customer-1"))
        await some.start()
        while len(asked) < 6:
            await asyncio.sleep(0.002)
        await some.stop()
        assert asked[:6] == [{"order-1"}] * 3 + [set()] * 3

    with pytest.MonkeyPatch.context() as monkeypatch:
        asyncio.run(asyncio.wait_for(read(monkeypatch), 30))


def test_a_stream_ends_with_its_session(api: OrdersApi) -> None:
    async def end() -> None:
        some = streams(api)
        parts = await begun(some, follow(some, who("customer-1"), timedelta(0)))
        assert await anext(parts) == b'event: end\ndata: {"reason":"idle"}\n\n'

    asyncio.run(asyncio.wait_for(end(), 5))
