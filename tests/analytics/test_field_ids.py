"""Files know their columns by field ids, whatever wrote them, and older files without ids do no harm."""

import re
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable
from pyiceberg.expressions.parser import parse
from pyiceberg.io.pyarrow import ArrowScan, PyArrowFileIO
from pyiceberg.manifest import DataFile, DataFileContent, FileFormat
from pyiceberg.partitioning import UNPARTITIONED_PARTITION_SPEC
from pyiceberg.schema import Schema
from pyiceberg.table import FileScanTask
from pyiceberg.table.metadata import TableMetadataV2
from pyiceberg.table.sorting import UNSORTED_SORT_ORDER
from pyiceberg.typedef import Record
from pyiceberg.types import IntegerType, ListType, LongType, NestedField, StringType, StructType

from analytics.files.writing import parquet
from analytics.lake import Lake
from analytics.table.log import AddedFile, DeltaLog, LogEntry
from analytics.table.schema import EVENT_SCHEMA, FIELD_IDS
from events.wire import encode
from tests.support.builders import NOON, an_envelope
from tests.support.worlds.kept_lake import DAY, LATE, append, archived_world, backfill, compactor, late_rows
from tests.support.worlds.lake_world import World, rows

# Parquet has one more level around a list's elements, which has no id.
STORED = {path: field_id for path, field_id in FIELD_IDS.items() if path != "event_date"} | {"items.list": -1}


def stored_ids(body: bytes) -> dict[str, int]:
    """The field id of each column, by its path, as the file's own footer has them."""
    found, above = {}, list[str]()
    for line in str(pq.ParquetFile(pa.BufferReader(body)).schema).splitlines():
        if column := re.match(r"(?P<depth> +)\w+ (?P<kind>\w+) field_id=(?P<id>-?\d+) (?P<name>\w+)", line):
            above = [*above[: len(column["depth"]) // 2 - 1], column["name"]]
            found[".".join(above)] = int(column["id"])
    return found


def by_the_archiver() -> World:
    return archived_world()


def as_late_rows() -> World:
    world = archived_world()
    before = set(world.bucket.objects)
    late_rows(world).add(LATE)
    for key in before:
        del world.bucket.objects[key]
    return world


def by_a_backfill() -> World:
    world = World()
    backfill(world).load("history", [encode(an_envelope())], set_apart=lambda _: None)
    return world


def by_a_compaction() -> World:
    """Of newer files and of an older one."""
    world = archived_world()
    append(world, rows(77), without_ids)
    before = set(world.bucket.objects)
    list(compactor(world).run([DAY]))
    for key in before:
        del world.bucket.objects[key]
    return world


def without_ids(table: pa.Table, _: object = None) -> bytes:
    """A file as older releases wrote it."""
    out = pa.BufferOutputStream()
    pq.write_table(table.cast(EVENT_SCHEMA), out, compression="zstd")
    return out.getvalue().to_pybytes()


@pytest.mark.slow
@pytest.mark.parametrize("written", [by_the_archiver, as_late_rows, by_a_backfill, by_a_compaction])
def test_whatever_writes_a_file_gives_its_columns_their_ids(written: Callable[[], World]) -> None:
    bodies = [body for key, body in written().bucket.objects.items() if key.endswith(".parquet")]
    assert bodies
    for body in bodies:
        assert stored_ids(body) == STORED
    assert set(stored_ids(without_ids(rows(1))).values()) == {-1}


RENAMED = Schema(
    NestedField(4, "bestelling", StringType()),
    NestedField(
        103,
        "regels",
        ListType(104, StructType(NestedField(106, "naam", StringType()), NestedField(107, "n", IntegerType()))),
    ),
    NestedField(109, "totaal", LongType()),
    NestedField(950, "nieuw", StringType()),
)


def read_by_ids(file: Path, schema: Schema) -> list[dict[str, object]]:
    """The rows as Iceberg reads them, which knows a file's columns by nothing but their ids."""
    described: dict[str, Any] = {
        "location": file.parent.as_uri(),
        "last-column-id": max(FIELD_IDS.values()),
        "schemas": [schema],
        "current-schema-id": 0,
        "partition-specs": [UNPARTITIONED_PARTITION_SPEC],
        "default-spec-id": 0,
        "sort-orders": [UNSORTED_SORT_ORDER],
        "default-sort-order-id": 0,
    }
    data = DataFile.from_args(
        content=DataFileContent.DATA,
        file_path=str(file),
        file_format=FileFormat.PARQUET,
        partition=Record(),
        record_count=pq.read_metadata(file).num_rows,
        file_size_in_bytes=file.stat().st_size,
    )
    data.spec_id = 0
    scan = ArrowScan(TableMetadataV2(**described), PyArrowFileIO(), schema, parse("totaal = 1900"))
    return scan.to_table([FileScanTask(data)]).to_pylist()


def test_iceberg_reads_columns_by_their_ids_whatever_it_calls_them(tmp_path: Path) -> None:
    file = tmp_path / "ours.parquet"
    file.write_bytes(parquet(rows(1, 2), {}))
    row = {
        "bestelling": rows(1)["order_id"][0].as_py(),
        "regels": [{"naam": "Margherita", "n": 2}],
        "totaal": 1900,
        "nieuw": None,
    }
    assert read_by_ids(file, RENAMED) == [row, row]
    file.write_bytes(without_ids(rows(1, 2)))
    with pytest.raises(ValueError, match="field-ids"):
        read_by_ids(file, RENAMED)


@pytest.fixture
def mixed(tmp_path: Path) -> Path:
    """A table's folder with an older file of one day, and a newer one of the same day and of the next."""
    root = tmp_path / "events"
    log = DeltaLog(str(root), {}, World().clock.clock)
    tables = (rows(1, 2), rows(3), rows(4, occurred_at=NOON + timedelta(days=1)))
    for number, (table, write) in enumerate(zip(tables, (without_ids, _with_ids, _with_ids), strict=True), start=1):
        day = table["occurred_at"][0].as_py().date()
        path = f"event_date={day}/late-{number:032x}.parquet"
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(write(table))
        added = AddedFile(path, (root / path).stat().st_size, day, table.num_rows)
        log.snapshot().commit([added], {f"late/{number}": LogEntry(n=1, epoch=0, batch_id="b", hi=None)})
    return root


def _with_ids(table: pa.Table) -> bytes:
    return parquet(table, {})


@pytest.mark.slow
def test_every_reader_takes_older_and_newer_files_together(mixed: Path) -> None:
    lake = Lake.open(str(mixed), {})
    expected = _event_ids(rows(1, 2, 3), rows(4))
    assert _event_ids(pa.Table.from_pandas(lake.pandas())) == expected
    assert _event_ids(lake.polars().collect().to_arrow()) == expected
    assert _event_ids(lake.dataset().to_table()) == expected
    assert _event_ids(lake.sql("FROM events")) == expected
    items = "SELECT sum(i.quantity) AS n FROM (SELECT unnest(items) AS i FROM records)"
    assert lake.sql(items).to_pylist() == [{"n": 8}]
    assert lake.orders().num_rows == 1
    # And those that are given the files that count.
    files = lake.files()
    assert _event_ids(pa.Table.from_pandas(pd.concat(map(pd.read_parquet, files)))) == expected
    assert _event_ids(pl.read_parquet(files).to_arrow()) == expected
    assert _event_ids(DeltaTable(mixed).to_pyarrow_table()) == expected
    assert _event_ids(*map(pq.read_table, files)) == expected
    with duckdb.connect() as connection:
        assert _event_ids(connection.from_parquet(files).to_arrow_table()) == expected


def _event_ids(*tables: pa.Table) -> list[str]:
    return sorted(str(event_id) for table in tables for event_id in table["event_id"].to_pylist())
