"""The customer's and the restaurant's pages: whose orders they show, what forms make, what people are told."""

from datetime import timedelta
from typing import Any

import pytest

from events import CANCELLED, STATES, OrderAccepted, OrderPlaced, order_timeline
from events.timeline import SeenEvent, seen
from producers.orders import Order, Role, WrongState
from producers.pages.orders.views import board, line, mails, voucher_at
from producers.pages.orders.words import STATES as IN_WORDS
from producers.pages.orders.words import in_words
from tests.events.test_timeline import at
from tests.support.builders import NOON, an_envelope, an_order_placed
from tests.support.worlds.orders_api import OrdersApi

FORM = {
    "restaurant_id": "restaurant-1",
    "customer_name": "Ada Lovelace",
    "customer_email": "ada@example.com",
    "quantity:soup": "2",
    "quantity:pizza": "",
    "idempotency_key": "form-1",
}
OTHERS: list[tuple[str, Role]] = [("customer-2", "customer"), ("restaurant-2", "restaurant")]


def placed(api: OrdersApi, **changed: str) -> Any:
    writes = api.signed_in("customer-1", "customer")
    return api.http.post("/customer/orders", data=FORM | changed, headers=writes)


def an_order(api: OrdersApi, *commands: tuple[str, Any]) -> Order:
    order_id = api.placed()
    for name, body in commands:
        assert api.command(order_id, name, body).status_code == 200
    order = api.orders.get(order_id)
    assert order
    return order


def seen_as(order: Order, *types: str) -> Any:
    """The timeline of an order of which these were seen, a second apart."""
    events = [
        SeenEvent(
            event_id=f"event-{place}",
            event_type=kind,
            occurred_at=NOON + timedelta(seconds=place),
            cause="",
            arrived_at=NOON + timedelta(seconds=place),
            shard="shard",
            sequence=str(place),
        )
        for place, kind in enumerate(types)
    ]
    return order_timeline(order.order_id, seen(events))


def test_a_form_orders_at_the_prices_of_the_menu_and_twice_is_once(api: OrdersApi) -> None:
    first, second = placed(api, unit_price="1"), placed(api)
    assert first.json() == second.json()
    [envelope] = api.stream()
    assert isinstance(envelope.event, OrderPlaced)
    assert first.json() == {"go": f"/customer/orders/{envelope.order_id}"}
    event = envelope.event
    assert (event.customer_id, event.restaurant_name, event.time_zone) == ("customer-1", "Chez Ada", "Europe/Amsterdam")
    assert [(item.sku, item.quantity, item.unit_price) for item in event.items] == [("soup", 2, 500)]
    assert event.total == 1000


@pytest.mark.parametrize(
    ("changed", "status", "told"),
    [
        ({"quantity:soup": ""}, 400, "Nothing is chosen yet."),
        ({"quantity:soup": "two"}, 400, "Soup: 'two' is no quantity."),
        ({"quantity:soup": "-1"}, 400, "Soup: '-1' is no quantity."),
        ({"quantity:soup": "100"}, 400, "Soup: '100' is no quantity."),
        ({"customer_email": "ada"}, 400, "customer_email: not an e-mail address"),
        ({"customer_name": "A\u202eda"}, 400, "customer_name: has a character"),
        ({"restaurant_id": "restaurant-9"}, 404, "There is no such restaurant."),
    ],
)
def test_a_form_that_cannot_be_an_order_names_what_is_wrong(
    api: OrdersApi, changed: dict[str, str], status: int, told: str
) -> None:
    refused = placed(api, **changed)
    assert (refused.status_code, api.stream()) == (status, [])
    assert refused.json()["detail"].startswith(told)
    assert refused.json()["fix"]


def test_a_form_whose_order_is_there_and_that_has_changed_says_so(api: OrdersApi) -> None:
    placed(api)
    refused = placed(api, **{"quantity:pizza": "1"})
    assert refused.status_code == 422
    assert refused.json()["detail"].startswith("This form has placed an order already")


def test_the_newest_order_comes_first_also_while_the_tracker_has_not_seen_it(api: OrdersApi) -> None:
    older = api.placed()
    api.tracker.orders().join(older, seen([at(1, an_envelope(an_order_placed(), order_id=older))]))
    api.time.advance(60)
    newer = api.placed()
    api.signed_in("customer-1", "customer")
    page = api.http.get("/customer").text
    assert 0 < page.index(f"order-{newer}") < page.index(f"order-{older}")


def test_a_restaurants_page_says_which_of_the_menu_it_is(api: OrdersApi) -> None:
    api.signed_in("restaurant-1", "restaurant")
    assert "Tickets of <bdi>Chez Ada</bdi>, Utrecht" in api.http.get("/restaurant").text


@pytest.mark.parametrize(("subject", "role"), OTHERS)
def test_a_page_shows_and_changes_the_orders_of_its_own_people_alone(api: OrdersApi, subject: str, role: Role) -> None:
    order_id = api.placed()
    writes = api.signed_in(subject, role)
    commands = {"customer": ["cancel"], "restaurant": ["accept", "reject", "complete"]}[role]
    forms = {"accept": {"ready_in_minutes": "5"}, "reject": {"reason": "closed"}}
    for name in commands:
        refused = api.http.post(f"/{role}/orders/{order_id}/{name}", data=forms.get(name), headers=writes)
        assert (refused.status_code, refused.json()["type"]) == (404, "urn:takeaway:problem:unknown-order"), name
    if role == "customer":
        for path in (f"/customer/orders/{order_id}", f"/customer/orders/{order_id}/part"):
            assert api.http.get(path).status_code == 404
    # Not even with the right role's path.
    other = "restaurant" if role == "customer" else "customer"
    for path in (f"/{other}/orders/{order_id}/part", f"/{other}", f"/{other}/events"):
        assert api.http.get(path).status_code in {401, 404}
    assert api.orders.get(order_id).state == "placed"  # type: ignore[union-attr]


def test_every_write_of_the_pages_needs_the_token_of_its_session(api: OrdersApi) -> None:
    order_id = api.placed()
    api.signed_in("customer-1", "customer")
    api.signed_in("restaurant-1", "restaurant")
    api.signed_in("operator-1", "operator")
    writes = [
        path.replace("{order_id}", order_id)
        for route in api.http.app.routes
        for path in [route.path_format]
        if path.startswith(("/customer", "/restaurant", "/sign-out")) and "POST" in route.methods
    ]
    assert len(writes) == 8
    for path in writes:
        for headers in ({}, {"Origin": "http://testserver.local"}, {"X-CSRF-Token": "0" * 64}):
            assert api.http.post(path, data={"ready_in_minutes": "5"}, headers=headers).status_code == 403, path
    assert len(api.stream()) == 1


def test_a_restaurant_answers_by_form_and_people_hear_what_happened(api: OrdersApi) -> None:
    order_id = api.placed()
    writes = api.signed_in("restaurant-1", "restaurant")

    def post(name: str, **form: str) -> Any:
        return api.http.post(f"/restaurant/orders/{order_id}/{name}", data=form, headers=writes)

    for wrong in ("", "0", "soon", "1441", "1.5"):
        assert post("accept", ready_in_minutes=wrong).json()["detail"].startswith("ready_in_minutes: ")
    assert post("reject", reason="mood").status_code == 400
    assert post("accept", ready_in_minutes="25").json() == {"told": "Accepted: ready in 25 minutes."}
    lost = post("reject", reason="closed")
    assert (lost.status_code, lost.json()["state"]) == (409, "accepted")
    assert lost.json()["detail"] == "This order is accepted already."
    assert post("complete").json()["told"].startswith("Completed.")
    accepted = api.stream()[1].event
    assert isinstance(accepted, OrderAccepted)
    assert accepted.ready_at - api.stream()[1].occurred_at == timedelta(minutes=25)


def test_every_end_that_may_come_first_is_told_in_words_to_both() -> None:
    roles: tuple[Role, ...] = ("customer", "restaurant")
    for role in roles:
        told = {state: str(in_words(WrongState("detail", "fix", state), role)) for state in STATES if state != "placed"}
        assert len(set(told.values())) == len(told)
        assert "detail" not in told.values()
    assert set(IN_WORDS) == set(STATES)


def test_the_page_of_a_restaurant_says_that_a_person_runs_it_until_they_sign_out(api: OrdersApi) -> None:
    writes = api.signed_in("restaurant-1", "restaurant")
    assert not api.marks.is_open("restaurant-1", api.time.now())
    assert api.http.get("/restaurant").status_code == 200
    assert api.marks.is_open("restaurant-1", api.time.now())
    api.http.post("/sign-out/restaurant", headers=writes)
    assert not api.marks.is_open("restaurant-1", api.time.now())


def test_pages_show_orders_while_the_tracker_cannot_be_asked(api: OrdersApi) -> None:
    order_id = placed(api).json()["go"].rpartition("/")[2]
    api.tracker.unread = True
    page = api.http.get(f"/customer/orders/{order_id}")
    assert page.status_code == 200
    assert "Ordered" in page.text


def test_a_menu_is_text_and_its_form_has_a_key_of_its_own(api: OrdersApi) -> None:
    api.signed_in("customer-1", "customer")
    pages = [api.http.get("/customer/restaurants/restaurant-1").text for _ in range(2)]
    assert "Pizza &lt;b&gt;" in pages[0]
    assert pages[0] != pages[1]
    assert api.http.get("/customer/restaurants/nowhere").status_code == 404


def test_a_line_tells_what_was_what_is_and_what_comes(api: OrdersApi) -> None:
    order = an_order(api)
    assert [(step.name, step.looks) for step in line(order, None)] == [
        ("Ordered", "done"),
        ("The restaurant is being told", "now"),
        ("The restaurant answers", "next"),
        ("Prepared", "next"),
        ("Ready", "next"),
    ]
    told = line(order, seen_as(order, "order_placed", "restaurant_notified"))
    assert [(step.name, step.looks) for step in told[1:3]] == [
        ("The restaurant has your order", "done"),
        ("The restaurant answers", "now"),
    ]
    assert told[2].by == order.placed.accept_by
    accept = ("accept", {"ready_in_minutes": 20})
    assert [step.looks for step in line(an_order(api, accept), None)] == ["done", "done", "now", "next"]
    assert [step.looks for step in line(an_order(api, accept, ("complete", None)), None)] == ["done"] * 3
    rejected = line(an_order(api, ("reject", {"reason": "too_busy"})), None)
    assert (rejected[-1].name, rejected[-1].looks) == ("Rejected: too busy", "bad")


def test_mails_and_vouchers_are_told_once_the_stream_has_them(api: OrdersApi) -> None:
    order = an_order(api)
    assert (mails(None), voucher_at(None)) == ([], None)
    timeline = seen_as(order, "order_placed", "user_notified", "user_notified", "voucher_issued")
    assert [at.second for at in mails(timeline)] == [1, 2]
    assert voucher_at(timeline) == NOON + timedelta(seconds=3)


def test_a_board_has_the_most_urgent_first_and_says_what_is_late(api: OrdersApi) -> None:
    slow = an_order(api, ("accept", {"ready_in_minutes": 60}))
    soon = an_order(api, ("accept", {"ready_in_minutes": 5}))
    waiting, done = an_order(api), an_order(api, ("reject", {"reason": "closed"}))
    now = api.time.now() + timedelta(minutes=6)
    shown = board([slow, waiting, done, soon], now)
    assert [ticket.order for ticket in shown.in_kitchen] == [soon, slow]
    assert [ticket.is_late for ticket in shown.in_kitchen] == [True, False]
    assert ([one.order for one in shown.to_answer], [one.order for one in shown.over]) == ([waiting], [done])
    assert shown.late == 1
    assert board([waiting], now + timedelta(minutes=10)).late == 1
    assert CANCELLED not in {one.order.state for one in shown.over}
