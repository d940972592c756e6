"""A batch of records to one Arrow table of the declared schema, with the unreadable ones set apart."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any, NamedTuple, TypeGuard

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from analytics.archiving.columnar import read_columns
from analytics.privacy import CustomerKeys, order_subject, sealed_texts
from analytics.table import (
    CONTRACT_SCHEMA,
    ENVELOPE_COLUMNS,
    EVENT_COLUMNS,
    EVENT_SCHEMA,
    PLAIN_COLUMNS,
    TIMESTAMP,
    TOKEN_NAMES,
)
from events import Event, Header, Identifier, UnreadableEvent, read, unknown_fields
from foundation.kinesis import Record

# So many records are read at once. When there is a doubt about any of them, so few at once; and when there is a doubt
# again, one by one: a bad record costs some hundred good ones a closer look, and no more.
BLOCKS = (10_000, 500)


@dataclass(frozen=True)
class Unreadable:
    """The record at `index` is no event of the contract, and why."""

    index: int
    error: UnreadableEvent


@dataclass(frozen=True)
class Decoded:
    """`rows` has `EVENT_SCHEMA` and the order of the records; every record is either in it or in `unreadable`."""

    rows: pa.Table
    unreadable: tuple[Unreadable, ...]


def decode_records(shard_id: str, records: Sequence[Record], keys: CustomerKeys) -> Decoded:
    """Judges each record by the contract and makes a row of what passes, with tokens for what is a customer's.

    Arrow reads a block of them at once; where it does not vouch for each single one, `events.wire` reads them one by
    one. Both ways lead to the same rows. The tokens can be read once `keys` are saved.
    """
    parts: list[pa.Table] = []
    unreadable: list[Unreadable] = []
    for start, block, found in _read([record.data for record in records], keys):
        unreadable += [Unreadable(start + index, error) for index, error in found.errors.items()]
        good = records[start : start + block]
        if found.errors:
            good = [record for index, record in enumerate(good) if index not in found.errors]
        parts.append(_rows(shard_id, good, found.contract, keys))
    return Decoded(pa.concat_tables(parts) if parts else EVENT_SCHEMA.empty_table(), tuple(unreadable))


class _Read(NamedTuple):
    """`contract` has `CONTRACT_SCHEMA` and a row for each record but those with an error."""

    contract: pa.Table
    errors: Mapping[int, UnreadableEvent]


def _read(
    data: Sequence[bytes], keys: CustomerKeys, start: int = 0, blocks: Sequence[int] = BLOCKS
) -> Iterator[tuple[int, int, _Read]]:
    """Where each part begins, how many records it has, and what was read in them."""
    for at in range(0, len(data), blocks[0]):
        block = data[at : at + blocks[0]]
        contract = read_columns(block)
        if contract is not None:
            yield start + at, len(block), _Read(contract, {})
        elif len(blocks) > 1:
            yield from _read(block, keys, start + at, blocks[1:])
        else:
            yield start + at, len(block), _Read(*_one_by_one(block, keys))


def _one_by_one(data: Sequence[bytes], keys: CustomerKeys) -> tuple[pa.Table, dict[int, UnreadableEvent]]:
    good: list[tuple[bytes, Header, Event | None]] = []
    errors: dict[int, UnreadableEvent] = {}
    for index, body in enumerate(data):
        try:
            good.append((body, *read(body)))
        except UnreadableEvent as error:
            errors[index] = error
    headers = [header for _, header, _ in good]
    # None of a type or version that is not known: then all but the envelope is unknown, even what is called as ours.
    events = [event for _, _, event in good]
    columns: dict[str, list[Any]] = {field.name: _values(headers, field.name) for field in ENVELOPE_COLUMNS}
    for field in (*EVENT_COLUMNS, *PLAIN_COLUMNS):
        values = _values(events, field.name)
        columns[field.name] = msgspec.to_builtins(values) if pa.types.is_nested(field.type) else values
    columns["_extra"] = [_extra(body, header.order_id, event, keys) for body, header, event in good]
    return pa.Table.from_pydict(columns, schema=CONTRACT_SCHEMA), errors


def _values(holders: Sequence[object], name: str) -> list[Any]:
    return [getattr(holder, name, None) for holder in holders]


def _extra(body: bytes, order_id: str, event: Event | None, keys: CustomerKeys) -> str | None:
    """The fields that the contract does not know, as JSON. Whoever they are about, nobody can tell what is in them."""
    unknown = unknown_fields(body, event)
    if not unknown:
        return None
    # A newer event is about the customer that it names, as all of ours are: when this one is forgotten, so is that.
    customer_id = unknown.get("customer_id") if event is None else getattr(event, "customer_id", None)
    subject = customer_id if _is_identifier(customer_id) else order_subject(order_id)
    # guarantee: no text of an unknown field reaches the lake in plain
    sealed = sealed_texts(unknown, lambda text: keys.token(subject, text))
    return msgspec.json.encode(sealed).decode()


def _is_identifier(value: object) -> TypeGuard[str]:
    try:
        msgspec.convert(value, Identifier)
    except msgspec.ValidationError:
        return False
    return True


def _rows(shard_id: str, records: Sequence[Record], contract: pa.Table, keys: CustomerKeys) -> pa.Table:
    """With the places of the records beside what they say, and tokens in place of names and addresses."""
    columns: dict[str, Any] = {name: contract.column(name) for name in contract.column_names}
    for name, tokens in _tokens(contract, keys).items():
        columns[TOKEN_NAMES[name]] = tokens
        del columns[name]
    columns |= {
        "_shard": pa.repeat(pa.scalar(shard_id), len(records)),
        "_sequence_number": pa.array([record.number for record in records], pa.string()),
        "_sub_sequence_number": pa.array([record.sub for record in records], pa.int64()),
        "_arrived_at": _moments([record.arrived for record in records]),
    }
    return pa.Table.from_pydict(columns, schema=EVENT_SCHEMA)


def _moments(seconds: Iterable[float]) -> "pa.Array[Any]":
    micros = pc.round(pc.multiply(pa.array(seconds, pa.float64()), 1e6), round_mode="half_to_even")
    return micros.cast(pa.int64()).cast(TIMESTAMP)


def _tokens(contract: pa.Table, keys: CustomerKeys) -> dict[str, Any]:
    """By the name of each column that is personal, tokens in place of its texts, under the row's customer's key."""
    plain = [contract.column(name) for name in TOKEN_NAMES]
    present: Any = reduce(_either, (column.is_valid() for column in plain))
    columns: list[Any] = [column.filter(present).to_pylist() for column in (contract.column("customer_id"), *plain)]
    tokens = keys.tokens_of_customers(*columns)
    index = pc.subtract(pc.cumulative_sum(present.cast(pa.int64())), 1)
    where = pc.if_else(present, index, None)
    return {name: pa.array(one, pa.string()).take(where) for name, one in zip(TOKEN_NAMES, tokens, strict=True)}


def _either(one: Any, other: Any) -> Any:
    return pc.or_(one, other)
