"""Customers who change their minds: what was answered to them is in the ledger, whoever came first."""

from datetime import timedelta
from pathlib import Path

import httpx
import pytest

from foundation.diagnostics import Diagnostic
from producers.load.ledger import LedgerWriter, read_ledger
from producers.load.live.agenda import Agenda
from producers.load.live.customers import Customers, NotCancelled
from producers.load.live.orders_client import OrdersClient
from producers.load.market.demand import FlatDemand
from producers.load.market.market import IntendedOrder, a_market, orders
from tests.support.fakes.clock import FakeClock
from tests.support.worlds.orders_api import KEY

CHANGING = next(order for order in orders(a_market(5, FlatDemand(60.0))) if order.cancels_after is not None)


def after(
    directory: Path, answer: httpx.Response, order: IntendedOrder = CHANGING
) -> tuple[Customers, list[str], list[Diagnostic]]:
    """What has come of one placed order when all cancellations are through, with what was asked and emitted."""
    time, asked, emitted = FakeClock(), list[str](), list[Diagnostic]()

    def api(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.path)
        return answer

    agenda = Agenda(time.clock, time.wait)
    with (
        LedgerWriter(directory, "customers") as ledger,
        httpx.Client(transport=httpx.MockTransport(api), base_url="http://api") as http,
    ):
        client = OrdersClient(http, KEY, clock=time.clock, wait=time.wait, give_up_after=timedelta(0))
        customers = Customers(client, ledger, agenda, clock=time.clock, emit=emitted.append)
        customers.placed(order)
        time.advance(600)
        for action in agenda._due():
            action()
    return customers, asked, emitted


def test_an_order_that_is_taken_back_is_in_the_ledger(tmp_path: Path) -> None:
    customers, asked, _ = after(tmp_path, httpx.Response(200, json={"event_id": "e", "state": "cancelled"}))
    assert customers.states() == {CHANGING.order_id: "cancelled"}
    assert asked == [f"/orders/{CHANGING.order_id}/cancel"]
    ledger = read_ledger(tmp_path)
    assert {entry.event_type for entry in ledger.acknowledged} == {
        "order_cancelled",
        "user_notified",
        "ticket_withdrawn",
    }
    assert ledger.unacknowledged == ()


@pytest.mark.parametrize("state", ["accepted", "rejected", "completed"])
def test_that_the_restaurant_came_first_is_a_normal_end(tmp_path: Path, state: str) -> None:
    customers, asked, emitted = after(tmp_path, httpx.Response(409, json={"detail": "late", "state": state}))
    assert customers.states() == {CHANGING.order_id: state}
    assert (len(asked), emitted) == (1, [])
    ledger = read_ledger(tmp_path)
    assert ledger.entries == ()
    assert {(never.event_type, never.state) for never in ledger.refused} == {
        ("order_cancelled", state),
        ("user_notified", state),
        ("ticket_withdrawn", state),
    }


def test_that_time_came_first_promises_the_expiry(tmp_path: Path) -> None:
    after(tmp_path, httpx.Response(409, json={"detail": "late", "state": "expired"}))
    assert {entry.event_type for entry in read_ledger(tmp_path).acknowledged} == {
        "order_expired",
        "user_notified",
        "ticket_withdrawn",
    }


@pytest.mark.parametrize("answer", [httpx.Response(503), httpx.Response(409, text="a proxy's page")])
def test_what_tells_no_state_is_told_and_promises_nothing(tmp_path: Path, answer: httpx.Response) -> None:
    customers, _, emitted = after(tmp_path, answer)
    assert customers.states() == {}
    assert [type(told) for told in emitted] == [NotCancelled]
    ledger = read_ledger(tmp_path)
    assert (ledger.acknowledged, ledger.refused) == ((), ())
    assert "order_cancelled" in {entry.event_type for entry in ledger.unacknowledged}


def test_who_does_not_change_their_mind_asks_nothing(tmp_path: Path) -> None:
    staying = next(order for order in orders(a_market(5, FlatDemand(60.0))) if order.cancels_after is None)
    _, asked, _ = after(tmp_path, httpx.Response(200), staying)
    assert asked == []


def test_a_faster_market_changes_its_mind_faster() -> None:
    fast = next(order for order in orders(a_market(5, FlatDemand(60.0)), None, 60.0) if order.cancels_after)
    assert fast.order_id == CHANGING.order_id
    assert fast.cancels_after is not None
    assert CHANGING.cancels_after is not None
    assert fast.cancels_after * 60 == pytest.approx(CHANGING.cancels_after, abs=timedelta(milliseconds=1))
