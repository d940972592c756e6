"""Rows to Parquet: one file per day, with what it covers in its footer."""

import hashlib
from collections.abc import Iterator, Mapping
from datetime import date

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from analytics.schema import EVENT_SCHEMA

ZSTD_LEVEL = 3

SCHEMA_FINGERPRINT = hashlib.sha256(str(EVENT_SCHEMA).encode()).hexdigest()[:16]


def days(rows: pa.Table) -> Iterator[tuple[date, pa.Table]]:
    """The rows of each UTC day of `occurred_at`, earliest day first, in the order they came."""
    day_of_row = rows.column("occurred_at").cast(pa.date32())
    for day in sorted(day for day in pc.unique(day_of_row).to_pylist() if day is not None):
        yield day, rows.filter(pc.equal(day_of_row, pa.scalar(day, pa.date32())))


def parquet(rows: pa.Table, footer: Mapping[str, str]) -> bytes:
    """The whole file. `footer` goes into its key-value metadata."""
    out = pa.BufferOutputStream()
    pq.write_table(rows.replace_schema_metadata(dict(footer)), out, compression="zstd", compression_level=ZSTD_LEVEL)
    return out.getvalue().to_pybytes()
