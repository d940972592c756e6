"""Many payloads to columns at once, by Arrow's JSON reader, when each is certain to be an event of the contract.

Nothing is judged here: `events.wire` does that. Whatever is not plainly right is a doubt, and the answer is None. What
is plainly right is derived from the events' own types.
"""

import contextlib
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json as pj
from msgspec import inspect

from analytics.table import CONTRACT_SCHEMA, ENVELOPE_COLUMNS, TIMESTAMP
from events import EVENT_TYPES, EVENTS, Field, Header, fields_of

# "2026-03-14T12:00:00Z" and "2026-03-14T12:00:00.123456Z": what our own encoder writes.
_INSTANT_SIZES = frozenset({20, 27})
_FIRST_INSTANT = pa.scalar("0001-01-01T00:00:00Z").cast(TIMESTAMP)

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
        where = pa.array(present, pa.bool_()).take(types)
        if not all(pc.equal(columns[name].is_valid(), where).false_count == 0 for name in names):
            return None
    # guarantee: Arrow is believed only where each check says yes
    if not all(check(columns[name]) for name, check in _CHECKS.items()):
        return None
    for name in _INSTANTS:
        columns[name] = columns[name].cast(TIMESTAMP)
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


def _anything(_: Any) -> bool:
    return True


def _lists(column: Any, least: int, most: int, check: _Check) -> bool:
    present = column.drop_null()
    elements = present.flatten()
    return _numbers(pc.list_value_length(present), least, most) and elements.null_count == 0 and check(elements)


def _structs(column: Any, required: frozenset[str], checks: dict[str, _Check]) -> bool:
    parts = {name: column.field(name) for name in checks}
    return all(parts[name].null_count == 0 for name in required) and all(
        check(parts[name]) for name, check in checks.items()
    )


def _check(field: Field, *, nested: bool = False) -> _Check:  # noqa: PLR0911 - one for each type
    """What Arrow's reader leaves open about a column of this type. Nulls are another matter."""
    match field.kind:
        case inspect.StrType(min_length=least, max_length=most, pattern=pattern) if (least or 0) <= 1:
            return partial(_texts, least=least or 0, most=most, pattern=pattern)
        case inspect.IntType(ge=int(least), le=int(most), gt=None, lt=None, multiple_of=None):
            return partial(_numbers, least=least, most=most)
        case inspect.LiteralType(values=values) if all(isinstance(value, str) for value in values):
            return partial(_one_of, values=frozenset(map(str, values)))
        case inspect.BoolType():
            return _anything
        case inspect.DateTimeType(tz=True) if not nested:
            return _instants
        case inspect.VarTupleType(min_length=int(least), max_length=int(most)) if field.element and not nested:
            return partial(_lists, least=least, most=most, check=_check(field.element, nested=True))
        case inspect.StructType() if nested:
            required = frozenset(part.name for part in field.parts if not part.is_optional)
            checks = {part.name: _check(part, nested=True) for part in field.parts}
            return partial(_structs, required=required, checks=checks)
    raise TypeError(
        f"{field.path}: no vectorised check for {field.kind}. fix: add one here, as strict as msgspec's, or "
        "declare the field with bounds, as the others are"
    )


def _checks_of(fields: Iterable[Field]) -> dict[str, _Check]:
    return {field.name: _check(field) for field in fields if field.name != "schema_version"}


def _presence() -> dict[tuple[bool | None, ...], list[str]]:
    """The events' own columns by what has them, for each event type in the order of `EVENTS`; None is maybe."""
    of_events = [{field.name: field for field in fields_of(event)} for event in EVENTS]
    having = defaultdict[tuple[bool | None, ...], list[str]](list)
    for name in dict.fromkeys(name for fields in of_events for name in fields):
        required = [None if name in fields and fields[name].is_optional else name in fields for fields in of_events]
        having[tuple(required)].append(name)
    return dict(having)


_TYPES = pa.array([EVENT_TYPES[event] for event in EVENTS], pa.string())
_VERSIONS = pa.array([event.schema_version for event in EVENTS], pa.int32())
_PRESENCE = _presence()
# One name means one type, in whichever event.
_CHECKS = _checks_of([*fields_of(Header), *(field for event in EVENTS for field in fields_of(event))])
_INSTANTS = [field.name for field in CONTRACT_SCHEMA if pa.types.is_timestamp(field.type)]
