"""The limits of the API's connections, each on real sockets: slow and half-open ones do not keep an honest one waiting.

Limits are short here, and nothing is asserted about how long anything takes: only that it ends, and who is answered.
"""

import http.client
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from typing import Any

import pytest
from litestar import Litestar

from foundation.clock import SYSTEM_CLOCK, uninterrupted_wait
from producers.api.app import create_app
from producers.api.serving import Limits, server
from producers.api.streams import STREAM_LIMITS, StreamLimits
from producers.assembly import API_THREADS, DYNAMODB, enough_threads
from producers.publishing.publisher import EventPublisher
from producers.tracking import TrackedOrders
from tests.support.fakes.clock import FakeClock
from tests.support.fakes.kinesis import FakeKinesis
from tests.support.fakes.orders import FakeOrders
from tests.support.fakes.tracker_table import FakeTrackerTable
from tests.support.worlds.orders_api import KEY

pytestmark = pytest.mark.slow

LONG = 120.0
HALF_A_HEADER = b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\n"
A_REQUEST = HALF_A_HEADER + b"\r\n"
# More than the limit of connections, so that some have made room.
MANY = 40


def half_a_body(token: str) -> bytes:
    return (
        "POST /orders HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        f"Authorization: Bearer {token}\r\nContent-Length: 50000\r\n\r\n{{"
    ).encode()


def a_token() -> str:
    return KEY.sign("customer-1", "customer", FakeClock().now() + timedelta(minutes=5))


@contextmanager
def serving(
    limits: Limits,
    *,
    body_seconds: float = LONG,
    orders: FakeOrders | None = None,
    tracked: TrackedOrders | None = None,
    streams: StreamLimits = STREAM_LIMITS,
) -> Iterator[tuple[str, int]]:
    """The real application behind the real server; its address."""
    time = FakeClock()
    with EventPublisher(
        FakeKinesis(time.clock).client, "orders", clock=time.clock, wait=time.wait, emit=lambda _: None
    ) as publisher:
        app = create_app(
            orders or FakeOrders(),
            tracked or FakeTrackerTable().orders(),
            publisher,
            KEY,
            time.clock,
            lambda _: None,
            body_time=timedelta(seconds=body_seconds),
            stream_limits=streams,
        )
        app.on_startup.append(enough_threads)
        with running(app, limits) as address:
            yield address


@contextmanager
def running(app: Litestar, limits: Limits) -> Iterator[tuple[str, int]]:
    one = server(app, port=0, limits=limits)
    thread = threading.Thread(target=one.run)
    thread.start()
    wait = uninterrupted_wait()
    deadline = SYSTEM_CLOCK.monotonic() + 60
    while not one.started and SYSTEM_CLOCK.monotonic() < deadline:
        wait(0.01)
    try:
        yield one.servers[0].sockets[0].getsockname()
    finally:
        one.should_exit = True
        thread.join()


@contextmanager
def opened(address: tuple[str, int], said: bytes, count: int = MANY) -> Iterator[list[socket.socket]]:
    with ExitStack() as stack:
        sockets = []
        for _ in range(count):
            one = stack.enter_context(socket.create_connection(address, timeout=60))
            one.sendall(said)
            sockets.append(one)
        yield sockets


def asked(address: tuple[str, int], path: str = "/health") -> int:
    """The status that an honest client gets over a connection of its own."""
    client = http.client.HTTPConnection(*address, timeout=60)
    try:
        client.request("GET", path)
        return client.getresponse().status
    finally:
        client.close()


def all_heard(one: socket.socket) -> bytes:
    """What comes until the other side closes the connection."""
    heard = b""
    try:
        while part := one.recv(65536):
            heard += part
    except ConnectionError:
        pass
    return heard


@pytest.mark.parametrize("kind", ["header", "body", "nothing", "idle"])
def test_an_honest_request_is_answered_while_many_slow_ones_are_open(kind: str) -> None:
    said = {"header": HALF_A_HEADER, "body": half_a_body(a_token()), "nothing": b"", "idle": A_REQUEST}[kind]
    limits = Limits(connections=16, header_seconds=LONG, request_seconds=LONG)
    with serving(limits, body_seconds=LONG) as address, opened(address, said):
        assert [asked(address) for _ in range(3)] == [200] * 3


def test_headers_that_never_end_are_given_up_though_they_drip() -> None:
    with serving(Limits(connections=16, header_seconds=0.3)) as address, opened(address, HALF_A_HEADER, 1) as (slow,):
        wait = uninterrupted_wait()
        with pytest.raises(ConnectionError):  # noqa: PT012 - which drip is the last one is the system's affair
            while True:
                slow.sendall(b"X: y\r\n")
                wait(0.05)


def test_an_answered_connection_that_starts_another_request_slowly_is_given_up() -> None:
    with serving(Limits(connections=16, header_seconds=0.3)) as address, opened(address, A_REQUEST, 1) as (slow,):
        assert slow.recv(65536).startswith(b"HTTP/1.1 200")
        slow.sendall(HALF_A_HEADER)
        assert all_heard(slow) in {b"", b'{"status":"ok"}'}


def test_a_body_that_never_ends_is_told_so_and_given_up() -> None:
    limits = Limits(connections=16, header_seconds=LONG, request_seconds=LONG)
    with serving(limits, body_seconds=0.3) as address, opened(address, half_a_body(a_token()), 1) as (slow,):
        answer = all_heard(slow)
    assert answer.startswith(b"HTTP/1.1 408 "), answer
    assert b"urn:takeaway:problem:request-timeout" in answer
    assert b"connection: close" in answer.lower()


def test_a_body_that_is_not_read_is_given_up_as_the_next_request_would_be() -> None:
    refused = half_a_body("no token")
    with serving(Limits(connections=16, header_seconds=0.3)) as address, opened(address, refused, 1) as (slow,):
        assert all_heard(slow).startswith(b"HTTP/1.1 401 ")


class StuckOrders(FakeOrders):
    """A store that answers when it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = threading.Semaphore(0)
        self.answers = threading.Event()

    def get(self, order_id: str) -> Any:
        self.asked.release()
        self.answers.wait(60)
        return super().get(order_id)


def test_what_is_worked_on_makes_no_room_and_a_newcomer_is_told_to_come_back() -> None:
    orders = StuckOrders()
    said = f"GET /orders/one HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {a_token()}\r\n\r\n".encode()
    with serving(Limits(connections=2), orders=orders) as address, opened(address, said, 2) as busy:
        for _ in busy:
            assert orders.asked.acquire(timeout=60)
        with opened(address, b"", 1) as (newcomer,):
            assert all_heard(newcomer).startswith(b"HTTP/1.1 503 ")
        orders.answers.set()
        assert [one.recv(12) for one in busy] == [b"HTTP/1.1 404"] * 2


def test_a_request_that_takes_for_ever_ends() -> None:
    orders = StuckOrders()
    said = f"GET /orders/one HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {a_token()}\r\n\r\n".encode()
    try:
        with (
            serving(Limits(connections=2, request_seconds=0.3), orders=orders) as address,
            opened(address, said, 1) as (one,),
        ):
            assert all_heard(one) == b""
            orders.answers.set()
    finally:
        orders.answers.set()


def test_requests_sent_one_behind_the_other_are_all_answered() -> None:
    with serving(Limits(connections=16)) as address, opened(address, A_REQUEST * 5, 1) as (one,):
        heard = b""
        while heard.count(b'{"status":"ok"}') < 5:
            part = one.recv(65536)
            assert part, heard
            heard += part


def test_a_method_that_is_not_allowed_names_head_beside_get() -> None:
    with serving(Limits(connections=16)) as address:
        client = http.client.HTTPConnection(*address, timeout=60)
        client.request("DELETE", "/health")
        answer = client.getresponse()
        assert answer.status == 405
        assert {"GET", "HEAD"} <= {one.strip() for one in (answer.getheader("Allow") or "").split(",")}
        client.close()


def test_as_many_requests_wait_for_the_store_as_there_are_connections_to_it() -> None:
    orders = StuckOrders()
    said = f"GET /orders/one HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {a_token()}\r\n\r\n".encode()
    with (
        serving(Limits(connections=API_THREADS + 1), orders=orders) as address,
        opened(address, said, API_THREADS) as waiting,
    ):
        try:
            assert all(orders.asked.acquire(timeout=60) for _ in waiting)
            # What needs no thread is answered meanwhile.
            assert asked(address) == 200
        finally:
            orders.answers.set()
        assert {one.recv(12) for one in waiting} == {b"HTTP/1.1 404"}
    # One is the relay's.
    assert DYNAMODB.max_pool_connections == API_THREADS + 1  # type: ignore[attr-defined] # what it was made with
