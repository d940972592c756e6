"""The pure step from command to event: what it says, what it refuses, and that a repeat is the same event."""

import unicodedata
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from email.utils import getaddresses
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from events.orders import (
    EVENT_TYPES,
    Event,
    OrderAccepted,
    OrderCancelled,
    OrderCompleted,
    OrderExpired,
    OrderPlaced,
    OrderRejected,
)
from events.states import TRANSITION_BY
from events.wire import encode
from producers.orders import requests
from producers.orders.commands import (
    KeyReused,
    Order,
    Performed,
    TooEarly,
    TotalTooLarge,
    UnknownOrder,
    WrongState,
    derive_cause,
    derive_order_id,
    perform,
    place,
    same_placing,
)
from producers.orders.requests import (
    AcceptOrder,
    CancelOrder,
    Command,
    CompleteOrder,
    ExpireOrder,
    PlaceOrder,
    RejectOrder,
)
from tests.support.builders import NOON, an_order_item
from tests.support.lives import Life, lives

PLACE = PlaceOrder(
    restaurant_id="restaurant-1",
    customer_name="Ada Lovelace",
    customer_email="ada@example.com",
    items=(an_order_item(quantity=2, unit_price=950), an_order_item(sku="sku-2", quantity=1, unit_price=300)),
    currency="EUR",
    city="Utrecht",
)
ACCEPT, REJECT, COMPLETE = AcceptOrder(ready_in_minutes=20), RejectOrder(reason="closed"), CompleteOrder()
CANCEL, EXPIRE = CancelOrder(), ExpireOrder()
TEN_MINUTES = timedelta(minutes=10)
COMMANDS: dict[type[Event], Command] = {
    OrderAccepted: ACCEPT,
    OrderRejected: REJECT,
    OrderCompleted: COMPLETE,
    OrderCancelled: CANCEL,
    OrderExpired: EXPIRE,
}


def an_order(*commands: Command, accept_within: timedelta | None = TEN_MINUTES) -> Order:
    order = place(PLACE, customer_id="customer-1", idempotency_key="key-1", at=NOON, accept_within=accept_within)
    assert isinstance(order, Order)
    for command in commands:
        performed = done(command, order)
        assert isinstance(performed, Performed)
        order = order.after(performed)
    return order


def done(command: Command, order: Order, *, key: str = "", late: int | None = None, by: str = "") -> object:
    """By those whose command it is, `late` minutes after the placing: when it is due."""
    late = late if late is not None else 10 if command is EXPIRE else 0
    whose = {CANCEL: "customer-1", EXPIRE: None}.get(command, "restaurant-1")
    return perform(command, order, subject=by or whose, idempotency_key=key or None, at=NOON + timedelta(minutes=late))


def placing(**changes: Any) -> PlaceOrder:
    """As the API reads it."""
    return msgspec.convert(msgspec.json.decode(msgspec.json.encode(PLACE)) | changes, PlaceOrder)


def test_placing_sums_up_the_items() -> None:
    order = an_order()
    assert (order.placed.total, order.placed.customer_id, order.state) == (2200, "customer-1", "placed")


def test_a_total_from_outside_is_not_even_read() -> None:
    body = msgspec.json.decode(msgspec.json.encode(PLACE)) | {"total": 1}
    with pytest.raises(msgspec.ValidationError, match="total"):
        msgspec.convert(body, PlaceOrder)


def test_an_order_beyond_counting_is_refused() -> None:
    huge = msgspec.structs.replace(PLACE, items=(an_order_item(quantity=10_000, unit_price=10**12),))
    assert isinstance(place(huge, customer_id="c", idempotency_key="k", at=NOON), TotalTooLarge)


@pytest.mark.parametrize(
    "address",
    [
        "ada@example.com\nBcc: all@example.com",
        "ada@example.com\n",
        "ada@example.com\r",
        "ada",
        "a b@c.d",
        "@",
        "@example.com",
        "ada@",
        "ada@localhost",
        "ada@example..com",
        "ada@.example.com",
        "ada@example.com.",
        "ada@-example.com",
        "ada@example-.com",
        "ada@exa_mple.com",
        "ada@192.0.2.1",
        "ada@[192.0.2.1]",
        ".ada@example.com",
        "ada.@example.com",
        "a..da@example.com",
        "Ada Lovelace <ada@example.com>",
        "<ada@example.com>",
        "ada@example.com (Ada)",
        "ada@example.com,all@example.com",
        "ada@example.com;all@example.com",
        '"ada"@example.com',
        "ada@example.com\u202e",
        "ada\u0000@example.com",
        "j\u00f6rg@example.com",
        "ada@b\u00fccher.example",
        "ada@example.\u0441om",
        f"{'a' * 65}@example.com",
        f"ada@{'e' * 64}.com",
        f"ada@{'example.' * 32}com",
    ],
)
def test_what_mail_cannot_carry_to_one_mailbox_is_no_address(address: str) -> None:
    with pytest.raises(msgspec.ValidationError, match="customer_email"):
        placing(customer_email=address)


@pytest.mark.parametrize(
    "address",
    [
        "a@b.c",
        "ada+orders@mail.example.com",
        "o'hara@example.co.uk",
        "!#$%&'*+/=?^_`{|}~-@example.com",
        "1@2.example",
        "ADA@EXAMPLE.COM",
        "ada@xn--bcher-kva.example",
        "ada@example.xn--p1ai",
        f"{'a' * 64}@{'e' * 63}.com",
    ],
)
def test_what_mail_can_carry_is_an_address(address: str) -> None:
    assert placing(customer_email=address).customer_email == address


@pytest.mark.slow
@given(st.from_regex(requests._MAILBOX))
def test_every_address_is_one_in_a_header_too(address: str) -> None:
    with suppress(msgspec.ValidationError):  # too long
        accepted = placing(customer_email=address).customer_email
        assert getaddresses([accepted]) == [("", accepted)]
        assert accepted.isascii()
        assert accepted.isprintable()


@given(st.text())
def test_a_text_that_is_taken_is_one_line_that_keeps_its_direction(text: str) -> None:
    controls = {"Cc", "Zl", "Zp"}
    turns = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}
    marks = {"\u200e", "\u200f", "\u061c"}
    breaks = any(
        unicodedata.category(one) in controls or unicodedata.bidirectional(one) in turns or one in marks for one in text
    )
    breaks |= any("\u206a" <= one <= "\u206f" for one in text)
    if breaks:
        with pytest.raises(msgspec.ValidationError, match="customer_name"):
            placing(customer_name=text)
    else:
        assert placing(customer_name=text).customer_name == text


@pytest.mark.parametrize(
    "control", [chr(code) for code in (0, 9, 10, 13, 27, 127, 133, 0x2028, 0x202E, 0x2066, 0x200F)]
)
@pytest.mark.parametrize("place", ["{}Ada", "A{}da", "Ada{}"])
def test_a_name_cannot_become_a_mails_text(control: str, place: str) -> None:
    with pytest.raises(msgspec.ValidationError, match="customer_name"):
        placing(customer_name=place.format(control))


@pytest.mark.parametrize(
    "name",
    ["", "Zo\u00eb O'Neil-Smith", "\u0646\u0627\u0645\u200c\u0647\u0627", "\u5c71\u7530", "\U0001f469\u200d\U0001f373"],
)
def test_people_are_called_what_they_are_called(name: str) -> None:
    assert placing(customer_name=name).customer_name == name


def test_the_order_id_follows_from_customer_and_key() -> None:
    ids = {derive_order_id(customer, key) for customer in ("c1", "c2") for key in ("k1", "k2")}
    assert len(ids) == 4
    assert an_order().order_id == derive_order_id("customer-1", "key-1")


def test_a_cause_follows_from_the_event_and_the_key() -> None:
    kinds: list[type[Event]] = [OrderPlaced, OrderAccepted]
    assert len({derive_cause(kind, key) for kind in kinds for key in ("k1", "k2")}) == 4
    assert an_order(ACCEPT).later[0].envelope.cause == derive_cause(OrderAccepted, "accept")


def test_no_event_holds_the_clients_key() -> None:
    """It is free text: people put names and addresses into it."""
    order = place(PLACE, customer_id="customer-1", idempotency_key="grace-hopper", at=NOON)
    assert isinstance(order, Order)
    accepted = done(ACCEPT, order, key="grace-hopper")
    assert isinstance(accepted, Performed)
    assert not any(b"grace" in encode(performed.envelope) for performed in order.after(accepted).history)


def test_what_is_unacknowledged_ends_at_the_command_asked_about() -> None:
    order = an_order(ACCEPT, COMPLETE)
    accepted, completed = order.later
    order = Order(replace(order.placing, acknowledged=True), order.later)
    assert order.unacknowledged(order.placing) == ()
    assert order.unacknowledged(accepted) == (accepted,)
    assert order.unacknowledged(completed) == (accepted, completed)


def test_all_events_of_an_order_share_the_callers_trace() -> None:
    trace = "0af7651916cd43dd8448eb211c80319c"
    order = place(PLACE, customer_id="c", idempotency_key="k", at=NOON, traceparent=f"00-{trace}-b7ad6b7169203331-01")
    assert isinstance(order, Order)
    accepted = done(ACCEPT, order)
    assert isinstance(accepted, Performed)
    assert [performed.envelope.traceparent.split("-")[1] for performed in order.after(accepted).history] == [trace] * 2


@pytest.mark.parametrize(
    ("before", "command", "event", "state"),
    [
        ((), ACCEPT, OrderAccepted, "accepted"),
        ((), REJECT, OrderRejected, "rejected"),
        ((ACCEPT,), COMPLETE, OrderCompleted, "completed"),
        ((), CANCEL, OrderCancelled, "cancelled"),
        ((), EXPIRE, OrderExpired, "expired"),
    ],
)
def test_a_command_moves_its_order_on(before: tuple[Command, ...], command: Command, event: type, state: str) -> None:
    performed = done(command, an_order(*before))
    assert isinstance(performed, Performed)
    assert type(performed.envelope.event) is event
    assert performed.leads_to == state


def test_accepting_promises_a_time_and_carries_the_contact() -> None:
    performed = done(ACCEPT, an_order(), late=3)
    assert isinstance(performed, Performed)
    accepted = performed.envelope.event
    assert isinstance(accepted, OrderAccepted)
    assert accepted.ready_at == NOON + timedelta(minutes=23)
    assert (accepted.customer_name, accepted.customer_email) == ("Ada Lovelace", "ada@example.com")


@pytest.mark.parametrize(
    ("before", "command"),
    [
        ((), COMPLETE),
        ((REJECT,), ACCEPT),
        ((REJECT,), COMPLETE),
        ((ACCEPT,), REJECT),
        ((ACCEPT, COMPLETE), REJECT),
    ],
)
def test_an_order_goes_one_way(before: tuple[Command, ...], command: Command) -> None:
    assert isinstance(done(command, an_order(*before)), WrongState)


@pytest.mark.parametrize("life", lives(), ids=lambda life: "-".join(EVENT_TYPES[event] for event in life.events))
def test_commands_go_the_ways_of_the_table_and_no_other(life: Life) -> None:
    order = an_order(*(COMMANDS[event] for event in life.events if event in COMMANDS))
    assert order.state == life.state
    for event, command in COMMANDS.items():
        performed = done(command, order, key="another")
        if TRANSITION_BY[event].before == life.state:
            assert isinstance(performed, Performed)
            assert performed.leads_to == TRANSITION_BY[event].state
        else:
            assert isinstance(performed, WrongState)


@pytest.mark.parametrize("late", [10, 11, 999])
@pytest.mark.parametrize("command", [ACCEPT, REJECT, CANCEL, COMPLETE], ids=lambda command: type(command).__name__)
def test_what_comes_at_accept_by_or_later_makes_the_order_expire(command: Command, late: int) -> None:
    order = an_order()
    expired, due = done(command, order, late=late), done(EXPIRE, order, late=late)
    assert expired == due
    assert isinstance(expired, Performed)
    assert isinstance(expired.envelope.event, OrderExpired)
    assert expired.envelope.event.accept_by == NOON + TEN_MINUTES
    told = done(command, order.after(expired), late=late)
    assert isinstance(told, WrongState)
    assert told.detail.endswith("this one is expired.")


def test_until_then_it_waits() -> None:
    order = an_order()
    assert isinstance(done(EXPIRE, order, late=9), TooEarly)
    accepted = done(ACCEPT, order, late=9)
    assert isinstance(accepted, Performed)
    assert isinstance(done(EXPIRE, order.after(accepted), late=10), WrongState)
    assert done(ACCEPT, order.after(accepted), late=999) == accepted


def test_an_order_of_an_older_release_waits_for_ever() -> None:
    order = an_order(accept_within=None)
    assert order.placed.accept_by is None
    assert isinstance(done(EXPIRE, order, late=10**6), TooEarly)
    accepted = done(ACCEPT, order, late=10**6)
    assert isinstance(accepted, Performed)
    assert accepted.leads_to == "accepted"


def test_an_order_is_cancelled_by_its_customer_alone() -> None:
    for by in ("customer-2", "restaurant-1"):
        assert isinstance(done(CANCEL, an_order(), by=by), UnknownOrder)
    assert isinstance(done(EXPIRE, an_order(), by="restaurant-1"), UnknownOrder)


def test_a_second_acceptance_under_another_key_is_refused() -> None:
    assert isinstance(done(ACCEPT, an_order(ACCEPT), key="another"), WrongState)


@pytest.mark.parametrize(
    ("before", "command"),
    [
        ((ACCEPT,), ACCEPT),
        ((ACCEPT, COMPLETE), ACCEPT),
        ((REJECT,), REJECT),
        ((ACCEPT, COMPLETE), COMPLETE),
        ((CANCEL,), CANCEL),
        ((EXPIRE,), EXPIRE),
    ],
)
def test_a_repeat_is_the_same_event_however_late(before: tuple[Command, ...], command: Command) -> None:
    order = an_order(*before)
    assert done(command, order, late=60) in order.later


def test_a_key_stands_for_one_body() -> None:
    assert isinstance(done(AcceptOrder(ready_in_minutes=25), an_order(ACCEPT), key="accept"), KeyReused)
    other = place(
        msgspec.structs.replace(PLACE, city="Leiden"), customer_id="customer-1", idempotency_key="key-1", at=NOON
    )
    assert isinstance(other, Order)
    assert isinstance(same_placing(other, an_order()), KeyReused)


def test_a_key_that_was_not_sent_is_not_reused_by_another_body() -> None:
    for order in (an_order(ACCEPT), an_order(ACCEPT, COMPLETE)):
        refused = done(AcceptOrder(ready_in_minutes=25), order)
        assert isinstance(refused, WrongState)
        assert refused.detail == f"To accept an order it has to be placed; this one is {order.state}."


def test_another_restaurants_order_looks_like_none() -> None:
    assert isinstance(done(ACCEPT, an_order(), by="restaurant-2"), UnknownOrder)
