"""What the orders API shows of what the tracker has seen: an order's timeline, what it waits for, and lists."""

from datetime import timedelta
from typing import Any

import msgspec
import pytest

from events.timeline import SeenEvent, seen
from producers.orders.diagnostics import TrackerUnread
from tests.events.test_timeline import ACCEPTED, NOTIFIED, PLACED, at, places
from tests.producers.api.test_api import problem
from tests.support.worlds.orders_api import OrdersApi


def track(api: OrdersApi, order_id: str, *events: SeenEvent, **facts: Any) -> None:
    noted = [msgspec.structs.replace(one, **facts) for one in events]
    api.tracker.orders().join(order_id, seen(noted))


def listed(api: OrdersApi, headers: dict[str, str], asked: str = "") -> list[str]:
    answer = api.http.get(f"/orders{asked}", headers=headers)
    assert answer.status_code == 200, answer.text
    return [one["order_id"] for one in answer.json()["orders"]]


def test_an_order_is_shown_with_its_timeline_and_what_it_waits_for(api: OrdersApi) -> None:
    order_id = api.placed()
    before = api.http.get(f"/orders/{order_id}", headers=api.customer).json()
    assert (before["timeline"], before["waits_for"], before["event_count"]) == ([], [], 0)
    placed, notified = places(PLACED, NOTIFIED)
    track(api, order_id, placed, notified)
    shown = api.http.get(f"/orders/{order_id}", headers=api.customer).json()
    assert shown["state"] == "placed"
    assert shown["event_count"] == 2
    assert [(one["event_type"], one["because_of"]) for one in shown["timeline"]] == [
        ("order_placed", None),
        ("restaurant_notified", "order_placed"),
    ]
    assert shown["waits_for"] == [
        {
            "actor": "restaurant",
            "owner": "restaurants",
            "tells": ["order_accepted", "order_rejected"],
            "since": "2026-03-14T12:00:02Z",
            "by": "2026-03-14T12:10:00Z",
        },
        {
            "actor": "ordering",
            "owner": "ordering",
            "tells": ["order_expired"],
            "since": "2026-03-14T12:00:01Z",
            "by": "2026-03-14T12:11:00Z",
        },
    ]


def test_the_state_is_that_of_the_orders_context_whatever_the_tracker_has_seen(api: OrdersApi) -> None:
    order_id = api.placed()
    track(api, order_id, *places(PLACED, ACCEPTED))
    assert api.http.get(f"/orders/{order_id}", headers=api.customer).json()["state"] == "placed"


def test_an_order_is_shown_while_the_tracker_cannot_be_asked(api: OrdersApi) -> None:
    order_id = api.placed()
    api.tracker.unread = True
    shown = api.http.get(f"/orders/{order_id}", headers=api.customer)
    assert shown.status_code == 200
    assert (shown.json()["state"], shown.json()["timeline"], shown.json()["waits_for"]) == ("placed", None, None)
    assert api.diagnostics == [TrackerUnread("EndpointConnectionError")]


def test_customers_and_restaurants_list_their_own_orders_and_operators_all(api: OrdersApi) -> None:
    for number, (customer, restaurant) in enumerate(
        [("customer-1", "restaurant-1"), ("customer-2", "restaurant-1"), ("customer-1", "restaurant-2")]
    ):
        placed = at(1, PLACED)
        occurred_at = placed.occurred_at + timedelta(minutes=number)
        track(api, f"order-{number}", placed, customer_id=customer, restaurant_id=restaurant, occurred_at=occurred_at)
    assert listed(api, api.customer) == ["order-2", "order-0"]
    assert listed(api, api.restaurant) == ["order-1", "order-0"]
    assert listed(api, api.token("me", "operator")) == ["order-2", "order-1", "order-0"]
    assert listed(api, api.token("customer-3", "customer")) == []


def test_a_list_has_one_state_and_comes_by_pages(api: OrdersApi) -> None:
    for number in range(5):
        placed = at(1, PLACED)
        occurred_at = placed.occurred_at + timedelta(minutes=number)
        events = [placed, at(2, ACCEPTED)] if number % 2 else [placed]
        track(api, f"order-{number}", *events, occurred_at=occurred_at)
    operator = api.token("me", "operator")
    first = api.http.get("/orders?limit=2", headers=operator).json()
    assert [one["order_id"] for one in first["orders"]] == ["order-4", "order-3"]
    assert first["orders"][1] == {
        "order_id": "order-3",
        "state": "accepted",
        "placed_at": "2026-03-14T12:03:00Z",
        "customer_id": "customer-1",
        "restaurant_id": "restaurant-1",
    }
    assert listed(api, operator, f"?limit=3&cursor={first['next']}") == ["order-2", "order-1", "order-0"]
    assert api.http.get("/orders?limit=5", headers=operator).json()["next"] is None
    assert listed(api, api.customer, "?state=accepted") == ["order-3", "order-1"]


@pytest.mark.parametrize("cursor", ["nonsense", "AAAA", "%00", "x" * 1024])
def test_a_bad_cursor_is_a_problem_with_a_fix(api: OrdersApi, cursor: str) -> None:
    answer = api.http.get(f"/orders?cursor={cursor}", headers=api.customer)
    assert "`next`" in problem(answer, 400, "bad-cursor")["fix"]


def test_a_list_that_cannot_be_read_is_a_503(api: OrdersApi) -> None:
    api.tracker.unread = True
    problem(api.http.get("/orders", headers=api.customer), 503, "store-unavailable")
