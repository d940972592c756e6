"""Where Arrow vouches for a block of payloads, the rows are those that the contract's own decoder makes of each."""

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from analytics.archiving.columnar import read_columns
from analytics.archiving.decode import BLOCKS, _one_by_one, decode_records
from events.envelope import following
from events.fields import fields_of
from events.orders import EVENT_TYPES, EVENTS, Event, OrderRejected, UserNotified
from events.self_test import golden_bytes
from events.wire import UnreadableEvent, encode, header_of
from foundation.kinesis.records import Record
from tests.support.builders import (
    NOON,
    a_restaurant_notified,
    an_envelope,
    an_item,
    an_order_accepted,
    an_order_completed,
    an_order_placed,
)
from tests.support.worlds.lake_world import KEYS, SHARD

PLACED = an_envelope(an_order_placed(items=(an_item(), an_item(sku="sku-2", name="Calzone é"))))


def _answer(event: Event) -> bytes:
    return encode(following(PLACED, event, occurred_at=NOON, producer="somebody"))


# Of the profile that runs.
EXAMPLES = settings().max_examples

_MADE = (
    encode(PLACED),
    encode(a_restaurant_notified(PLACED)),
    _answer(an_order_accepted()),
    _answer(OrderRejected(restaurant_id="r", customer_id="c", reason="closed")),
    _answer(UserNotified(customer_id="c", channel="ses", message_id="m")),
    _answer(an_order_completed()),
)
# And the golden bytes of every other event.
BODIES = (
    *_MADE,
    *(
        golden
        for _, golden in sorted(golden_bytes().items())
        if json.loads(golden)["event_type"] not in {json.loads(body)["event_type"] for body in _MADE}
    ),
)

EVENT_BY = {name: event for event, name in EVENT_TYPES.items()}

# Values that some reader or other takes for something else.
VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 1, 2, 10_001, 10**12, 10**12 + 1, 2**31, 2**63, 2**70, 1.0, 19.5, 1e3),
    *(
        "",
        "1",
        "x" * 128,
        "x" * 129,
        "é" * 128,
        "é" * 129,
        "x" * 1025,
        "\x00",
        '"',
        "\n",
        "closed",
        "open",
        "EUR",
        "EURO",
    ),
    *("2026-03-14T12:00:00Z", "2026-03-14 12:00:00.5Z", "2026-03-14T12:00:00.123456Z", "2026-03-14T14:00:00+02:00"),
    *("2026-03-14", "2026-03-14T12:00:60Z", "2026-02-30T12:00:00Z", "0000-01-01T00:00:00Z", "9999-12-31T23:59:59Z"),
    *([], [None], {}, {"sku": "s"}, [{"sku": "s", "name": "n", "quantity": 1, "unit_price": 1, "more": 2}]),
    *(["order_placed", 1][:1], "order_placed", "order_eaten"),
)
NAMES = sorted({name for body in BODIES for name in json.loads(body)} | {"unknown", "_extra", "customer_Name"})
SPLICES = (*b'\n{}[]",:\\ 0-\x00\xff', *"é".encode())


@st.composite
def _bodies(draw: st.DrawFn) -> bytes:
    """An event's bytes as they were written, or with one or two things about them changed."""
    body = draw(st.sampled_from(BODIES))
    for _ in range(draw(st.sampled_from((0, 0, 0, 1, 1, 2)))):
        kind = draw(st.sampled_from(("field", "nested", "splice", "cut", "repeat", "spread")))
        body = draw(_MUTATIONS[kind](body))
    return body


def _fields(body: bytes) -> dict[str, Any]:
    try:
        fields = json.loads(body)
    except ValueError:
        return {}
    return fields if isinstance(fields, dict) else {}


def _field(body: bytes) -> st.SearchStrategy[bytes]:
    return st.builds(
        lambda name, value: _text(_fields(body) | {name: value}), st.sampled_from(NAMES), st.sampled_from(VALUES)
    )


def _nested(body: bytes) -> st.SearchStrategy[bytes]:
    names = st.sampled_from(("sku", "name", "quantity", "unit_price", "unknown"))

    def changed(name: str, value: Any) -> bytes:
        fields = _fields(body)
        items = fields.get("items")
        if isinstance(items, list) and items and isinstance(items[0], dict):
            fields["items"] = [items[0] | {name: value}, *items[1:]]
        return _text(fields)

    return st.builds(changed, names, st.sampled_from(VALUES))


def _splice(body: bytes) -> st.SearchStrategy[bytes]:
    return st.builds(
        lambda at, byte, over: body[:at] + bytes([byte]) + body[at + over :],
        st.integers(0, len(body)),
        st.sampled_from(SPLICES),
        st.integers(0, 2),
    )


def _cut(body: bytes) -> st.SearchStrategy[bytes]:
    return st.builds(lambda at, to: body[:at] + body[to:], st.integers(0, len(body)), st.integers(0, len(body)))


def _repeat(body: bytes) -> st.SearchStrategy[bytes]:
    between = st.sampled_from((b"", b"\n", b" ", b","))
    twice = st.builds(lambda glue: body + glue + body, between)
    key = st.sampled_from(NAMES).map(lambda name: body[:-1] + f',"{name}":"again"}}'.encode())
    return st.one_of(twice, key)


def _spread(body: bytes) -> st.SearchStrategy[bytes]:
    return st.sampled_from((1, None)).map(lambda indent: json.dumps(_fields(body), indent=indent).encode())


def _text(fields: dict[str, Any]) -> bytes:
    return json.dumps(fields, ensure_ascii=False, separators=(",", ":")).encode()


_MUTATIONS = {
    "field": _field,
    "nested": _nested,
    "splice": _splice,
    "cut": _cut,
    "repeat": _repeat,
    "spread": _spread,
}


@pytest.mark.slow
@settings(
    max_examples=10 * EXAMPLES,
    deadline=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)
@given(st.lists(_bodies(), min_size=1, max_size=4))
def test_what_arrow_vouches_for_is_what_the_contract_says(bodies: list[bytes]) -> None:
    columns = read_columns(bodies)
    rows, errors = _one_by_one(bodies, KEYS)
    if columns is not None:
        assert errors == {}
        assert columns.to_pylist() == rows.to_pylist()
        assert columns.schema == rows.schema


@pytest.mark.slow
@settings(
    max_examples=3 * EXAMPLES,
    deadline=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)
@given(st.lists(_bodies(), min_size=1, max_size=6))
def test_each_payload_is_a_row_or_set_apart_as_the_contract_says(bodies: list[bytes]) -> None:
    payloads = [Record(str(number), "", body, NOON.timestamp()) for number, body in enumerate(bodies)]
    decoded = decode_records(SHARD, payloads, KEYS)
    good = {}
    for index, body in enumerate(bodies):
        try:
            good[str(index)] = header_of(body)
        except UnreadableEvent:
            assert index in {unreadable.index for unreadable in decoded.unreadable}
    found = dict(
        zip(
            decoded.rows.column("_sequence_number").to_pylist(),
            decoded.rows.column("event_id").to_pylist(),
            strict=True,
        )
    )
    assert found == {number: header.event_id for number, header in good.items()}
    assert len(found) + len(decoded.unreadable) == len(bodies)


def test_no_event_as_we_write_it_is_a_doubt() -> None:
    assert {json.loads(body)["event_type"] for body in BODIES} == {EVENT_TYPES[event] for event in EVENTS}
    assert read_columns(BODIES) is not None
    assert read_columns([body for body in BODIES for _ in range(BLOCKS[-1])]) is not None


@pytest.mark.parametrize("name", ["customer_name", "city", "total", "reason", "ready_at", "event_id"])
def test_a_column_in_the_wrong_event_or_missing_in_its_own_is_a_doubt(name: str) -> None:
    having = [body for body in BODIES if name in _fields(body)]
    value = _fields(having[0])[name]
    for body in BODIES:
        fields = _fields(body)
        changed = _text(
            {key: fields[key] for key in fields if key != name} if name in fields else {**fields, name: value}
        )
        may_lack_it = any(
            field.name == name and field.is_optional for field in fields_of(EVENT_BY[fields["event_type"]])
        )
        assert (read_columns([*BODIES, changed]) is not None) == may_lack_it


def test_two_torn_records_that_are_one_together_are_none() -> None:
    """Two halves of an object, and two objects in one record: as many objects as records."""
    whole = BODIES[0]
    at = whole.index(b'},{"sku"') + 1
    bodies = [whole[:at], whole[at + 1 :], BODIES[1] + BODIES[2]]
    assert read_columns(bodies) is None
    assert len(_one_by_one(bodies, KEYS)[1]) == 3
