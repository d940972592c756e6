"""The wire: golden bytes are decoded for ever, the unknown is tolerated, the broken is told apart and explained."""

import contextlib
import json
from datetime import datetime, timedelta, timezone
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import inspect

from events.envelope import EventEnvelope, derive_event_id
from events.fields import fields_of
from events.orders import EVENT_TYPES, EVENTS, Event, OrderAccepted, OrderPlaced
from events.self_test import golden_bytes
from events.wire import HEADER_FIELDS, UnreadableEvent, decode, decode_only, encode, unknown_fields
from tests.support.builders import (
    NOON,
    an_envelope,
    an_order_accepted,
    an_order_completed,
    an_order_placed,
    nested,
    with_field,
)
from tests.support.corpus import GARBAGE, ODD, an_object, any_json, any_record


@pytest.mark.parametrize("name", sorted(golden_bytes()))
def test_golden_bytes_are_read_and_written_again_to_the_letter(name: str) -> None:
    data = golden_bytes()[name]
    assert encode(decode(data)) == data


def test_every_event_has_golden_bytes() -> None:
    assert golden_bytes().keys() >= {f"{EVENT_TYPES[event]}.v{event.schema_version}" for event in EVENTS}


def test_the_values_behind_the_golden_bytes() -> None:
    placed = decode(golden_bytes()["order_placed.v1"])
    assert isinstance(placed.event, OrderPlaced)
    assert placed.event.customer_name == 'Zoë "Z" Müller'
    assert [(item.sku, item.quantity, item.unit_price) for item in placed.event.items] == [
        ("ramen", 2, 1450),
        ("tea", 1, 0),
    ]
    assert placed.event_id == derive_event_id("order-42", "order_placed", "key-42")
    assert placed.occurred_at.isoformat() == "2026-03-14T18:30:00.250000+00:00"


def test_what_an_older_release_does_not_say_is_not_written() -> None:
    placed, due = (an_envelope(an_order_placed(accept_by=by)) for by in (None, NOON))
    assert encode(due) == encode(placed)[:-1] + b',"accept_by":"2026-03-14T12:00:00Z"}'
    rejected = golden_bytes()["order_rejected.v1"]
    assert not {"customer_name", "customer_email"} & json.loads(rejected).keys()
    assert decode(rejected).event == decode(rejected[:-1] + b',"customer_name":null}').event


@pytest.mark.parametrize(
    "event", [an_order_placed(), an_order_placed(accept_by=NOON), an_order_accepted(), an_order_completed()]
)
def test_what_is_encoded_comes_back(event: Event) -> None:
    envelope = an_envelope(event)
    assert decode(encode(envelope)) == envelope


@given(name=st.text(max_size=1024), order_id=st.text(min_size=1, max_size=128))
def test_any_text_survives(name: str, order_id: str) -> None:
    envelope: EventEnvelope[Event] = an_envelope(an_order_placed(customer_name=name), order_id=order_id)
    assert decode(encode(envelope)) == envelope


def test_no_event_field_hides_an_envelope_field() -> None:
    for event in EVENTS:
        assert not set(HEADER_FIELDS) & {field.name for field in msgspec.structs.fields(event)}


def test_a_listener_opens_only_its_own_event() -> None:
    placed = an_envelope()
    assert decode_only(OrderPlaced, encode(placed)) == placed
    assert decode_only(OrderAccepted, encode(placed)) is None
    assert decode_only(OrderPlaced, encode(an_envelope(an_order_accepted())).replace(b'"ready_at"', b'"x"')) is None


@pytest.mark.parametrize("data", [b"{", b'{"event_type": "order_accepted"}', b"null"])
def test_what_is_no_event_at_all_is_unreadable_to_every_listener(data: bytes) -> None:
    with pytest.raises(UnreadableEvent):
        decode_only(OrderPlaced, data)


def test_a_listener_cannot_read_its_own_event_when_that_is_broken() -> None:
    with pytest.raises(UnreadableEvent, match="order_placed"):
        decode_only(OrderPlaced, encode(an_envelope()).replace(b'"total"', b'"sum"'))


def changed(**changes: Any) -> bytes:
    fields = json.loads(encode(an_envelope()))
    return json.dumps({name: value for name, value in (fields | changes).items() if value != "DROP"}).encode()


def test_fields_nobody_knows_are_tolerated() -> None:
    assert decode(changed(loyalty_points=7, items_were={"nested": [1]})) == an_envelope()


def test_another_time_zone_is_the_same_moment() -> None:
    assert decode(changed(occurred_at="2026-03-14T13:00:00+01:00")) == an_envelope()


def test_every_moment_of_every_event_is_read_in_utc() -> None:
    """Golden bytes with each moment written an hour ahead of UTC."""
    moved = 0
    due = encode(an_envelope(an_order_placed(accept_by=NOON)))
    for golden in (due, *golden_bytes().values()):
        fields = json.loads(golden)
        event = next(event for event, name in EVENT_TYPES.items() if name == fields["event_type"])
        moments = [field.name for field in fields_of(event) if isinstance(field.kind, inspect.DateTimeType)]
        for name in fields.keys() & {"occurred_at", *moments}:
            moment = datetime.fromisoformat(fields[name]).astimezone(timezone(timedelta(hours=1)))
            read = decode(json.dumps(fields | {name: moment.isoformat()}).encode())
            assert read == decode(golden)
            assert encode(read) == golden
            moved += name in moments
    assert moved


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "truncated"),
        (b"\xff\xfe", "envelope"),
        (b'{"event_id": "x"', "truncated"),
        (b"[]", "Expected `object`, got `array`"),
        (changed(order_id="DROP"), "missing required field `order_id`"),
        (changed(order_id=""), r"\$\.order_id"),
        (changed(occurred_at="yesterday"), r"\$\.occurred_at"),
        (changed(occurred_at="2026-03-14T12:00:00"), r"\$\.occurred_at"),
        (changed(occurred_at="0001-01-01T00:00:00+14:00"), r"years 1 to 9999.*\$\.occurred_at"),
        (changed(event_type="order_teleported"), "unknown event_type order_teleported"),
        (changed(schema_version=99), "unknown schema_version 99"),
        (changed(restaurant_id="DROP"), "missing required field `restaurant_id`"),
        (changed(total=-1), r"\$\.total"),
        (changed(total="12"), r"\$\.total"),
        (changed(total=12.5), r"\$\.total"),
        (changed(currency="euro"), r"\$\.currency"),
        (changed(currency="EUR\n"), r"\$\.currency"),
        (b'{"x":' + b"[" * 100_000, "envelope"),
        (changed(items=[]), r"\$\.items"),
        (changed(items=[{"sku": "a", "name": "b", "quantity": 0, "unit_price": 1}]), r"\$\.items\[0\]\.quantity"),
    ],
)
def test_broken_bytes_are_unreadable_and_say_what_and_where(data: bytes, says: str) -> None:
    with pytest.raises(UnreadableEvent, match=says):
        decode(data)


def test_a_promise_outside_utcs_years_is_unreadable_too() -> None:
    fields = json.loads(encode(an_envelope(an_order_accepted())))
    with pytest.raises(UnreadableEvent, match=r"years 1 to 9999.*\$\.ready_at"):
        decode(json.dumps(fields | {"ready_at": "9999-12-31T23:59:59-14:00"}).encode())


@pytest.mark.parametrize(
    "data",
    [
        changed(customer_name="Ada Lovelace", customer_email=["ada@example.com"]),
        changed(event_type="Ada wrote ada@example.com"),
        changed(event_id="ada@example.com", total="x"),
        changed(event_type="order_rejected", reason="Ada's order, ada@example.com, 'was' rude"),
    ],
)
def test_the_reason_never_quotes_what_was_there(data: bytes) -> None:
    with pytest.raises(UnreadableEvent) as raised:
        decode(data)
    assert "Ada" not in str(raised.value)
    assert "ada@" not in str(raised.value)


UNKNOWN: dict[str, tuple[bytes, Any]] = {
    "a number beyond float": (b"1e400", "1e400"),
    "and a negative one": (b"-1.5E+999", "-1.5E+999"),
    "one of 5,000 digits": (b"1" * 5000, "1" * 5000),
    "one of 70 bits": (b"1180591620717411303424", 2**70),
    "one that float has": (b"1.5e300", 1.5e300),
    "NUL": (b'"a\\u0000b"', "a\0b"),
    "nested a hundred times, with its object": (nested(99), json.loads(nested(99))),
}
WHOLE: dict[str, bytes] = {
    "nested once more": nested(100),
    "nested far deeper": nested(800),
    "objects": nested(400, b'{"a":', b"}"),
    "no UTF-8": b'"\xff"',
    "a surrogate as bytes": b'"\xed\xa0\x80"',
    "one in a name": b'{"\xed\xa0\x80":1}',
}


@pytest.mark.parametrize("name", UNKNOWN)
def test_an_unknown_field_is_kept_as_what_it_says(name: str) -> None:
    raw, value = UNKNOWN[name]
    data = with_field("x", raw)
    assert unknown_fields(data, decode(data).event) == {"x": value}


@pytest.mark.parametrize("name", WHOLE)
def test_what_not_every_reader_takes_is_kept_as_the_whole_text(name: str) -> None:
    data = with_field("x", WHOLE[name])
    assert unknown_fields(data, decode(data).event) == {"_undecodable": data.decode(errors="backslashreplace")}


def test_so_is_what_is_nested_deep_in_an_item() -> None:
    data = encode(an_envelope()).replace(b'"sku":', b'"x":' + nested(800) + b',"sku":')
    assert unknown_fields(data, decode(data).event) == {"_undecodable": data.decode()}


@given(
    st.one_of(
        any_json, st.binary(max_size=40), st.builds(nested, st.integers(1, 3000), st.just(b'{"a":'), st.just(b"}"))
    )
)
def test_a_field_of_any_bytes_is_kept_or_makes_the_event_unreadable(raw: bytes) -> None:
    for data in (with_field("x", raw), encode(an_envelope()).replace(b'"sku":', b'"x":' + raw + b',"sku":')):
        try:
            read = decode(data)
        except UnreadableEvent:
            continue
        unknown = unknown_fields(data, read.event)
        assert msgspec.json.decode(msgspec.json.encode(unknown)) == unknown


@pytest.mark.slow
@given(st.one_of(any_json, st.dictionaries(st.sampled_from(HEADER_FIELDS), any_json).map(an_object)))
def test_any_json_is_an_event_or_unreadable(data: bytes) -> None:
    with pytest.raises(UnreadableEvent):
        decode(data)


@pytest.mark.slow
@given(st.sampled_from(sorted(golden_bytes().values())), st.data())
def test_an_event_with_anything_in_a_field_is_an_event_or_unreadable(golden: bytes, data: st.DataObject) -> None:
    fields = {name: json.dumps(value).encode() for name, value in json.loads(golden).items()}
    fields[data.draw(st.sampled_from(sorted(fields)))] = data.draw(any_json)
    with contextlib.suppress(UnreadableEvent):
        unknown_fields(an_object(fields), decode(an_object(fields)).event)


@given(st.binary(max_size=200))
def test_no_bytes_do_anything_else(data: bytes) -> None:
    with pytest.raises(UnreadableEvent):
        decode(data)


@pytest.mark.parametrize("name", GARBAGE)
def test_garbage_is_unreadable_to_whom_it_concerns_and_passed_by_others(name: str) -> None:
    for read in (decode, lambda data: decode_only(OrderPlaced, data)):
        with pytest.raises(UnreadableEvent) as raised:
            read(GARBAGE[name])
        assert "there" not in str(raised.value), "its words were cut"
    with contextlib.suppress(UnreadableEvent):
        assert decode_only(OrderAccepted, GARBAGE[name]) is None


@pytest.mark.parametrize("name", ODD)
def test_an_event_with_more_in_it_is_an_event(name: str) -> None:
    assert decode(ODD[name]) == decode_only(OrderPlaced, ODD[name]) == an_envelope()
    assert unknown_fields(ODD[name], decode(ODD[name]).event)


@pytest.mark.slow
@given(any_record)
def test_any_record_is_an_event_or_unreadable_to_every_reader(data: bytes) -> None:
    for event in EVENTS:
        with contextlib.suppress(UnreadableEvent):
            heard = decode_only(event, data)
            assert heard is None or heard == decode(data)
