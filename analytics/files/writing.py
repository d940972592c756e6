"""Rows to Parquet: one file per day, with what it covers in its footer."""

import io
from collections.abc import Iterator, Mapping
from datetime import date
from typing import IO, Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from analytics.table import FIELD_IDS, FILE_COLUMNS, TOKEN_NAMES

# On these rows level 1 packs as well as level 3, in two thirds of the time: what is long in them is random.
ZSTD_LEVEL = 1

# Some ten MB of a file, held in memory until they are written; readers skip and share out whole groups.
ROW_GROUP_ROWS = 122_880

# Ids are all different: a dictionary of them is only tried and thrown away. Numbers and times that rise are written as
# differences, sequence numbers by what they share. All else has few values, or each several times.
_ALL_DIFFERENT = {"event_id", "order_id", "cause", "traceparent", "message_id", "_extra"}
_ENCODINGS = {
    "occurred_at": "DELTA_BINARY_PACKED",
    "_arrived_at": "DELTA_BINARY_PACKED",
    "_sequence_number": "DELTA_BYTE_ARRAY",
}
_PLAIN = {*_ALL_DIFFERENT, *_ENCODINGS, "_sub_sequence_number"}
# What is made at random is in no order: the least and the most of it tell a reader nothing.
_AT_RANDOM = {*_ALL_DIFFERENT - {"order_id"}, *TOKEN_NAMES.values()}
_DICTIONARIES = [path for path in FIELD_IDS if path not in _PLAIN]
_STATISTICS = [path for path in FIELD_IDS if path not in _AT_RANDOM and "." not in path]

_STORED = {column.name: column for column in FILE_COLUMNS}


def days(rows: pa.Table) -> Iterator[tuple[date, pa.Table]]:
    """The rows of each UTC day of `occurred_at`, earliest day first, in the order they came.

    Those of several days are copied, a day at a time.
    """
    there = days_of(rows)
    if len(there) == 1:
        yield there[0], rows
        return
    day_of_row = rows.column("occurred_at").cast(pa.date32())
    for day in there:
        yield day, rows.filter(pc.equal(day_of_row, pa.scalar(day, pa.date32())))


def days_of(rows: pa.Table) -> list[date]:
    """The UTC days of `occurred_at`, the earliest first."""
    span: Any = pc.min_max(rows.column("occurred_at")).as_py()
    if span["min"] is not None and span["min"].date() == span["max"].date():
        return [span["min"].date()]
    return sorted(day for day in pc.unique(rows.column("occurred_at").cast(pa.date32())).to_pylist() if day is not None)


def parquet(rows: pa.Table, footer: Mapping[str, str]) -> bytes:
    """The whole file. `footer` goes into its key-value metadata."""
    out = io.BytesIO()
    write_parquet(rows, footer, out)
    return out.getvalue()


def write_parquet(rows: pa.Table, footer: Mapping[str, str], out: IO[Any]) -> None:
    """The same, a row group at a time."""
    with ParquetFile(rows.schema, footer, out) as file:
        file.write(rows)


class ParquetFile:
    """A file of the lake, to be written in parts. It has the columns of `schema`; those of ours get their field ids."""

    def __init__(self, schema: pa.Schema, footer: Mapping[str, str], out: IO[Any]) -> None:
        self._schema = pa.schema([_STORED.get(column.name, column) for column in schema]).with_metadata(dict(footer))
        self._writer = pq.ParquetWriter(
            out,
            self._schema,
            compression="zstd",
            compression_level=ZSTD_LEVEL,
            use_dictionary=_DICTIONARIES,  # type: ignore[arg-type]
            column_encoding=_ENCODINGS,
            write_statistics=_STATISTICS,
        )

    def __enter__(self) -> "ParquetFile":
        return self

    def __exit__(self, *exception: object) -> None:
        self._writer.close()

    def write(self, rows: pa.Table, *, row_group: int = ROW_GROUP_ROWS) -> None:
        self._writer.write_table(pa.Table.from_arrays(rows.columns, schema=self._schema), row_group_size=row_group)
