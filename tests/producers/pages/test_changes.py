"""The streams that pages follow: what they say, of whose orders, and when they end."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from producers.api.problems import Problem
from producers.orders.tokens import Principal, Role
from producers.pages.orders.changes import Changes, ChangesLimits, Watcher
from tests.support.worlds.orders_api import OrdersApi

HOUR = timedelta(hours=1)


def who(subject: str, role: Role = "customer") -> Principal:
    return Principal(subject=subject, role=role)


def changes(api: OrdersApi, **limits: Any) -> Changes:
    return Changes(api.tracker.orders(), api.diagnostics.append, ChangesLimits(**limits))


async def begun(all_changes: Changes, watcher: Watcher) -> Any:
    """Its parts, behind the first one."""
    parts = all_changes.parts(watcher)
    assert await anext(parts) == b"retry: 2000\n\nevent: here\ndata: {}\n\n"
    return parts


def test_a_page_hears_at_once_of_its_own_orders_alone(api: OrdersApi) -> None:
    order_id = api.placed()
    order = api.orders.get(order_id)
    assert order

    async def hear() -> None:
        all_changes = changes(api)
        await all_changes.start()
        own = [who("customer-1"), who("restaurant-1", "restaurant")]
        others = [who("customer-2"), who("restaurant-2", "restaurant"), who("customer-1", "restaurant")]
        watchers = {one: all_changes.follow(one, HOUR) for one in (*own, *others)}
        all_changes.carried_out(order)
        await asyncio.sleep(0)
        for one in own:
            parts = await begun(all_changes, watchers[one])
            assert await anext(parts) == f'data: {{"order_id":"{order_id}","state":"placed"}}\n\n'.encode()
            assert all_changes.recent(one) == [order_id]
        for one in others:
            assert watchers[one].take() == b""
            assert all_changes.recent(one) == []
        await all_changes.stop()

    asyncio.run(hear())


def test_streams_are_bounded_in_all_and_for_each_principal(api: OrdersApi) -> None:
    async def crowd() -> None:
        all_changes = changes(api, streams=3, of_principal=2)
        first = all_changes.follow(who("customer-1"), HOUR)
        for _ in range(2):
            all_changes.follow(who("customer-1"), HOUR)
        assert first.closed_for == "replaced"
        parts = await begun(all_changes, first)
        assert await anext(parts) == b'event: end\ndata: {"reason":"replaced"}\n\n'
        last = all_changes.follow(who("customer-2"), HOUR)
        with pytest.raises(Problem) as refused:
            all_changes.follow(who("customer-3"), HOUR)
        assert refused.value.body.status == 503
        all_changes.leave(last)
        all_changes.follow(who("customer-3"), HOUR)

    asyncio.run(crowd())


def test_a_stream_ends_with_its_session(api: OrdersApi) -> None:
    async def end() -> None:
        all_changes = changes(api)
        parts = await begun(all_changes, all_changes.follow(who("customer-1"), timedelta(0)))
        assert await anext(parts) == b'event: end\ndata: {"reason":"idle"}\n\n'

    asyncio.run(asyncio.wait_for(end(), 5))
