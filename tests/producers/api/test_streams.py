"""The budget of streams, and the one reader behind all of them, of the API and of pages; no server."""

import asyncio
import threading
from collections.abc import Callable, Coroutine
from datetime import timedelta
from typing import Any

import pytest

from events.timeline import seen
from foundation.diagnostics import Diagnostic
from producers.api.following import Follower
from producers.api.problems import Problem
from producers.api.server_sent import Why
from producers.api.streams import OrderStreams, StreamLimits
from producers.orders import Principal, TrackerUnread
from producers.tracking import TrackedOrder
from tests.events.test_timeline import NOTIFIED, PLACED, WHOLE, at, places
from tests.support.fakes.tracker_table import FakeTrackerTable

NONE = timedelta(0)
SOON = timedelta(milliseconds=2)
DAY = timedelta(days=1)


def who(number: int) -> Principal:
    return Principal(subject=f"customer-{number}", role="customer")


def an_order(name: str = "order-1", version: int = 1) -> TrackedOrder:
    return TrackedOrder(name, seen([at(1, PLACED)]), version)


def streams(limits: StreamLimits, table: FakeTrackerTable | None = None) -> OrderStreams:
    return OrderStreams((table or FakeTrackerTable()).orders(), limits, lambda _: None)


def in_a_loop(scene: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """A stream that does not end is none that ends."""

    async def in_time() -> None:
        async with asyncio.timeout(20):
            await scene()

    asyncio.run(in_time())


def follow(some: OrderStreams, principal: Principal, order: TrackedOrder, admitted_for: timedelta = DAY) -> Follower:
    follower = Follower(principal, order, admitted_for)
    some.enter(follower)
    return follower


async def all_of(some: OrderStreams, follower: Follower) -> list[bytes]:
    return [part async for part in some.parts(follower)]


def test_a_client_has_one_stream_and_the_oldest_makes_room() -> None:
    async def scene() -> None:
        some = streams(StreamLimits())
        first = follow(some, who(1), an_order())
        other = follow(some, who(2), an_order())
        second = follow(some, who(1), an_order())
        assert (first.closed_for, second.closed_for, other.closed_for) == (Why.REPLACED, None, None)
        assert b'"reason":"replaced"' in (await all_of(some, first))[-1]

    in_a_loop(scene)


def test_streams_are_bounded_in_all_and_one_that_ends_makes_room() -> None:
    async def scene() -> None:
        some = streams(StreamLimits(streams=2))
        first, _ = follow(some, who(1), an_order()), follow(some, who(2), an_order())
        with pytest.raises(Problem) as refused:
            follow(some, who(3), an_order())
        assert refused.value.headers == {"Retry-After": "5"}
        assert refused.value.body.status == 503
        # Its own oldest makes room for a client all the same.
        first = follow(some, who(1), an_order())
        some.leave(first)
        follow(some, who(3), an_order())

    in_a_loop(scene)


def test_a_stream_ends_with_its_order() -> None:
    async def scene() -> None:
        some = streams(StreamLimits())
        parts = await all_of(some, follow(some, who(1), TrackedOrder("order-1", seen(places(*WHOLE)), 1)))
        assert parts[-1].startswith(b"event: end\n")
        assert b"".join(parts).count(b"\nid: ") == len(WHOLE)

    in_a_loop(scene)


@pytest.mark.parametrize("limits", [StreamLimits(idle=NONE), StreamLimits(longest=NONE)], ids=["idle", "long"])
def test_a_stream_ends_when_nothing_comes_for_long_and_is_not_there_for_ever(limits: StreamLimits) -> None:
    async def scene() -> None:
        some = streams(limits)
        waiting = TrackedOrder("order-1")
        [_, last] = await all_of(some, follow(some, who(1), waiting))
        assert b'"reason":"idle"' in last

    in_a_loop(scene)


def test_a_stream_ends_with_the_token_that_opened_it() -> None:
    async def scene() -> None:
        some = streams(StreamLimits())
        follower = follow(some, who(1), TrackedOrder("order-1"), SOON)
        parts = some.parts(follower)
        assert b'"reason":"idle"' in [part async for part in parts][-1]

    in_a_loop(scene)


def test_between_events_it_is_said_that_the_stream_is_there() -> None:
    async def scene() -> None:
        some = streams(StreamLimits(heartbeat=SOON))
        parts = some.parts(follow(some, who(1), an_order()))
        assert [(await anext(parts))[:2] for _ in range(5)] == [b"re", b"id", b": ", b": ", b": "]

    in_a_loop(scene)


def test_one_reader_asks_for_all_that_are_followed_and_for_nothing_else() -> None:
    table = FakeTrackerTable()
    for name in ("order-1", "order-2"):
        table.orders().join(name, seen([at(1, PLACED)]))
    readers: list[str] = []

    def thread(**how: Any) -> threading.Thread:
        readers.append(how["name"])
        return threading.Thread(**how)

    async def scene() -> None:
        some = OrderStreams(table.orders(), StreamLimits(look=SOON), lambda _: None, thread=thread)
        await some.start()
        reads = table.reads
        await asyncio.sleep(0.02)
        assert table.reads == reads
        followers = [follow(some, who(n), an_order(f"order-{1 + n % 2}")) for n in range(6)]
        table.orders().join("order-2", seen([at(2, NOTIFIED)]))
        async with asyncio.timeout(30):
            await followers[1].changed.wait()
        assert [one.order.version for one in followers] == [1, 2] * 3
        assert readers == ["followed orders"]
        await some.stop()

    in_a_loop(scene)


def test_whatever_a_read_fails_with_it_is_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("producers.api.streams.pause_after", lambda _: 0.002)
    table, told = FakeTrackerTable(), list[Diagnostic]()
    table.orders().join("order-1", seen(places(PLACED, NOTIFIED)))
    tracked = table.orders()
    get_many = tracked.get_many

    def odd(*_: Any, **__: Any) -> Any:
        raise ValueError("nothing that a table is known to answer")

    async def scene() -> None:
        monkeypatch.setattr(tracked, "get_many", odd)
        some = OrderStreams(tracked, StreamLimits(look=SOON), told.append)
        await some.start()
        follower = follow(some, who(1), TrackedOrder("order-1"))
        while not told:
            await asyncio.sleep(0.002)
        assert told == [TrackerUnread("ValueError")]
        monkeypatch.setattr(tracked, "get_many", get_many)
        await follower.changed.wait()
        await some.stop()

    in_a_loop(scene)


def test_an_older_answer_changes_nothing() -> None:
    async def scene() -> None:
        follower = Follower(who(1), an_order(version=3), DAY)
        follower.show(an_order(version=2))
        assert (follower.order.version, follower.changed.is_set()) == (3, False)

    in_a_loop(scene)


def test_a_tracker_that_cannot_be_asked_is_told_once_and_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("producers.api.streams.pause_after", lambda _: 0.002)
    table, told = FakeTrackerTable(), list[Diagnostic]()
    table.orders().join("order-1", seen(places(PLACED, NOTIFIED)))
    table.unread = True

    async def scene() -> None:
        some = OrderStreams(table.orders(), StreamLimits(look=SOON), told.append)
        await some.start()
        follower = follow(some, who(1), TrackedOrder("order-1"))
        while table.reads < 6:
            await asyncio.sleep(0.002)
        assert told == [TrackerUnread("EndpointConnectionError")]
        table.unread = False
        async with asyncio.timeout(30):
            await follower.changed.wait()
        await some.stop()

    in_a_loop(scene)
