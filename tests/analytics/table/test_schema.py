"""The lake's columns follow the events, and each has a field id for good."""

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Literal

import msgspec
import pyarrow as pa
import pytest
from msgspec import Meta

from analytics.table.schema import (
    EVENT_SCHEMA,
    FIELD_IDS,
    FILE_COLUMNS,
    SCHEMA_FINGERPRINT,
    FieldIdTaken,
    column_of,
    event_fields,
    field_ids,
    plain,
)
from events.fields import UnstorableField, fields_of
from events.orders import EVENTS, CustomerId, Identifier, MinorUnits, OrderPlaced, Text, Timestamp
from tests.support import ROOT

GOLDEN_IDS = ROOT / "tests/events/golden/field_ids.txt"

# Columns may come, each behind those of its kind. None of these goes, moves or changes.
GOLDEN_COLUMNS = """\
event_id: string not null
event_type: string not null
schema_version: int32 not null
order_id: string not null
occurred_at: timestamp[us, tz=UTC] not null
cause: string not null
traceparent: string not null
producer: string not null
restaurant_id: string
customer_id: string
items: list<item: struct<sku: string, name: string, quantity: int32, unit_price: int64>>
  child 0, item: struct<sku: string, name: string, quantity: int32, unit_price: int64>
      child 0, sku: string
      child 1, name: string
      child 2, quantity: int32
      child 3, unit_price: int64
total: int64
currency: string
city: string
ready_at: timestamp[us, tz=UTC]
channel: string
message_id: string
reason: string
customer_name_token: string
customer_email_token: string
_extra: string
_shard: string not null
_sequence_number: string not null
_sub_sequence_number: int64 not null
_arrived_at: timestamp[us, tz=UTC] not null"""


def golden_names() -> list[str]:
    return [line.partition(":")[0] for line in GOLDEN_COLUMNS.splitlines() if not line.startswith(" ")]


def golden_ids() -> dict[str, int]:
    lines = [line.split() for line in GOLDEN_IDS.read_text().splitlines()]
    return {path: int(field_id) for field_id, path in lines}


def test_the_columns_are_those_that_the_lake_has() -> None:
    known = [EVENT_SCHEMA.field(name) for name in EVENT_SCHEMA.names if name in golden_names()]
    assert str(pa.schema(known)) == GOLDEN_COLUMNS
    if EVENT_SCHEMA.names == golden_names():
        # Offsets that were written down have it.
        assert SCHEMA_FINGERPRINT == "80983e80f5897ac5"


def test_every_field_of_every_event_is_a_column() -> None:
    fields = {field for event in EVENTS for field in event.__struct_fields__}
    assert fields == {name.removesuffix("_token") for name in EVENT_SCHEMA.names} & fields
    assert not {"customer_name", "customer_email"} & set(EVENT_SCHEMA.names)


def test_no_field_id_is_changed_or_used_again() -> None:
    golden = golden_ids()
    taken = {field_id: path for path, field_id in golden.items()}
    again = {
        f"{field_id} is {taken[field_id]}'s, not {path}'s"
        for path, field_id in FIELD_IDS.items()
        if taken.get(field_id, path) != path
    }
    fix = f"fix: a number that {GOLDEN_IDS.name} does not have, {max(taken) + 1} for example"
    assert not again, f"the ids of {again} are other fields' there, for good. {fix}"
    assert len(taken) == len(golden)
    new = {f"{field_id} {path}" for path, field_id in FIELD_IDS.items() if path not in golden}
    assert not new, f"ids without a place in {GOLDEN_IDS.name}, where each stays for good. fix: add the lines {new}"
    # A field that went keeps its line, and so its number.
    assert {path: golden[path] for path in FIELD_IDS} == FIELD_IDS


def test_every_column_that_is_written_has_an_id_nested_ones_too() -> None:
    assert field_ids(FILE_COLUMNS).keys() == FIELD_IDS.keys() - {"event_date"}
    assert {"items.list.element", "items.list.element.sku"} < FIELD_IDS.keys()
    assert pa.schema(map(plain, FILE_COLUMNS)).equals(EVENT_SCHEMA, check_metadata=True)


class Refund(msgspec.Struct):
    amount: Annotated[MinorUnits, Meta(extra={"field_id": 901})]
    because: Annotated[Literal["late", "cold"] | None, Meta(extra={"field_id": 902})] = None


class OrderRefunded(msgspec.Struct):
    refunds: Annotated[
        tuple[Annotated[Refund, Meta(extra={"field_id": 904})], ...],
        Meta(min_length=1, max_length=9, extra={"field_id": 903}),
    ]
    is_whole: Annotated[bool, Meta(extra={"field_id": 905})]
    paid_at: Annotated[Timestamp, Meta(extra={"field_id": 906})]


class SameNumber(msgspec.Struct):
    courier_id: Annotated[Identifier, Meta(extra={"field_id": 109})]


class NoNumber(msgspec.Struct):
    courier_id: Identifier


class OtherTotal(msgspec.Struct):
    total: Annotated[Text, Meta(extra={"field_id": 109})]


class OtherNumber(msgspec.Struct):
    total: Annotated[MinorUnits, Meta(extra={"field_id": 999})]


class WithoutCustomer(msgspec.Struct):
    courier_name: Annotated[Text, Meta(extra={"field_id": 907, "personal": True})]


class PerhapsCustomer(msgspec.Struct):
    courier_name: Annotated[Text, Meta(extra={"field_id": 907, "personal": True})]
    customer_id: CustomerId | None = None


class InnerPerson(msgspec.Struct):
    courier_name: Annotated[Text, Meta(extra={"field_id": 910, "personal": True})]


class Inside(msgspec.Struct):
    customer_id: CustomerId
    couriers: Annotated[
        tuple[Annotated[InnerPerson, Meta(extra={"field_id": 911})], ...], Meta(extra={"field_id": 912})
    ]


class InAList(msgspec.Struct):
    customer_id: CustomerId
    names: Annotated[
        tuple[Annotated[Text, Meta(extra={"field_id": 913, "personal": True})], ...], Meta(extra={"field_id": 914})
    ]


class NoText(msgspec.Struct):
    customer_id: CustomerId
    age: Annotated[int, Meta(ge=0, le=200, extra={"field_id": 908, "personal": True})]


class Somewhere(msgspec.Struct):
    place: Annotated[Path, Meta(extra={"field_id": 909})]


def columns_of(events: Iterable[type[msgspec.Struct]]) -> dict[str, int]:
    return field_ids([column_of(field) for field in event_fields(events)])


def test_a_new_event_brings_its_columns() -> None:
    columns = [column_of(field) for field in event_fields([OrderPlaced, OrderRefunded])][-3:]
    assert str(pa.schema(map(plain, columns))).splitlines() == [
        "refunds: list<item: struct<amount: int64, because: string>>",
        "  child 0, item: struct<amount: int64, because: string>",
        "      child 0, amount: int64",
        "      child 1, because: string",
        "is_whole: bool",
        "paid_at: timestamp[us, tz=UTC]",
    ]
    assert field_ids(columns) == {
        "refunds": 903,
        "refunds.list.element": 904,
        "refunds.list.element.amount": 901,
        "refunds.list.element.because": 902,
        "is_whole": 905,
        "paid_at": 906,
    }
    optional = {field.name for field in fields_of(Refund) if field.is_optional}
    assert optional == {"because"}


@pytest.mark.parametrize(
    ("event", "error", "says"),
    [
        (SameNumber, FieldIdTaken, "field id 109 is that of (total and of courier_id|courier_id and of total).*fix:"),
        (NoNumber, UnstorableField, "NoNumber.courier_id has no field id.*fix:"),
        (OtherTotal, UnstorableField, "OrderPlaced.total and OtherTotal.total are one column and differ.*fix:"),
        (OtherNumber, UnstorableField, "OrderPlaced.total and OtherNumber.total are one column and differ.*fix:"),
        (WithoutCustomer, UnstorableField, "WithoutCustomer.courier_name is a customer's.*fix:"),
        (PerhapsCustomer, UnstorableField, "PerhapsCustomer.courier_name is a customer's.*and not optional"),
        (Inside, UnstorableField, "InnerPerson.courier_name is a customer's, and inside of Inside.couriers.*fix:"),
        (InAList, UnstorableField, "InAList.names.element is a customer's, and inside of InAList.names.*fix:"),
        (NoText, UnstorableField, "NoText.age is a customer's.*fix:"),
        (Somewhere, UnstorableField, "Somewhere.place: there is no column for.*fix:"),
    ],
)
def test_what_cannot_be_a_column_is_named(event: type[msgspec.Struct], error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        columns_of([*EVENTS, event])
