"""The lake's one declared schema. It has no customer's name and no address, only tokens in their place.

What events say becomes columns here, from the events' own types, and nowhere else: a field that `events` gets is a
column. Every column has a field id, by which readers of Parquet know it whatever it is called: an event's stands beside
its field in `events`, the lake's own, from 21 on, stand here. An id is never changed, and never used again.
"""

import hashlib
from collections.abc import Iterable, Iterator
from typing import Any, TypeAlias

import msgspec
import pyarrow as pa
from msgspec import inspect

from events import EVENTS, Field, Header, UnstorableField, fields_of

Column: TypeAlias = "pa.Field[Any]"

TIMESTAMP = pa.timestamp("us", tz="UTC")
_FIELD_ID = b"PARQUET:field_id"
# Whose key seals a customer's name.
_CUSTOMER = "customer_id"


class FieldIdTaken(ValueError):
    """Two columns have one field id. Names both."""


def event_fields(events: Iterable[type[msgspec.Struct]]) -> list[Field]:
    """The fields of all events, each name once, by their ids. Raises `UnstorableField` for what cannot be a column."""
    fields: dict[str, Field] = {}
    for event in events:
        of_event = fields_of(event)
        for field in of_event:
            first = fields.setdefault(field.name, field)
            if (first.kind, first.extra) != (field.kind, field.extra):
                raise UnstorableField(
                    f"{first.path} and {field.path} are one column and differ. fix: declare both with one type and one "
                    "field id, or give the newer one another name"
                )
            _require_sealable(event, field, of_event)
    return sorted(fields.values(), key=lambda field: field.field_id)


def _require_sealable(event: type[msgspec.Struct], field: Field, of_event: Iterable[Field]) -> None:
    """What is a customer's is stored as a token alone, and a token needs a text, and a customer whose key seals it."""
    if inside := next((part for part in _parts(field) if part.is_personal), None):
        raise UnstorableField(
            f"{inside.path} is a customer's, and inside of {field.path}, which is stored as it is. "
            f"fix: make it a field of {event.__name__} itself"
        )
    sealing = [one for one in of_event if one.name == _CUSTOMER]
    # guarantee: a personal field has a customer whose key seals it
    if field.is_personal and not (
        isinstance(field.kind, inspect.StrType)
        and any(isinstance(one.kind, inspect.StrType) and not one.is_optional for one in sealing)
    ):
        raise UnstorableField(
            f"{field.path} is a customer's, and no text beside a {_CUSTOMER} that is always there, whose key could "
            f"seal it. fix: give {event.__name__} a {_CUSTOMER} that is a text and not optional, and the field a text"
        )


def _parts(field: Field) -> Iterator[Field]:
    """All that a list or a struct has in it, however deep."""
    for part in (*field.parts, *([field.element] if field.element else [])):
        yield part
        yield from _parts(part)


def column_of(field: Field, *, name: str = "", nullable: bool = True) -> Column:
    """The column, under another name if one is given."""
    return _column(name or field.name, _type(field), field.field_id, nullable=nullable)


def plain(column: Column) -> Column:
    """The same column without field ids."""
    return pa.field(column.name, _plain_type(column.type), column.nullable)


def field_ids(columns: Iterable[Column]) -> dict[str, int]:
    """The id of each column, and of each part of one, by its path in a file, as `items.list.element.sku`.

    Raises `FieldIdTaken`.
    """
    paths: dict[int, str] = {}
    for path, column in _tree(columns):
        field_id = int((column.metadata or {})[_FIELD_ID])
        if field_id in paths:
            raise FieldIdTaken(
                f"field id {field_id} is that of {paths[field_id]} and of {path}. fix: give the newer of the two a "
                "number that no column ever had"
            )
        paths[field_id] = path
    return {path: field_id for field_id, path in paths.items()}


def _tree(columns: Iterable[Column], above: str = "") -> Iterator[tuple[str, Column]]:
    for column in columns:
        path = f"{above}{column.name}"
        yield path, column
        if pa.types.is_list(column.type):
            yield from _tree([column.type.value_field.with_name("element")], f"{path}.list.")
        elif pa.types.is_struct(column.type):
            yield from _tree(column.type, f"{path}.")


def _column(name: str, kind: "pa.DataType", field_id: int, *, nullable: bool = True) -> Column:
    return pa.field(name, kind, nullable, {_FIELD_ID: str(field_id)})


def _type(field: Field) -> "pa.DataType":  # noqa: PLR0911 - one for each type
    match field.kind:
        case inspect.StrType() | inspect.LiteralType():
            return pa.string()
        case inspect.BoolType():
            return pa.bool_()
        case inspect.IntType(ge=int(least), le=int(most)) if -(2**31) <= least <= most < 2**31:
            return pa.int32()
        case inspect.IntType():
            return pa.int32() if field.extra.get("bits") == 32 else pa.int64()
        case inspect.DateTimeType(tz=True):
            return TIMESTAMP
        case inspect.VarTupleType() if field.element:
            return pa.list_(column_of(field.element, name="item"))
        case inspect.StructType():
            return pa.struct([column_of(part) for part in field.parts])
    raise UnstorableField(f"{field.path}: there is no column for {field.kind}. fix: add its type here")


def _plain_type(kind: "pa.DataType") -> "pa.DataType":
    if pa.types.is_list(kind):
        return pa.list_(plain(kind.value_field))
    if pa.types.is_struct(kind):
        return pa.struct([plain(part) for part in kind])
    return kind


def _own(name: str, kind: "pa.DataType", field_id: int, *, nullable: bool = False) -> Column:
    """A column of the lake's own."""
    return _column(name, kind, field_id, nullable=nullable)


def _plain(columns: Iterable[Column]) -> tuple[Column, ...]:
    return tuple(map(plain, columns))


_FIELDS = event_fields(EVENTS)
_ENVELOPE = [column_of(field, nullable=False) for field in fields_of(Header)]
# The union of all events' own fields, each null where the event has no such field. Money in minor units.
_EVENT = [column_of(field) for field in _FIELDS if not field.is_personal]
_TOKENS = [column_of(field, name=f"{field.name}_token") for field in _FIELDS if field.is_personal]
# As a JSON object, the fields that this release does not know, but for nulls: numbers as they are, each text a token.
_EXTRA = _own("_extra", pa.string(), 21, nullable=True)
# Where on the stream the row comes from: unique for every Kinesis user record.
_STREAM = [
    _own("_shard", pa.string(), 22),
    _own("_sequence_number", pa.string(), 23),
    _own("_sub_sequence_number", pa.int64(), 24),
    _own("_arrived_at", TIMESTAMP, 25),
]
# The UTC day of `occurred_at`, in the object's key and in the table, not in the file.
_PARTITION = _own("event_date", pa.date32(), 26)

# What is written into files, with field ids.
FILE_COLUMNS = (*_ENVELOPE, *_EVENT, *_TOKENS, _EXTRA, *_STREAM)

FIELD_IDS = field_ids([*FILE_COLUMNS, _PARTITION])

# In memory, and in the table's log, columns go by their names.
ENVELOPE_COLUMNS, EVENT_COLUMNS = _plain(_ENVELOPE), _plain(_EVENT)
PARTITION_COLUMN = plain(_PARTITION)
EVENT_SCHEMA = pa.schema(_plain(FILE_COLUMNS))

# What an event says of a customer in plain text, and the columns of the tokens in its place: it ends where the lake
# begins.
PLAIN_COLUMNS = _plain(column_of(field) for field in _FIELDS if field.is_personal)
TOKEN_NAMES = {column.name: token.name for column, token in zip(PLAIN_COLUMNS, _TOKENS, strict=True)}

# What an event says, before it is sealed and told where it was.
CONTRACT_SCHEMA = pa.schema([*ENVELOPE_COLUMNS, *EVENT_COLUMNS, *PLAIN_COLUMNS, plain(_EXTRA)])

SCHEMA_FINGERPRINT = hashlib.sha256(str(EVENT_SCHEMA).encode()).hexdigest()[:16]
