"""Payloads become rows exactly when they are events of the contract."""

import json
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics.archiving.decode import Decoded, decode_records
from analytics.files.writing import days, parquet
from analytics.table.schema import EVENT_SCHEMA
from events.envelope import following
from events.wire import HEADER_FIELDS, UnreadableEvent, encode, header_of
from foundation.kinesis.records import Record
from tests.support.builders import (
    NOON,
    a_restaurant_notified,
    an_envelope,
    an_item,
    an_order_accepted,
    an_order_completed,
    an_order_placed,
    nested,
    with_field,
)
from tests.support.worlds.lake_world import KEYS

SHARD = "shardId-000000000000"
ARRIVED = NOON + timedelta(seconds=2)
PLACED = an_envelope()
ACCEPTED = following(PLACED, an_order_accepted(), occurred_at=NOON, producer="restaurant")
COMPLETED = following(ACCEPTED, an_order_completed(), occurred_at=NOON, producer="restaurant")


def decoded(*bodies: bytes) -> Decoded:
    payloads = [
        Record(f"{number:056d}", "", body, ARRIVED.timestamp(), 3) for number, body in enumerate(bodies, start=1)
    ]
    return decode_records(SHARD, payloads, KEYS)


def changed(**changes: Any) -> bytes:
    """`order_placed` with fields changed, or taken out by None."""
    fields = json.loads(encode(PLACED)) | changes
    return json.dumps({name: value for name, value in fields.items() if value is not None}).encode()


def test_a_row_is_what_the_event_says_and_where_it_was() -> None:
    (row,) = decoded(encode(PLACED)).rows.to_pylist()
    tokens = [row["customer_name_token"], row["customer_email_token"]]
    KEYS.save()
    assert list(KEYS.objects.texts(tokens).values()) == ["Ada Lovelace", "ada@example.com"]
    assert row == dict.fromkeys(EVENT_SCHEMA.names) | {
        "event_id": PLACED.event_id,
        "event_type": "order_placed",
        "schema_version": 1,
        "order_id": "order-1",
        "occurred_at": NOON,
        "cause": "key-1",
        "traceparent": PLACED.traceparent,
        "producer": "orders-api",
        "restaurant_id": "restaurant-1",
        "customer_id": "customer-1",
        "items": [{"sku": "sku-1", "name": "Margherita", "quantity": 2, "unit_price": 950}],
        "total": 1900,
        "currency": "EUR",
        "city": "Utrecht",
        "customer_name_token": tokens[0],
        "customer_email_token": tokens[1],
        "_shard": SHARD,
        "_sequence_number": f"{1:056d}",
        "_sub_sequence_number": 3,
        "_arrived_at": ARRIVED,
    }


def test_every_kind_of_event_has_its_own_fields_and_no_others() -> None:
    events = [PLACED, a_restaurant_notified(PLACED), ACCEPTED, COMPLETED]
    rows = decoded(*(encode(event) for event in events)).rows
    assert rows.schema == EVENT_SCHEMA
    assert rows.column("event_type").to_pylist() == [event.event_type for event in events]
    assert rows.column("message_id").to_pylist() == [None, "message-1", None, None]
    assert rows.column("ready_at").to_pylist() == [None, None, datetime(2026, 3, 14, 12, 20, tzinfo=UTC), None]
    assert rows.column("total").to_pylist() == [1900, None, None, 1900]


def test_times_are_utc_to_the_microsecond() -> None:
    moment = datetime(2026, 3, 15, 1, 30, 0, 123457, tzinfo=timezone(timedelta(hours=2)))
    rows = decoded(encode(an_envelope(occurred_at=moment))).rows
    assert rows.column("occurred_at").to_pylist() == [datetime(2026, 3, 14, 23, 30, 0, 123457, tzinfo=UTC)]
    assert [day for day, _ in days(rows)] == [date(2026, 3, 14)]


def test_a_promise_with_an_offset_is_the_same_row() -> None:
    here = encode(ACCEPTED).replace(b"2026-03-14T12:20:00Z", b"2026-03-14T17:50:00+05:30")
    assert here != encode(ACCEPTED)
    assert decoded(here).rows.column("ready_at") == decoded(encode(ACCEPTED)).rows.column("ready_at")


BODIES = (encode(PLACED), encode(ACCEPTED), encode(COMPLETED))
BRACKETS = ((b"[", b"]"), (b'{"a":', b"}"))

# What a JSON reader that only knows column types would let through, lose or choke on.
UNREADABLE = {
    "no JSON": b"not json",
    "nothing": b"",
    "blank": b"  \n",
    "two documents": encode(PLACED) + b"\n" + encode(ACCEPTED),
    "an array": b"[]",
    "a type that is no name": changed(event_type="Order Eaten"),
    "a version below 1": changed(schema_version=0),
    "a version beyond a column's numbers": changed(schema_version=2**31),
    "no required field": changed(total=None),
    "no order": changed(order_id=None),
    "a wrong currency": changed(currency="euro"),
    "no items": changed(items=[]),
    "a total that overflows": changed(total=2**70),
    "a negative total": changed(total=-1),
    "a fraction": changed(total=19.5),
    "text for a number": changed(total="1900"),
    "a time without a zone": changed(occurred_at="2026-03-14T12:00:00"),
    "a broken character": encode(PLACED).replace(b"Utrecht", b"Utr\xffcht"),
}


@pytest.mark.parametrize("body", UNREADABLE.values(), ids=UNREADABLE.keys())
def test_a_bad_one_is_set_apart_and_its_neighbours_are_kept(body: bytes) -> None:
    result = decoded(encode(PLACED), body, encode(ACCEPTED))
    assert result.rows.column("event_id").to_pylist() == [PLACED.event_id, ACCEPTED.event_id]
    assert result.rows.column("_sequence_number").to_pylist() == [f"{1:056d}", f"{3:056d}"]
    assert [unreadable.index for unreadable in result.unreadable] == [1]
    assert str(result.unreadable[0].error)


NEWER = {
    "an unknown type": changed(event_type="order_eaten"),
    "an unknown version": changed(schema_version=2),
    "a known type whose fields mean something else now": changed(schema_version=2, total="much", items={"of": "all"}),
}


@pytest.mark.parametrize("body", NEWER.values(), ids=NEWER.keys())
def test_what_is_newer_is_a_row_of_its_envelope_and_says_the_rest_sealed(body: bytes) -> None:
    result = decoded(encode(PLACED), body, encode(ACCEPTED))
    assert result.unreadable == ()
    row = result.rows.slice(1, 1).to_pylist()[0]
    said = json.loads(body)
    assert {name: row[name] for name in HEADER_FIELDS if name != "occurred_at"} == {
        name: said[name] for name in HEADER_FIELDS if name != "occurred_at"
    }
    # Never a known column from an unknown type or version.
    others = (
        set(EVENT_SCHEMA.names) - set(HEADER_FIELDS) - {name for name in EVENT_SCHEMA.names if name.startswith("_")}
    )
    assert {name for name in others if row[name] is not None} == set()
    extra = json.loads(row["_extra"])
    assert len(extra) == len(said) - len(HEADER_FIELDS)
    for text in ("Utrecht", "Margherita", "Ada Lovelace", "customer-1"):
        assert text not in row["_extra"]


@pytest.mark.parametrize(
    ("customer_id", "subject"),
    [("customer-7", "customer-7")]
    + [(said, f"order:{PLACED.order_id}") for said in (None, 7, "", "x" * 129, ["customer-7"])],
)
def test_what_is_newer_is_sealed_under_the_customer_that_it_names(
    customer_id: object, subject: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    subjects = set[str]()

    def token(whose: str, _: str) -> str:
        subjects.add(whose)
        return "token"

    monkeypatch.setattr(KEYS, "token", token)
    assert decoded(changed(event_type="order_eaten", customer_id=customer_id)).rows.num_rows == 1
    assert subjects == {subject}


def test_unknown_fields_repeated_keys_and_line_breaks_are_tolerated() -> None:
    spread = json.dumps(json.loads(encode(PLACED)) | {"new_field": {"a": 1}}, indent=2).encode()
    repeated = encode(PLACED).replace(b'"city":"Utrecht"', b'"city":"Delft","city":"Utrecht"')
    result = decoded(spread, repeated)
    assert result.unreadable == ()
    assert result.rows.column("city").to_pylist() == ["Utrecht", "Utrecht"]


anything = st.one_of(
    st.sampled_from(BODIES),
    st.binary(max_size=60),
    st.builds(with_field, st.just("x"), st.binary(max_size=40)),
    st.builds(with_field, st.just("x"), st.builds(nested, st.integers(1, 3000))),
    st.builds(with_field, st.just("items"), st.builds(nested, st.integers(1, 3000), st.just(b'{"a":'), st.just(b"}"))),
    st.builds(with_field, st.just("x"), st.sampled_from([b"1e400", b"9" * 5000, b"-0", b"2e-999", b'"\xed\xa0\x80"'])),
)


@given(st.lists(anything, max_size=8))
def test_each_record_is_a_row_or_is_set_apart_whatever_its_bytes(bodies: list[bytes]) -> None:
    result = decoded(*bodies)
    apart = {unreadable.index for unreadable in result.unreadable}
    places = result.rows.column("_sequence_number").to_pylist()
    assert places == [f"{index + 1:056d}" for index in range(len(bodies)) if index not in apart]
    assert apart == {index for index, body in enumerate(bodies) if not is_event(body)}


def is_event(body: bytes) -> bool:
    try:
        header_of(body)
    except UnreadableEvent:
        return False
    return True


def test_a_field_that_is_nested_deep_is_kept_and_can_be_read_again() -> None:
    bodies = [with_field("x", nested(depth, *brackets)) for depth in (99, 100, 700) for brackets in BRACKETS]
    rows = decoded(*bodies).rows
    KEYS.save()
    for body, extra in zip(bodies, rows.column("_extra").to_pylist(), strict=True):
        told = json.loads(extra or "")
        if "_undecodable" in told:
            assert list(KEYS.objects.texts([told["_undecodable"]]).values()) == [body.decode()]
        else:
            assert told == {"x": json.loads(body)["x"]}


def test_only_bad_ones_make_no_rows() -> None:
    result = decoded(b"1", b"2")
    assert result.rows.num_rows == 0
    assert result.rows.schema == EVENT_SCHEMA
    assert len(result.unreadable) == 2


def test_names_and_addresses_are_nowhere_in_the_file() -> None:
    personal = {"customer_name": "Zaphod Beeblebrox", "customer_email": "zaphod@heart.example"}
    placed = an_envelope(an_order_placed(**personal, items=(an_item(name="Calzone"),)))
    accepted = following(placed, an_order_accepted(**personal), occurred_at=NOON, producer="restaurant")
    rows = decoded(encode(placed), encode(accepted)).rows
    plain = pa.BufferOutputStream()
    pq.write_table(rows, plain, compression="none")
    for body in (plain.getvalue().to_pybytes(), parquet(rows, {"shard": SHARD})):
        for part in (b"Zaphod", b"Beeblebrox", b"heart.example"):
            assert part not in body
    assert b"Calzone" in plain.getvalue().to_pybytes()  # so the search would have found them


def test_a_file_is_zstd_and_says_what_it_covers() -> None:
    file = pq.ParquetFile(pa.BufferReader(parquet(decoded(encode(PLACED)).rows, {"shard": SHARD, "n": "7"})))
    assert file.metadata.row_group(0).column(0).compression == "ZSTD"
    assert file.schema_arrow.metadata == {b"shard": SHARD.encode(), b"n": b"7"}
    assert file.read().schema.equals(EVENT_SCHEMA)
