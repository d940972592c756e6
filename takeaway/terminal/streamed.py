"""An answer of any length written out as it comes: tab-separated, JSON, CSV or Parquet."""

import json
from collections.abc import Iterable
from enum import StrEnum
from typing import TYPE_CHECKING, Any, BinaryIO

from foundation.plain_text import one_line
from takeaway.terminal.answers import is_only_text, jsonable, rows_of, told_apart, values
from takeaway.terminal.tables import piped

if TYPE_CHECKING:
    import pyarrow as pa


class Form(StrEnum):
    """How rows are written. The names are the endings of files."""

    TSV = "tsv"
    JSON = "json"
    CSV = "csv"
    PARQUET = "parquet"


def write_rows(form: Form, schema: "pa.Schema", batches: "Iterable[pa.RecordBatch]", out: BinaryIO) -> int:
    """Writes all of it and answers with the number of rows. Of columns of one name the later ones are `a_1`, `a_2`.

    TSV and JSON say each value as `rows_of` and `jsonable` have it. CSV quotes text and leaves nulls empty; times are
    UTC with a Z, lists and structs JSON. Parquet keeps Arrow's types, but for intervals, which are text.
    """
    write = {Form.TSV: _tsv, Form.JSON: _json, Form.CSV: _csv, Form.PARQUET: _parquet}[form]
    return write(schema, batches, out)


def _tsv(schema: "pa.Schema", batches: "Iterable[pa.RecordBatch]", out: BinaryIO) -> int:
    names, count = told_apart(schema.names), 0
    out.write(_line(one_line(name) for name in names))
    for rows in map(_rows, batches):
        out.writelines(_line(piped(row[name]) for name in names) for row in rows)
        count += len(rows)
    return count


def _json(_: "pa.Schema", batches: "Iterable[pa.RecordBatch]", out: BinaryIO) -> int:
    count = 0
    for rows in map(_rows, batches):
        for row in rows:
            out.write((", " if count else "[").encode() + json.dumps(jsonable(row), allow_nan=False).encode())
            count += 1
    out.write(b"]\n" if count else b"[]\n")
    return count


def _csv(schema: "pa.Schema", batches: "Iterable[pa.RecordBatch]", out: BinaryIO) -> int:
    import pyarrow as pa
    from pyarrow.csv import CSVWriter

    names, count = told_apart(schema.names), 0
    fields = [pa.field(name, _plain_type(field.type)) for name, field in zip(names, schema, strict=True)]
    with CSVWriter(out, pa.schema(fields)) as writer:
        for batch in batches:
            columns = [_plain(column) for column in batch.columns]
            writer.write_batch(pa.RecordBatch.from_arrays(columns, schema=pa.schema(fields)))
            count += batch.num_rows
    return count


def _parquet(schema: "pa.Schema", batches: "Iterable[pa.RecordBatch]", out: BinaryIO) -> int:
    import pyarrow as pa
    from pyarrow.parquet import ParquetWriter

    names, count = told_apart(schema.names), 0
    in_words = [_has_interval(kind) for kind in schema.types]
    kinds = [pa.string() if text else kind for kind, text in zip(schema.types, in_words, strict=True)]
    fields = pa.schema([pa.field(name, kind) for name, kind in zip(names, kinds, strict=True)])
    with ParquetWriter(out, fields) as writer:
        for batch in batches:
            columns = [_text(column) if text else column for column, text in zip(batch.columns, in_words, strict=True)]
            writer.write_batch(pa.RecordBatch.from_arrays(columns, schema=fields))
            count += batch.num_rows
    return count


def _rows(batch: "pa.RecordBatch") -> list[dict[str, Any]]:
    import pyarrow as pa

    return rows_of(pa.Table.from_batches([batch]))[1]


def _line(cells: Iterable[str]) -> bytes:
    return ("\t".join(cells) + "\n").encode()


def _plain_type(kind: "pa.DataType") -> "pa.DataType":
    """What Arrow writes into CSV as we mean it; all else is text."""
    import pyarrow as pa

    types = pa.types
    is_plain = types.is_integer(kind) or types.is_floating(kind) or types.is_boolean(kind) or types.is_decimal(kind)
    return kind if is_plain or types.is_string(kind) or types.is_null(kind) else pa.string()


def _plain(column: "pa.Array[Any]") -> "pa.Array[Any]":
    import pyarrow as pa

    if _plain_type(column.type) == column.type:
        return column
    if pa.types.is_timestamp(column.type) and column.type.tz and (quickly := _in_calendar(column)) is not None:
        return quickly
    return _text(column)


def _in_calendar(column: "pa.Array[Any]") -> "pa.Array[Any] | None":
    """Moments as text, many times as quickly as one by one; None when one lies outside Python's calendar."""
    import pyarrow as pa
    import pyarrow.compute as pc

    try:
        pc.min_max(column).as_py()
    except (OverflowError, ValueError):
        return None
    moments: Any = column.cast(pa.timestamp("us", "UTC"))
    told: pa.Array[Any] = pc.strftime(moments, "%Y-%m-%dT%H:%M:%SZ")
    return told


def _cells(column: "pa.Array[Any]") -> list[str | None]:
    import pyarrow as pa

    return [
        None if value is None else json.dumps(jsonable(value)) if isinstance(value, list | dict) else piped(value)
        for value in values(pa.chunked_array([column]))
    ]


def _text(column: "pa.Array[Any]") -> "pa.Array[Any]":
    import pyarrow as pa

    return pa.array(_cells(column), pa.string())


def _has_interval(kind: "pa.DataType") -> bool:
    import pyarrow as pa

    return is_only_text(kind) and not (pa.types.is_binary(kind) or pa.types.is_large_binary(kind))
