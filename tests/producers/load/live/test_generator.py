"""The generator is an open loop, repeats under one key, and admits it when it falls behind."""

import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import httpx
import msgspec
import pytest

from foundation.clock import Wait
from producers.load.ledger import LedgerWriter, read_ledger
from producers.load.live.generator import Generator
from producers.load.live.orders_client import OrdersClient
from producers.load.market.demand import FlatDemand
from producers.load.market.market import IntendedOrder, a_market, orders
from tests.support.fakes.clock import FakeClock
from tests.support.worlds.orders_api import KEY

Handler = Callable[[httpx.Request], httpx.Response]


def created(request: httpx.Request) -> httpx.Response:
    return httpx.Response(
        201, json={"order_id": "o", "state": "placed", "event_id": request.headers["idempotency-key"]}
    )


def intended(count: int, every: float = 1.0) -> list[IntendedOrder]:
    return [
        replace(order, offset=timedelta(seconds=(number + 1) * every))
        for number, order in enumerate(orders(a_market(1, FlatDemand(60)), count))
    ]


class Run:
    """One generator run against a scripted server, on time that only waiting moves."""

    def __init__(self, directory: Path, handler: Handler, wait: Wait | None = None) -> None:
        self.time = FakeClock()
        self.directory = directory
        self.backoffs = FakeClock()
        self.http = httpx.Client(transport=httpx.MockTransport(handler), base_url="http://api")
        # Backoffs pass on a clock of their own, so that they make no order late.
        client = OrdersClient(self.http, KEY, clock=self.backoffs.clock, wait=self.backoffs.wait)
        self.writer = LedgerWriter(directory, "customers")
        self.placed: list[IntendedOrder] = []
        self.generator = Generator(
            client, self.writer, placed=self.placed.append, clock=self.time.clock, wait=wait or self.time.wait
        )

    def __call__(self, placing: list[IntendedOrder]) -> "Run":
        with self.writer, self.http:
            self.generator.run(placing)
        return self


def test_every_order_is_placed_at_its_time_and_in_the_ledger(tmp_path: Path) -> None:
    run = Run(tmp_path, created)(intended(5))
    ledger = read_ledger(tmp_path)
    assert run.generator.counts() == (5, 5)
    assert len(ledger.acknowledged) == 10
    assert sum(run.time.waits) == pytest.approx(5)
    assert run.generator.placings.acknowledged.keys() == {order.order_id for order in intended(5)}


def test_a_slow_answer_holds_up_no_other_order(tmp_path: Path) -> None:
    others_arrived = threading.Event()
    arrived: list[str] = []

    def first_waits_for_the_others(request: httpx.Request) -> httpx.Response:
        key = request.headers["idempotency-key"]
        arrived.append(key)
        if len(arrived) == 5:
            others_arrived.set()
        if key == intended(1)[0].idempotency_key:
            assert others_arrived.wait(20), "the loop is closed: nobody else was sent"
        return created(request)

    assert Run(tmp_path, first_waits_for_the_others)(intended(5)).generator.counts() == (5, 5)


def test_latency_counts_from_the_intended_time_and_lag_is_told(tmp_path: Path) -> None:
    time = FakeClock()

    def oversleep(seconds: float) -> bool:
        return time.wait(seconds + 4)

    run = Run(tmp_path, created, wait=oversleep)
    run.generator._clock = time.clock
    run(intended(1))
    assert run.generator.placings.max_lag == pytest.approx(4)
    assert run.generator.placings.latencies == [pytest.approx(4)]
    assert run.generator.placings.last_lag == pytest.approx(4)
    assert run.generator.placings.last_offset == 1
    assert {entry.intended_at for entry in read_ledger(tmp_path).entries} == {time.now() - timedelta(seconds=4)}


def failures() -> Iterator[Handler]:
    def unavailable(_: httpx.Request) -> httpx.Response:
        return httpx.Response(503)

    def refused(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused", request=request)

    def slow(request: httpx.Request) -> httpx.Response:
        raise httpx.ReadTimeout("slow", request=request)

    def broken_off(request: httpx.Request) -> httpx.Response:
        raise httpx.RemoteProtocolError("gone", request=request)

    yield from (unavailable, refused, slow, broken_off)


@pytest.mark.parametrize("failure", list(failures()), ids=lambda failure: failure.__name__)
def test_a_failure_is_repeated_under_the_same_key_with_the_same_body(tmp_path: Path, failure: Handler) -> None:
    seen: list[tuple[str, bytes]] = []

    def third_time_lucky(request: httpx.Request) -> httpx.Response:
        seen.append((request.headers["idempotency-key"], request.read()))
        return created(request) if len(seen) == 3 else failure(request)

    run = Run(tmp_path, third_time_lucky)(intended(1))
    assert run.generator.counts() == (1, 1)
    assert len(seen) == 3
    assert len(set(seen)) == 1
    assert json.loads(seen[0][1])["restaurant_id"] == intended(1)[0].body.restaurant_id


def test_an_order_nobody_answers_is_given_up_and_may_be_on_the_stream(tmp_path: Path) -> None:
    run = Run(tmp_path, lambda _: httpx.Response(503))(intended(1))
    ledger = read_ledger(tmp_path)
    assert run.generator.placings.unanswered == 1
    assert 55 <= run.backoffs.monotonic() <= 60
    assert [entry.event_type for entry in ledger.unacknowledged] == ["order_placed", "restaurant_notified"]


def test_a_refused_order_is_not_repeated(tmp_path: Path) -> None:
    requests: list[httpx.Request] = []

    def refuse(request: httpx.Request) -> httpx.Response:
        requests.append(request)
        return httpx.Response(422, json={"detail": "no"})

    run = Run(tmp_path, refuse)(intended(1))
    assert (run.generator.placings.refused, len(requests)) == (1, 1)
    assert read_ledger(tmp_path).acknowledged == ()


def test_a_stop_ends_the_placing_and_finishes_what_is_in_flight(tmp_path: Path) -> None:
    stopped = threading.Event()

    def answer_after_the_stop(request: httpx.Request) -> httpx.Response:
        assert stopped.wait(20)
        return created(request)

    waits = iter([False, False, True])

    def wait(_: float) -> bool:
        asked_to_stop = next(waits)
        if asked_to_stop:
            stopped.set()
        return asked_to_stop

    run = Run(tmp_path, answer_after_the_stop, wait=wait)(intended(10))
    assert run.generator.counts() == (2, 2)


def test_a_defect_of_ours_is_not_swallowed(tmp_path: Path) -> None:
    with pytest.raises(msgspec.DecodeError):
        Run(tmp_path, lambda _: httpx.Response(201, content=b"nonsense"))(intended(1))
