"""Rows to Parquet: one file per day, with what it covers in its footer."""

import hashlib
import io
from collections.abc import Iterator, Mapping
from datetime import date
from typing import IO, Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from analytics.table.schema import EVENT_SCHEMA

# On these rows level 1 packs as well as level 3, in two thirds of the time: what is long in them is random.
ZSTD_LEVEL = 1

# Some ten MB of a file, held in memory until they are written; readers skip and share out whole groups.
ROW_GROUP_ROWS = 122_880

# Where a file has few values, or each several times. Ids are all different: a dictionary of them is only tried and
# thrown away. Numbers and times that rise are written as differences, sequence numbers by what they share.
_DICTIONARIES = [
    *("event_type", "schema_version", "producer", "restaurant_id", "customer_id", "total", "currency", "city"),
    *("ready_at", "channel", "reason", "customer_name_token", "customer_email_token", "_shard"),
    *(f"items.list.element.{name}" for name in ("sku", "name", "quantity", "unit_price")),
]
# What is made at random is in no order: the least and the most of it tell a reader nothing.
_AT_RANDOM = {"event_id", "cause", "traceparent", "message_id", "customer_name_token", "customer_email_token", "_extra"}
_STATISTICS = [name for name in EVENT_SCHEMA.names if name not in _AT_RANDOM and name != "items"]
_ENCODINGS = {
    "occurred_at": "DELTA_BINARY_PACKED",
    "_arrived_at": "DELTA_BINARY_PACKED",
    "_sequence_number": "DELTA_BYTE_ARRAY",
}

SCHEMA_FINGERPRINT = hashlib.sha256(str(EVENT_SCHEMA).encode()).hexdigest()[:16]


def days(rows: pa.Table) -> Iterator[tuple[date, pa.Table]]:
    """The rows of each UTC day of `occurred_at`, earliest day first, in the order they came."""
    span: Any = pc.min_max(rows.column("occurred_at")).as_py()
    if span["min"] is not None and span["min"].date() == span["max"].date():
        yield span["min"].date(), rows
        return
    day_of_row = rows.column("occurred_at").cast(pa.date32())
    for day in sorted(day for day in pc.unique(day_of_row).to_pylist() if day is not None):
        yield day, rows.filter(pc.equal(day_of_row, pa.scalar(day, pa.date32())))


def parquet(rows: pa.Table, footer: Mapping[str, str]) -> bytes:
    """The whole file. `footer` goes into its key-value metadata."""
    out = io.BytesIO()
    write_parquet(rows, footer, out)
    return out.getvalue()


def write_parquet(rows: pa.Table, footer: Mapping[str, str], out: IO[Any]) -> None:
    """The same, a row group at a time."""
    pq.write_table(
        rows.replace_schema_metadata(dict(footer)),
        out,
        row_group_size=ROW_GROUP_ROWS,
        compression="zstd",
        compression_level=ZSTD_LEVEL,
        use_dictionary=_DICTIONARIES,  # type: ignore[arg-type]
        column_encoding=_ENCODINGS,
        write_statistics=_STATISTICS,
    )
