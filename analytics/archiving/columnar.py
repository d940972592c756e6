"""Many payloads to columns at once, by Arrow's JSON reader, when each is certain to be an event of the contract.

Nothing is judged here: `events.wire` does that. Whatever is not plainly right is a doubt, and the answer is None. What
is plainly right is derived from the events' own types.
"""

import contextlib
import re
from collections import defaultdict
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import msgspec.inspect as contract
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json as pj

from analytics.table.schema import CONTRACT_SCHEMA, ENVELOPE_COLUMNS, EVENT_COLUMNS, PLAIN_COLUMNS
from events.orders import EVENT_TYPES, EVENTS
from events.wire import Header

_INSTANT = pa.timestamp("us", tz="UTC")
# "2026-03-14T12:00:00Z" and "2026-03-14T12:00:00.123456Z": what our own encoder writes.
_INSTANT_SIZES = frozenset({20, 27})
_FIRST_INSTANT = pa.scalar("0001-01-01T00:00:00Z").cast(_INSTANT)

# Without the column of unknown fields, which are a doubt, and with times as text: Arrow takes more for one than we do.
_READ_SCHEMA = pa.schema(
    [
        pa.field(field.name, pa.string() if pa.types.is_timestamp(field.type) else field.type)
        for field in CONTRACT_SCHEMA
        if field.name != "_extra"
    ]
)
_PARSE = pj.ParseOptions(explicit_schema=_READ_SCHEMA, unexpected_field_behavior="error")

_Check = Callable[[Any], bool]


def read_columns(data: Sequence[bytes]) -> pa.Table | None:
    """One row of `CONTRACT_SCHEMA` for each payload, equal to what `events.wire.decode` makes of it; None in doubt."""
    text = b"\n".join(data)
    # Each is one line, an object at its beginning and at its end: none can reach into another, and none is blank. So
    # as many rows as payloads means that each is one object.
    if not (text.startswith(b"{") and text.endswith(b"}")):
        return None
    if not text.count(b"\n") == text.count(b"}\n{") == len(data) - 1:
        return None
    with contextlib.suppress(pa.ArrowInvalid, UnicodeDecodeError):
        if not text.isascii():
            text.decode()
        source: Any = pa.BufferReader(text)
        read = pj.read_json(source, pj.ReadOptions(False, len(text) + 1), _PARSE)
        return _vouched(read) if read.num_rows == len(data) else None
    return None


def _vouched(read: pa.Table) -> pa.Table | None:
    """The columns, when each check of each of them says yes."""
    # One block of text is one chunk.
    columns: dict[str, Any] = {name: read.column(name).chunk(0) for name in read.column_names}
    types = pc.index_in(columns["event_type"], value_set=_TYPES)
    if types.null_count or any(columns[field.name].null_count for field in ENVELOPE_COLUMNS):
        return None
    if not pc.all(pc.equal(columns["schema_version"], _VERSIONS.take(types))).as_py():
        return None
    for present, names in _PRESENCE.items():
        where = pa.array(present).take(types)
        if not all(pc.equal(columns[name].is_valid(), where).false_count == 0 for name in names):
            return None
    # guarantee: Arrow is believed only where each check says yes
    if not all(check(columns[name]) for name, check in _CHECKS.items()):
        return None
    for name in _INSTANTS:
        columns[name] = columns[name].cast(_INSTANT)
        if pc.any(pc.less(columns[name], _FIRST_INSTANT)).as_py():
            return None
    columns["_extra"] = pa.nulls(read.num_rows, pa.string())
    return pa.Table.from_pydict(columns, schema=CONTRACT_SCHEMA)


def _texts(column: Any, least: int, most: int | None, pattern: str | None) -> bool:
    """Counts bytes, of which there are at least as many as characters."""
    sizes: Any = pc.min_max(pc.binary_length(column)).as_py()
    if sizes["min"] is None:
        return True
    matched = pattern is None or all(re.search(pattern, one) for one in pc.unique(column.drop_null()).to_pylist())
    return sizes["min"] >= least and (most is None or sizes["max"] <= most) and matched


def _numbers(column: Any, least: int, most: int) -> bool:
    found: Any = pc.min_max(column).as_py()
    return found["min"] is None or (found["min"] >= least and found["max"] <= most)


def _one_of(column: Any, values: frozenset[str]) -> bool:
    return values.issuperset(pc.unique(column.drop_null()).to_pylist())


def _instants(column: Any) -> bool:
    """Date and time in the shapes that our own encoder writes; whether they exist shows when they are cast."""
    present = column.drop_null()
    sizes = pc.unique(pc.binary_length(present)).to_pylist()
    return _INSTANT_SIZES.issuperset(sizes) and pc.ends_with(present, "Z").false_count == 0


def _lists(column: Any, least: int, most: int, checks: dict[str, _Check]) -> bool:
    present = column.drop_null()
    elements = present.flatten()
    return (
        _numbers(pc.list_value_length(present), least, most)
        and elements.null_count == 0
        and all(elements.field(name).null_count == 0 and check(elements.field(name)) for name, check in checks.items())
    )


def _check(kind: contract.Type) -> _Check:
    """What Arrow's reader leaves open about a column of this type. Nulls are another matter."""
    match kind:
        case contract.Metadata():
            return _check(kind.type)
        case contract.StrType(min_length=least, max_length=most, pattern=pattern) if (least or 0) <= 1:
            return partial(_texts, least=least or 0, most=most, pattern=pattern)
        case contract.IntType(ge=int(least), le=int(most), gt=None, lt=None, multiple_of=None):
            return partial(_numbers, least=least, most=most)
        case contract.LiteralType(values=values):
            return partial(_one_of, values=frozenset(map(str, values)))
        case contract.DateTimeType(tz=True):
            return _instants
        case contract.VarTupleType(
            item_type=contract.StructType() as item, min_length=int(least), max_length=int(most)
        ):
            return partial(_lists, least=least, most=most, checks=_checks_of(item.cls))
    raise TypeError(f"no vectorised check for {kind}. fix: add one here, as strict as msgspec's")


def _checks_of(struct: Any) -> dict[str, _Check]:
    described = contract.type_info(struct)
    assert isinstance(described, contract.StructType)  # noqa: S101 - for the type checker
    return {field.name: _check(field.type) for field in described.fields if field.name != "schema_version"}


def _presence() -> dict[tuple[bool, ...], list[str]]:
    """The events' own columns by who has them: an entry for each event type, in the order of `EVENTS`."""
    having = defaultdict[tuple[bool, ...], list[str]](list)
    for field in (*EVENT_COLUMNS, *PLAIN_COLUMNS):
        having[tuple(field.name in event.__struct_fields__ for event in EVENTS)].append(field.name)
    return dict(having)


_TYPES = pa.array([EVENT_TYPES[event] for event in EVENTS], pa.string())
_VERSIONS = pa.array([event.schema_version for event in EVENTS], pa.int32())
_PRESENCE = _presence()
_HEADER_CHECKS = _checks_of(Header)
# One name means one type, in whichever event.
_CHECKS = _HEADER_CHECKS | {name: check for event in EVENTS for name, check in _checks_of(event).items()}
_INSTANTS = [field.name for field in CONTRACT_SCHEMA if pa.types.is_timestamp(field.type)]
