"""Whole loads in memory: customers, the API, tickets, restaurants; and the ledger held against the stream."""

import threading
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import msgspec
import pytest
from litestar.testing import TestClient

from consumers.notifiers.restaurant import ticket as ticket_of
from consumers.notifiers.restaurant import withdrawal as withdrawal_of
from events.envelope import EventEnvelope
from events.orders import OrderCancelled, OrderExpired, OrderPlaced
from foundation.clock import SYSTEM_CLOCK, uninterrupted_wait
from foundation.diagnostics import Diagnostic
from producers.api.app import create_app
from producers.load.ledger import LedgerWriter, read_ledger
from producers.load.live.open_orders import Why
from producers.load.live.orders_client import OrdersClient
from producers.load.live.pace import live_answer
from producers.load.live.restaurants import (
    Restaurants,
    TicketNotServed,
    TicketQueueFailed,
    UnreadableTicket,
)
from producers.load.live.served import Served, served
from producers.load.live.simulation import LoadCounts, LoadPlan, LoadSummary, simulate
from producers.load.live.tickets import TicketQueue
from producers.load.market.catalogue import restaurants
from producers.load.market.kitchen import ANSWER_DEADLINE, KitchenPlan, Kitchens
from producers.load.market.market import orders
from producers.orders.ordering import Ordering
from producers.orders.requests import AcceptOrder
from producers.publishing.publisher import EventPublisher
from tests.support.fakes.clock import FakeClock
from tests.support.fakes.kinesis import FakeKinesis
from tests.support.fakes.orders import FakeOrders
from tests.support.fakes.sqs import FakeSqs
from tests.support.fakes.tracker_table import FakeTrackerTable
from tests.support.worlds.orders_api import KEY, OrdersApi, tracked

pytestmark = pytest.mark.slow

# Kitchens of less than a millisecond: the load runs on real time, and nobody waits for it.
SPEED = 1e6
PLAN = LoadPlan(seed=5, rate=1000, count=40, speed=SPEED, drain_timeout=timedelta(seconds=30))


def kitchens() -> Kitchens:
    return Kitchens(5, 1200, restaurants(5))


def plan_of(order_id: str) -> KitchenPlan:
    return kitchens().of("restaurant-1").take(order_id, 0.0)


def accepts(plan: KitchenPlan) -> bool:
    return isinstance(plan.answer, AcceptOrder) and plan.answer_after < ANSWER_DEADLINE


def would_accept_late(plan: KitchenPlan) -> bool:
    return isinstance(plan.answer, AcceptOrder) and plan.answer_after > ANSWER_DEADLINE and not plan.silent


def shortly(seconds: float) -> bool:
    return threading.Event().wait(min(seconds, 0.001))


class Market:
    """An API and its restaurants. The queue fills itself with a ticket for every order on the stream."""

    def __init__(self, api: OrdersApi, directory: Path) -> None:
        self.api = api
        self.directory = directory
        self.queue = FakeSqs(self.new_tickets)
        self.diagnostics: list[Diagnostic] = []
        self.progress: list[LoadCounts] = []
        self.stop = threading.Event()
        self.stop_at = 10**9
        self._ticketed: set[str] = set()

    def new_tickets(self) -> list[str]:
        placed = [each for each in self.api.stream() if isinstance(each.event, OrderPlaced)]
        fresh = [each for each in placed if each.event_id not in self._ticketed]
        self._ticketed.update(each.event_id for each in fresh)
        return [
            msgspec.json.encode(
                {
                    "event_id": each.event_id,
                    "order_id": each.order_id,
                    "restaurant_id": each.event.restaurant_id,  # type: ignore[union-attr]
                    "total": 1,
                }
            ).decode()
            for each in fresh
        ]

    def watch(self, counts: LoadCounts) -> None:
        self.progress.append(counts)
        if counts.sent >= self.stop_at:
            self.stop.set()

    def load(
        self,
        plan: LoadPlan = PLAN,
        *,
        with_restaurants: bool = True,
        watch: bool = False,
        run_by_people: Callable[[str], bool] = lambda _: False,
    ) -> LoadSummary:
        return simulate(
            plan,
            http=self.api.http,
            token_key=KEY,
            ledger_directory=self.directory,
            tickets=TicketQueue(self.queue.client, "queue") if with_restaurants else None,
            watch=watch,
            run_by_people=run_by_people,
            clock=SYSTEM_CLOCK,
            emit=self.diagnostics.append,
            stop=self.stop,
            progress=self.watch,
            pause=shortly,
        )

    def serve(self, speed: float = SPEED, run_by_people: Callable[[str], bool] = lambda _: False) -> "Serving":
        return Serving(self, speed, run_by_people)


class Serving:
    """Restaurants alone, running until left."""

    def __init__(self, market: Market, speed: float, run_by_people: Callable[[str], bool]) -> None:
        self._stop = threading.Event()
        self._writer = LedgerWriter(market.directory, "restaurants")
        client = OrdersClient(
            market.api.http, KEY, clock=SYSTEM_CLOCK, wait=shortly, give_up_after=timedelta(milliseconds=50)
        )
        self.restaurants = Restaurants(
            TicketQueue(market.queue.client, "queue"),
            client,
            self._writer,
            cooking=kitchens(),
            speed=speed,
            clock=SYSTEM_CLOCK,
            wait=shortly,
            emit=market.diagnostics.append,
            run_by_people=run_by_people,
        )
        self._thread = threading.Thread(target=self.restaurants.run, args=(self._stop,))

    def served(self) -> Served:
        return served(self.restaurants.states())

    def __enter__(self) -> "Serving":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        self._writer.__exit__()

    def until(self, condition: Any) -> None:
        for _ in range(10_000):
            if condition():
                return
            threading.Event().wait(0.001)
        raise AssertionError("it did not happen")


@pytest.fixture
def market(api: OrdersApi, tmp_path: Path) -> Market:
    # Tokens are signed by the machine's clock here.
    api.time._start = SYSTEM_CLOCK.now()
    return Market(api, tmp_path)


def a_ticket(api: OrdersApi, seed_that: Any = accepts) -> tuple[str, str]:
    """A placed order whose restaurant will do as asked, and its ticket's text."""
    while True:
        order_id = api.placed()
        if seed_that(plan_of(order_id)):
            event_id = api.stream()[-1].event_id
            ticket = {"event_id": event_id, "order_id": order_id, "restaurant_id": "restaurant-1"}
            return order_id, msgspec.json.encode(ticket).decode()


def test_every_order_ends_and_the_summary_is_the_stream(market: Market) -> None:
    summary = market.load()
    # By id: a restaurant may be quicker than the note that its order is on the stream, which is then sent once more.
    on_stream = Counter({each.event_id: each.event_type for each in market.api.stream()}.values())
    assert (summary.orders, summary.acknowledged, summary.refused, summary.unacknowledged) == (40, 40, 0, 0)
    assert on_stream == Counter(
        order_placed=40,
        order_accepted=summary.accepted,
        order_rejected=summary.rejected,
        order_completed=summary.completed,
    )
    assert summary.accepted == summary.completed
    assert summary.accepted + summary.rejected == 40
    assert summary.drained
    assert summary.p50
    assert summary.p99
    assert summary.p50 <= summary.p99
    assert market.queue.left == []
    assert market.diagnostics == []


def test_the_ledger_holds_exactly_what_the_api_put_on_the_stream(market: Market) -> None:
    market.load()
    ledger = read_ledger(market.directory)
    commanded = {entry.event_id for entry in ledger.acknowledged if entry.because_of is None}
    assert commanded == {envelope.event_id for envelope in market.api.stream()}
    assert ledger.unacknowledged == ()
    following = Counter(entry.event_type for entry in ledger.entries if entry.because_of)
    assert following["restaurant_notified"] == 40
    told = ("order_accepted", "order_rejected", "order_completed")
    assert following["user_notified"] == sum(ledger.counts[event] for event in told)
    assert len(ledger.orders) == 40


def test_a_load_through_an_unreliable_kinesis_loses_nothing(market: Market) -> None:
    market.api.kinesis.reject_entries(lambda _: True, times=60)
    market.api.kinesis.lose_answer("put_records", times=3)
    assert market.load().drained
    on_stream = {envelope.event_id for envelope in market.api.stream()}
    assert on_stream == {entry.event_id for entry in read_ledger(market.directory).acknowledged if not entry.because_of}


def test_progress_only_grows_and_ends_at_the_summary(market: Market) -> None:
    summary = market.load()
    last = market.progress[-1]
    assert (last.sent, last.completed, last.rejected) == (40, summary.completed, summary.rejected)
    for before, after in zip(market.progress, market.progress[1:], strict=False):
        assert before.sent <= after.sent
        assert before.completed <= after.completed


def test_a_load_that_follows_the_days_begins_when_restaurants_open(market: Market) -> None:
    summary = market.load(LoadPlan(seed=5, rate=None, count=40, speed=SPEED, drain_timeout=timedelta(seconds=30)))
    assert (summary.acknowledged, summary.drained, summary.held_rate) == (40, True, True)
    first = next(orders(LoadPlan(seed=5, rate=None, count=1).market, 1))
    assert first.offset < timedelta(minutes=30)


def test_a_load_that_is_too_slow_for_its_rate_says_so(market: Market, monkeypatch: pytest.MonkeyPatch) -> None:
    """One customer at a time, each served in 20 ms: 50 orders a second instead of 1,000."""
    place = OrdersClient.place

    def slowly(*given: Any, **named: Any) -> Any:
        threading.Event().wait(0.02)
        return place(*given, **named)

    monkeypatch.setattr(OrdersClient, "place", slowly)
    monkeypatch.setattr("producers.load.live.generator.WORKERS", 1)
    summary = market.load(LoadPlan(seed=5, rate=1000, count=90, speed=SPEED, drain_timeout=timedelta(seconds=30)))
    assert summary.max_lag > timedelta(seconds=1)
    assert not summary.held_rate
    assert "the rate could not be held" in str(summary)


def test_without_restaurants_the_load_ends_with_the_last_answer(market: Market) -> None:
    summary = market.load(with_restaurants=False)
    assert (summary.acknowledged, summary.accepted, summary.drained) == (40, 0, None)
    assert {envelope.event_type for envelope in market.api.stream()} == {"order_placed"}


def test_beside_other_restaurants_it_tells_what_these_do_and_waits_for_them(market: Market) -> None:
    with market.serve():
        summary = market.load(with_restaurants=False, watch=True)
    assert summary.drained
    assert summary.accepted + summary.rejected == summary.acknowledged == 40
    assert summary.completed == summary.accepted > 0
    assert f"{summary.completed} completed" in str(summary)
    assert market.progress[-1].completed == summary.completed


def test_a_stop_ends_an_endless_load_and_serves_what_was_placed(market: Market) -> None:
    market.stop_at = 20
    summary = market.load(LoadPlan(seed=5, rate=1000, count=None, speed=SPEED))
    assert summary.acknowledged >= 20
    assert summary.drained


def test_orders_that_nobody_serves_end_the_drain_in_time(market: Market) -> None:
    market.queue._refill = list
    summary = market.load(LoadPlan(seed=5, rate=1000, count=3, drain_timeout=timedelta(milliseconds=10)))
    assert summary.drained is False
    # No tracker has seen them, so nothing says that this is as it should be.
    assert summary.stuck
    assert "not every order came to its end in time\n3 orders wait for what the API could not say." in str(summary)


def test_orders_that_wait_for_people_are_told_and_are_no_failure(market: Market) -> None:
    market.queue._refill = list

    def track(counts: LoadCounts) -> None:
        for each in market.api.stream() if counts.acknowledged == 3 else ():
            tracked(market.api, each.order_id, "order_placed", "restaurant_notified")

    market.watch = track  # type: ignore[method-assign]
    plan = LoadPlan(seed=5, rate=1000, count=3, drain_timeout=timedelta(milliseconds=300))
    summary = market.load(plan, run_by_people=lambda _: True)
    assert (summary.drained, summary.stuck) == (False, False)
    assert [(one.orders, one.why) for one in summary.left_open] == [(3, Why.PERSON)]
    assert "the orders left open are in time\n3 orders wait for restaurant to tell" in str(summary)


def test_an_error_anywhere_ends_the_load(market: Market) -> None:
    def broken() -> list[str]:
        raise ZeroDivisionError

    market.queue._refill = broken
    with pytest.raises(ZeroDivisionError):
        market.load(LoadPlan(seed=5, rate=1000, count=None))


def test_a_repeated_ticket_is_served_once(market: Market) -> None:
    order_id, ticket = a_ticket(market.api)
    market.queue._refill = list
    for _ in range(3):
        market.queue.send(ticket)
    with market.serve() as serving:
        serving.until(lambda: order_id in serving.served().completed)
        market.queue.redeliver()
        serving.until(lambda: market.queue.left == [])
    events = [envelope.event_type for envelope in market.api.stream() if envelope.order_id == order_id]
    assert events == ["order_placed", "order_accepted", "order_completed"]


def served_after_redelivery(market: Market, serving: Serving, order_id: str) -> bool:
    market.queue.redeliver()
    return order_id in serving.served().completed


def test_a_ticket_is_deleted_only_after_the_last_answer(market: Market) -> None:
    order_id, ticket = a_ticket(market.api)
    market.queue._refill = list
    market.queue.send(ticket)
    market.api.kinesis.fail("put_records", "InternalFailure", times=10**6)
    with market.serve() as serving:
        serving.until(lambda: any(isinstance(told, TicketNotServed) for told in market.diagnostics))
        assert market.queue.left == [ticket]
        market.api.kinesis._faults.clear()
        serving.until(lambda: served_after_redelivery(market, serving, order_id))
        serving.until(lambda: market.queue.left == [])


def test_another_process_takes_up_what_a_crash_left(market: Market) -> None:
    """The first one accepts and dies; the ticket comes back, and the same acceptance is not a second one."""
    order_id, ticket = a_ticket(market.api)
    market.queue._refill = list
    answer = live_answer(plan_of(order_id), SPEED)
    market.api.command(order_id, "accept", msgspec.to_builtins(answer))
    market.queue.send(ticket)
    with market.serve() as serving:
        serving.until(lambda: order_id in serving.served().completed)
    accepted = {each.event_id for each in market.api.stream() if each.event_type == "order_accepted"}
    assert len(accepted) == 1


def test_an_order_that_is_over_is_told_and_its_ticket_goes(market: Market) -> None:
    order_id, ticket = a_ticket(market.api)
    market.queue._refill = list
    market.api.command(order_id, "reject", {"reason": "closed"})
    market.queue.send(ticket)
    with market.serve() as serving:
        serving.until(lambda: market.queue.left == [])
    [told] = [each for each in market.diagnostics if isinstance(each, TicketNotServed)]
    assert (told.order_id, told.command) == (order_id, "accept")
    assert "409" in told.reply


@pytest.mark.parametrize("end", ["cancelled", "expired"])
def test_an_order_that_ended_before_its_answer_is_finished(market: Market, end: str) -> None:
    order_id, ticket = a_ticket(market.api)
    market.queue._refill = list
    if end == "cancelled":
        answer = market.api.http.post(f"/orders/{order_id}/cancel", headers=market.api.customer)
        assert answer.is_success
    else:
        market.api.time.advance(600)
    market.queue.send(ticket)
    with market.serve() as serving:
        serving.until(lambda: serving.served().finished == {order_id})
    assert getattr(serving.served(), end) == {order_id}
    assert market.diagnostics == []
    assert market.api.stream()[-1].event_type == f"order_{end}"


@pytest.mark.parametrize("reason", ["cancelled", "expired"])
def test_a_withdrawn_ticket_is_not_answered(market: Market, reason: str) -> None:
    order_id, ticket = a_ticket(market.api)
    market.queue._refill = list
    about = {"event_id": "ended", "kind": "withdrawal", "reason": reason}
    withdrawal = msgspec.json.encode({**msgspec.json.decode(ticket), **about})
    market.queue.send(withdrawal.decode())
    market.queue.send(ticket)
    with market.serve() as serving:
        serving.until(lambda: market.queue.left == [])
    assert getattr(serving.served(), reason) == serving.served().finished == {order_id}
    assert {each.event_type for each in market.api.stream()} == {"order_placed"}


def test_a_silent_restaurant_does_not_answer_and_hears_of_the_end(market: Market) -> None:
    order_id, ticket = a_ticket(market.api, lambda plan: plan.silent)
    market.queue._refill = list
    market.queue.send(ticket)
    with market.serve() as serving:
        serving.until(lambda: market.queue.left == [])
        assert serving.served().finished == frozenset()
        withdrawal = {"event_id": "ended", "kind": "withdrawal", "reason": "expired"}
        market.queue.send(msgspec.json.encode({**msgspec.json.decode(ticket), **withdrawal}).decode())
        serving.until(lambda: serving.served().expired == {order_id})
    assert {each.event_type for each in market.api.stream()} == {"order_placed"}


def test_a_late_restaurant_answers_after_accept_by_and_is_told_that_it_is(market: Market) -> None:
    """By the ticket's `accept_by`, which the API's clock has passed."""
    order_id, ticket = a_ticket(market.api, would_accept_late)
    market.queue._refill = list
    market.api.time.advance(600)
    begun = SYSTEM_CLOCK.monotonic()
    accept_by = SYSTEM_CLOCK.now() + timedelta(seconds=0.3)
    market.queue.send(msgspec.json.encode({**msgspec.json.decode(ticket), "accept_by": accept_by}).decode())
    with market.serve() as serving:
        serving.until(lambda: serving.served().expired == {order_id})
    assert SYSTEM_CLOCK.monotonic() - begun > 0.3
    ledger = read_ledger(market.directory)
    assert {never.event_type for never in ledger.refused} == {"order_accepted", "user_notified"}
    expiry = {entry.event_id for entry in ledger.acknowledged if entry.because_of is None}
    assert expiry == {market.api.stream()[-1].event_id}


class Living(Market):
    """A market in which much comes to nothing: orders expire half a second after their placing, by the machine's clock.

    It withdraws tickets, and expires by itself what is unanswered in time.
    """

    def __init__(self, directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("producers.load.market.kitchen.SILENT_SHARE", 0.1)
        monkeypatch.setattr("producers.load.market.kitchen.ANSWER_SIGMA", 2.5)
        monkeypatch.setattr("producers.load.market.market.CHANGES_MIND_SHARE", 0.3)
        monkeypatch.setattr("producers.load.live.customers.NOTICE", timedelta(milliseconds=20))
        kinesis, orders = FakeKinesis(SYSTEM_CLOCK), FakeOrders()
        emitted: list[Diagnostic] = []
        self.publisher = EventPublisher(
            kinesis.client, "orders", clock=SYSTEM_CLOCK, wait=uninterrupted_wait(), emit=emitted.append
        )
        accept_within = timedelta(seconds=0.5)
        tracker = FakeTrackerTable()
        app = create_app(
            orders, tracker.orders(), self.publisher, KEY, SYSTEM_CLOCK, emitted.append, accept_within=accept_within
        )
        self.ordering = Ordering(
            orders, self.publisher, clock=SYSTEM_CLOCK, emit=emitted.append, answer_within=timedelta(seconds=10)
        )
        api = OrdersApi(TestClient(app), kinesis, orders, tracker, self.publisher, FakeClock(), emitted)
        super().__init__(api, directory)

    def new_tickets(self) -> list[str]:
        told = [each for each in self.api.stream() if each.event_id not in self._ticketed]
        self._ticketed.update(each.event_id for each in told)
        for order_id in {each.order_id for each in self.api.stream()}:
            order = self.ordering.find(order_id)
            if order and order.expires_by(SYSTEM_CLOCK.now() - timedelta(seconds=0.3)):
                self.ordering.expire(order_id)
        messages: list[Any] = []
        for each in told:
            if isinstance(each.event, OrderPlaced):
                messages.append(ticket_of(cast("EventEnvelope[OrderPlaced]", each)))
            elif isinstance(each.event, OrderCancelled | OrderExpired):
                messages.append(withdrawal_of(cast("EventEnvelope[OrderCancelled | OrderExpired]", each)))
        return [msgspec.json.encode(message).decode() for message in messages]


def test_a_load_lives_all_ends_of_an_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    market = Living(tmp_path, monkeypatch)
    with market.publisher, market.api.http:
        summary = market.load(LoadPlan(seed=5, rate=200, count=80, speed=SPEED, drain_timeout=timedelta(seconds=30)))
    assert summary.drained
    assert market.diagnostics == []
    on_stream = Counter({each.event_id: each.event_type for each in market.api.stream()}.values())
    ended = {"completed": summary.completed, "rejected": summary.rejected, "cancelled": summary.cancelled}
    ended["expired"] = summary.expired
    assert ended["completed"], "no order went well"
    assert ended["cancelled"], "no customer changed their mind in time"
    assert ended["expired"], "no restaurant was late or silent"
    assert sum(ended.values()) == 80
    assert ended == {state: on_stream[f"order_{state}"] for state in ended}
    assert f"{summary.cancelled} cancelled · {summary.expired} expired" in str(summary)
    # Of those that came too late nothing is on the stream; what they were told is.
    ledger = read_ledger(tmp_path)
    seen = {each.event_id for each in market.api.stream()}
    assert ledger.refused
    assert not {never.event_id for never in ledger.refused} & seen
    assert {entry.event_id for entry in ledger.acknowledged if entry.because_of is None} <= seen
    silent = on_stream["order_expired"] - ledger.counts["order_expired"]
    assert silent > 0, "each expiry was of an order whose restaurant answered too late"


@pytest.mark.parametrize("body", ["", "hello", "{}", "[" * 5000, '{"event_id": 1, "order_id": "o"}'])
def test_a_message_that_is_no_ticket_is_told_and_left(market: Market, body: str) -> None:
    market.queue._refill = list
    market.queue.send(body)
    with market.serve() as serving:
        serving.until(lambda: any(isinstance(told, UnreadableTicket) for told in market.diagnostics))
    assert market.queue.left == [body]


def test_a_queue_that_is_down_is_told_and_asked_again(market: Market) -> None:
    order_id, ticket = a_ticket(market.api)
    market.queue._refill = list
    market.queue.send(ticket)
    market.queue.fail("receive_message", "ServiceUnavailable", times=2)
    market.queue.fail("delete_message", "ServiceUnavailable")
    with market.serve() as serving:
        serving.until(lambda: served_after_redelivery(market, serving, order_id) and market.queue.left == [])
    told = Counter(each.operation for each in market.diagnostics if isinstance(each, TicketQueueFailed))
    assert told == {"receive": 2, "delete": 1}


@pytest.mark.parametrize(("speed", "least"), [(1.0, (10 + 40 + 90 + 30) * 60 + 60), (60.0, 10 + 40 + 90 + 30 + 60)])
def test_a_ticket_stays_hidden_for_longer_than_a_kitchen_may_take(market: Market, speed: float, least: float) -> None:
    with market.serve(speed=speed) as serving:
        serving.until(lambda: market.queue.hidden_for)
    assert min(market.queue.hidden_for) >= least


def test_the_tickets_of_a_restaurant_that_a_person_runs_are_left_until_they_have_gone(market: Market) -> None:
    # Its ticket comes onto the queue by itself.
    order_id, _ = a_ticket(market.api)
    asked, are_here = list[str](), [True]

    def run_by_people(restaurant_id: str) -> bool:
        asked.append(restaurant_id)
        return are_here[0]

    with market.serve(run_by_people=run_by_people) as serving:
        serving.until(lambda: asked)
        assert {type(envelope.event) for envelope in market.api.stream()} == {OrderPlaced}
        are_here[0] = False
        market.queue.redeliver()
        serving.until(lambda: order_id in serving.served().completed)
    assert set(asked) == {"restaurant-1"}
