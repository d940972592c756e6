"""Payloads become rows exactly when they are events of the contract."""

import json
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from analytics.archiving.decode import Decoded, decode_records
from analytics.files.writing import days, parquet
from analytics.table.schema import EVENT_SCHEMA
from events.envelope import following
from events.wire import encode
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
    assert row == {
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
        "ready_at": None,
        "channel": None,
        "message_id": None,
        "reason": None,
        "customer_name_token": tokens[0],
        "customer_email_token": tokens[1],
        "_extra": None,
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


# What a JSON reader that only knows column types would let through, lose or choke on.
UNREADABLE = {
    "no JSON": b"not json",
    "nothing": b"",
    "blank": b"  \n",
    "two documents": encode(PLACED) + b"\n" + encode(ACCEPTED),
    "an array": b"[]",
    "an unknown type": changed(event_type="order_eaten"),
    "an unknown version": changed(schema_version=2),
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


def test_unknown_fields_repeated_keys_and_line_breaks_are_tolerated() -> None:
    spread = json.dumps(json.loads(encode(PLACED)) | {"new_field": {"a": 1}}, indent=2).encode()
    repeated = encode(PLACED).replace(b'"city":"Utrecht"', b'"city":"Delft","city":"Utrecht"')
    result = decoded(spread, repeated)
    assert result.unreadable == ()
    assert result.rows.column("city").to_pylist() == ["Utrecht", "Utrecht"]


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
