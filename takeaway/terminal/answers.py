"""A table of Arrow's as rows to print or to write as JSON: every column by its place, every value as what it is."""

import math
from collections.abc import Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa


def rows_of(answer: "pa.Table") -> tuple[list[str], list[dict[str, Any]]]:
    """The columns' names and the rows under them. Of columns of one name the later ones are `a_1`, `a_2`, as in DuckDB.

    What Python has no value for is DuckDB's text: a date outside the years 1 to 9999, an interval, bytes.
    """
    names = told_apart(answer.column_names)
    columns = [values(column) for column in answer.columns]
    return names, [dict(zip(names, cells, strict=True)) for cells in zip(*columns, strict=True)]


def jsonable(value: object) -> object:
    """The value as JSON that every parser takes (RFC 8259 has no NaN).

    Numbers are numbers, however large; a decimal that a double would round is its exact text. NaN and the infinities
    are the texts "NaN", "Infinity" and "-Infinity". Times and all else are text.
    """
    match value:
        case None | bool() | int() | str():
            return value
        case float():
            return value if math.isfinite(value) else _NOT_FINITE[str(value)]
        case Decimal():
            return _number(value)
        case list() | tuple():
            return [jsonable(one) for one in value]
        case dict():
            return {str(name): jsonable(one) for name, one in value.items()}
        case _:
            return str(value)


_NOT_FINITE = {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}


def _number(value: Decimal) -> int | float | str:
    if value.as_tuple().exponent == 0:
        return int(value)
    rounded = float(value)
    return rounded if Decimal(repr(rounded)) == value else str(value)


def told_apart(names: Sequence[str]) -> list[str]:
    """The names, with a number behind those that came before."""
    taken: dict[str, None] = {}
    for name in names:
        candidate, number = name, 0
        # A later column's own name is its own.
        while candidate in taken or (number and candidate in names):
            number += 1
            candidate = f"{name}_{number}"
        taken[candidate] = None
    return list(taken)


def values(column: "pa.ChunkedArray[Any]") -> list[Any]:
    """Python's values of a column; DuckDB's text where Python has none."""
    if is_only_text(column.type):
        return _in_words(column)
    try:
        return column.to_pylist()
    except (OverflowError, ValueError):  # a moment that Python's calendar does not reach
        return [_value(scalar, text) for scalar, text in zip(column, _in_words(column), strict=True)]


def _value(scalar: Any, text: str) -> Any:
    try:
        return scalar.as_py()
    except (OverflowError, ValueError):
        return text


def is_only_text(kind: "pa.DataType") -> bool:
    """Whether Python's value of it would say little: intervals and bytes, also within a list or a struct."""
    import pyarrow as pa

    if pa.types.is_interval(kind) or pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        return True
    return any(is_only_text(kind.field(place).type) for place in range(kind.num_fields))


def _in_words(column: "pa.ChunkedArray[Any]") -> list[Any]:
    import duckdb
    import pyarrow as pa

    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.register("answer", pa.table([column], names=["value"]))
        return [text for (text,) in connection.sql("SELECT value::VARCHAR FROM answer").fetchall()]
