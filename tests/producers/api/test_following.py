"""Streams of orders on real sockets: what a client is told, where it goes on, and that none holds up another.

Nothing is asserted about how long anything takes, but for one that would take its server's grace.
"""

import http.client
import json
import socket
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from events.timeline import SeenEvent, SeenEvents, seen
from foundation.clock import SYSTEM_CLOCK, uninterrupted_wait
from producers.api.serving import Limits
from producers.api.streams import StreamLimits
from producers.orders.commands import Order, place
from producers.orders.tokens import Role
from producers.tracking import TrackedOrder, TrackedOrders
from tests.events.test_timeline import ACCEPTED, NOTIFIED, PLACED, WHOLE, a_flood, at, places
from tests.producers.api.test_serving import LONG, all_heard, asked, opened, serving
from tests.producers.orders.test_commands import PLACE
from tests.support.builders import NOON
from tests.support.fakes.clock import FakeClock
from tests.support.fakes.orders import FakeOrders
from tests.support.fakes.tracker_table import FakeTrackerTable
from tests.support.worlds.orders_api import KEY

pytestmark = pytest.mark.slow

SOON = timedelta(milliseconds=10)
LIMITS = Limits(connections=16, header_seconds=LONG, request_seconds=LONG)


def a_token(subject: str = "customer-1", role: Role = "customer", lasts: timedelta = timedelta(minutes=5)) -> str:
    return KEY.sign(subject, role, FakeClock().now() + lasts)


@dataclass
class Stage:
    """A server, and the order that is followed."""

    address: tuple[str, int]
    order_id: str
    table: FakeTrackerTable

    def track(self, *events: SeenEvent) -> None:
        self.table.orders().join(self.order_id, seen(events))

    def request(self, token: str = "", last: str = "", method: str = "GET") -> bytes:
        back = f"Last-Event-ID: {last}\r\n" if last else ""
        return (
            f"{method} /orders/{self.order_id}/events HTTP/1.1\r\nHost: a\r\n{back}"
            f"Authorization: Bearer {token or a_token()}\r\n\r\n"
        ).encode()

    @contextmanager
    def followed(self, token: str = "", last: str = "") -> Iterator["Stream"]:
        client = http.client.HTTPConnection(*self.address, timeout=60)
        headers = {"Authorization": f"Bearer {token or a_token()}", **({"Last-Event-ID": last} if last else {})}
        client.request("GET", f"/orders/{self.order_id}/events", headers=headers)
        try:
            yield Stream(client.getresponse())
        finally:
            client.close()


class Stream:
    """What is said on it, message by message."""

    def __init__(self, answer: http.client.HTTPResponse) -> None:
        self.answer = answer
        self.last = ""

    def next(self) -> Any:
        """The next event's data; `end` beside it, if it is the last. None at the stream's end."""
        while True:
            fields: dict[str, str] = {}
            while (line := self.answer.readline().decode()).strip():
                name, _, value = line.strip().partition(": ")
                fields[name] = value
            if "data" in fields:
                self.last = fields.get("id", self.last)
                return {**json.loads(fields["data"]), **({"end": True} if fields.get("event") == "end" else {})}
            if not line:
                return None

    def types(self, count: int) -> list[str]:
        return [self.next()["event_type"] for _ in range(count)]


def an_order(orders: FakeOrders) -> str:
    order = place(PLACE, customer_id="customer-1", idempotency_key="key-1", at=NOON)
    assert isinstance(order, Order)
    return orders.create(order).order_id


@contextmanager
def stage(limits: Limits = LIMITS, tracked: TrackedOrders | None = None, **streams: Any) -> Iterator[Stage]:
    orders, table = FakeOrders(), FakeTrackerTable()
    order_id = an_order(orders)
    how = StreamLimits(**{"look": SOON, "heartbeat": timedelta(milliseconds=50), **streams})
    with serving(limits, orders=orders, tracked=tracked or table.orders(), streams=how) as address:
        yield Stage(address, order_id, table)


def test_an_order_is_followed_from_before_it_was_seen_to_its_end() -> None:
    with stage() as on, on.followed() as stream:
        assert stream.answer.status == 200
        assert stream.answer.getheader("Content-Type", "").startswith("text/event-stream")
        assert stream.answer.getheader("Cache-Control") == "no-store"
        on.track(at(1, PLACED))
        assert stream.next() == {
            "event_id": PLACED.event_id,
            "event_type": "order_placed",
            "state": "placed",
            "version": 1,
        }
        on.track(*places(PLACED, NOTIFIED, ACCEPTED))
        assert stream.types(2) == ["restaurant_notified", "order_accepted"]
        on.track(*places(*WHOLE))
        assert stream.types(3) == ["user_notified", "order_completed", "user_notified"]
        assert stream.next() == {"reason": "over", "state": "completed", "end": True}
        assert stream.next() is None


def test_a_client_that_was_cut_off_goes_on_where_it_was_and_stops_when_all_is_told() -> None:
    with stage() as on:
        on.track(*places(PLACED, NOTIFIED))
        with on.followed() as stream:
            assert stream.types(2) == ["order_placed", "restaurant_notified"]
        on.track(*places(*WHOLE))
        with on.followed(last=stream.last) as again:
            assert again.types(4) == ["order_accepted", "user_notified", "order_completed", "user_notified"]
        with on.followed(last=again.last) as done:
            assert (done.answer.status, done.answer.read()) == (204, b"")


def test_somebody_elses_order_is_none_and_its_restaurant_may_follow() -> None:
    with stage() as on:
        with on.followed(a_token("customer-2")) as refused:
            assert refused.answer.status == 404
        on.track(*places(*WHOLE))
        with on.followed(a_token("restaurant-1", "restaurant")) as stream:
            assert stream.answer.status == 200


def test_a_second_stream_of_a_client_ends_the_first_and_says_so() -> None:
    with stage() as on, on.followed() as first:
        on.track(at(1, PLACED))
        assert first.types(1) == ["order_placed"]
        with on.followed() as second:
            assert second.types(1) == ["order_placed"]
            assert first.next() == {"reason": "replaced", "state": "placed", "end": True}
            assert first.next() is None
            on.track(at(2, NOTIFIED))
            assert second.types(1) == ["restaurant_notified"]


def test_more_streams_than_there_may_be_are_told_to_come_back_and_one_that_ends_makes_room() -> None:
    with stage(streams=2) as on, on.followed() as one:
        on.track(at(1, PLACED))
        assert one.types(1) == ["order_placed"]
        with on.followed(a_token("restaurant-1", "restaurant")) as two:
            assert two.types(1) == ["order_placed"]
            with on.followed(a_token("me", "operator")) as refused:
                assert (refused.answer.status, refused.answer.getheader("Retry-After")) == (503, "5")
                assert json.loads(refused.answer.read())["type"] == "urn:takeaway:problem:too-many-streams"
        wait = uninterrupted_wait()
        # The server hears a moment later that its client is gone.
        for _ in range(500):
            with on.followed(a_token("me", "operator")) as now:
                status = now.answer.status
            if status == 200:
                break
            wait(0.02)
        assert status == 200


def test_a_stream_outlives_a_requests_time_as_long_as_its_client_takes_what_comes() -> None:
    limits = Limits(connections=16, header_seconds=LONG, request_seconds=0.3)
    wait = uninterrupted_wait()
    with stage(limits) as on, on.followed() as stream:
        on.track(at(1, PLACED))
        assert stream.types(1) == ["order_placed"]
        wait(1)
        on.track(at(2, NOTIFIED))
        assert stream.types(1) == ["restaurant_notified"]


class Restless(TrackedOrders):
    """A thousand events that are all told anew each time: each time another lies before them."""

    def __init__(self) -> None:
        super().__init__(FakeTrackerTable(), "tracker", speed=1.0, wait=lambda _: False)  # type: ignore[arg-type]
        self._flood = seen(a_flood(990)).events
        self._versions = 0

    def get(self, order_id: str) -> TrackedOrder:
        self._versions += 1
        first = msgspec.structs.replace(at(1, PLACED), event_id=f"{self._versions}")
        return TrackedOrder(order_id, SeenEvents((first, *self._flood)), self._versions)

    def get_many(self, order_ids: Collection[str], *, consistent: bool = True) -> dict[str, TrackedOrder]:
        assert not consistent
        return {order_id: self.get(order_id) for order_id in order_ids}


def test_a_client_that_never_reads_is_cut_off_and_the_others_are_told_meanwhile() -> None:
    limits = Limits(connections=16, header_seconds=LONG, request_seconds=0.5)
    with stage(limits, Restless(), streams=2) as on, socket.socket() as never_reads:
        never_reads.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        never_reads.connect(on.address)
        never_reads.sendall(on.request())
        with on.followed(a_token("restaurant-1", "restaurant")) as reads:
            answers = list[int]()
            # There is room for a third one when the one that never reads is cut off.
            while 200 not in answers:
                assert [reads.next()["version"] > 0 for _ in range(5_000)]
                with on.followed(a_token("me", "operator")) as third:
                    answers.append(third.answer.status)
            assert answers[0] == 503


def test_a_stream_lasts_no_longer_than_its_token() -> None:
    """The server's clock stands still; the stream's own time does not."""
    with stage(heartbeat=timedelta(hours=1)) as on, on.followed(a_token(lasts=timedelta(milliseconds=200))) as stream:
        assert stream.next() == {"reason": "idle", "state": "placed", "end": True}
        assert stream.next() is None


def test_a_stream_makes_room_for_an_honest_request() -> None:
    limits = Limits(connections=2, header_seconds=LONG, request_seconds=LONG)
    with (
        stage(limits, heartbeat=timedelta(hours=1)) as on,
        opened(on.address, on.request(), 1) as (one,),
        opened(on.address, on.request(a_token("restaurant-1", "restaurant")), 1) as (two,),
    ):
        for stream in (one, two):
            heard = b""
            while b"retry" not in heard:
                heard += stream.recv(65536)
        assert [asked(on.address) for _ in range(4)] == [200] * 4


def test_a_stream_does_not_keep_its_server_from_ending() -> None:
    """Which otherwise waits for what it answers for 20 seconds."""
    with stage(heartbeat=timedelta(hours=1)) as on:
        stream = socket.create_connection(on.address, timeout=60)
        stream.sendall(on.request())
        assert stream.recv(12) == b"HTTP/1.1 200"
        since = SYSTEM_CLOCK.monotonic()
    assert SYSTEM_CLOCK.monotonic() - since < 15
    with stream:
        all_heard(stream)


def test_head_is_answered_without_a_stream() -> None:
    with stage() as on:
        client = http.client.HTTPConnection(*on.address, timeout=60)
        for _ in range(3):
            client.request("HEAD", f"/orders/{on.order_id}/events", headers={"Authorization": f"Bearer {a_token()}"})
            answer = client.getresponse()
            assert (answer.status, answer.read()) == (200, b"")
        client.close()
