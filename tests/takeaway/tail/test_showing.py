"""What `takeaway tail` shows of a record: the event as a person reads it, what was asked for, and no personal data."""

import base64
import json
from typing import Any

import pytest
from hypothesis import given

from events.orders import VoucherIssued
from events.wire import encode
from takeaway.tail import Shown, Wanted, shown
from tests.support.builders import a_record, an_envelope, an_order_accepted, an_order_placed
from tests.support.corpus import any_record

SHARD = "shardId-000000000007"
ORDER = an_order_placed()
ACCEPTED = an_order_accepted()
PLACED = an_envelope(ORDER, order_id="order-1")


def show(data: bytes, **wanted: frozenset[str]) -> Shown | None:
    return shown(SHARD, a_record(1, data=data), Wanted(**wanted))


def test_an_event_is_a_line_with_its_time_shard_type_order_and_restaurant() -> None:
    told = show(encode(PLACED))
    assert told is not None
    assert told.line.split() == ["12:00:00", "0007", "order_placed", "order-1", "restaurant-1"]
    assert told.facts["event"]["order_id"] == "order-1"
    assert (told.facts["shard"], told.facts["sequence"], told.facts["sub"]) == (SHARD, "1", 0)


@pytest.mark.parametrize(
    ("wanted", "is_shown"),
    [
        ({}, True),
        ({"types": frozenset({"order_placed", "order_expired"})}, True),
        ({"types": frozenset({"order_expired"})}, False),
        ({"orders": frozenset({"order-1"})}, True),
        ({"orders": frozenset({"order-2"})}, False),
        ({"restaurants": frozenset({"restaurant-1"})}, True),
        ({"restaurants": frozenset({"restaurant-2"})}, False),
        ({"types": frozenset({"order_placed"}), "orders": frozenset({"order-2"})}, False),
    ],
)
def test_only_what_is_wanted_is_shown(wanted: dict[str, frozenset[str]], is_shown: bool) -> None:
    assert (show(encode(PLACED), **wanted) is not None) is is_shown


@pytest.mark.parametrize(
    ("event", "secrets"),
    [
        (ORDER, (ORDER.customer_name, ORDER.customer_email)),
        (ACCEPTED, (ACCEPTED.customer_name, ACCEPTED.customer_email)),
        (VoucherIssued(customer_id="c", voucher_code="SECRET", percent_off=10, completed_orders=5), ("SECRET",)),
    ],
)
def test_what_is_personal_is_masked(event: Any, secrets: tuple[str, ...]) -> None:
    told = show(encode(an_envelope(event)))
    assert told is not None
    assert all(secrets)
    text = told.line + json.dumps(told.facts, ensure_ascii=False)
    assert not any(secret in text for secret in secrets)


def test_what_is_no_event_is_told_and_masked_where_nothing_is_asked_for() -> None:
    torn = encode(PLACED)[:-9]
    told = show(torn)
    assert told is not None
    assert "unreadable: " in told.line
    payload = base64.b64decode(told.facts["payload"])
    assert len(payload) == len(torn)
    assert str(ORDER.customer_name).encode() not in payload
    assert show(torn, orders=frozenset({"order-1"})) is None


@given(any_record)
def test_whatever_comes_is_one_line_and_json(data: bytes) -> None:
    told = show(data)
    assert told is not None
    assert told.line.splitlines() == [told.line]
    assert json.loads(json.dumps(told.facts)) == told.facts
