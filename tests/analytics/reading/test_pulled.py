"""Records are read as a query asks for them, not ahead of it."""

from pathlib import Path
from threading import Event

import duckdb
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

from analytics.files import ROW_GROUP_ROWS
from analytics.reading import Pulled, pulling

pytestmark = pytest.mark.slow

FILES = 40
ROWS = 10_000


@pytest.fixture
def records(tmp_path: Path) -> ds.Dataset:
    for number in range(FILES):
        first = number * ROWS
        ids = [f"{place:0100}" for place in range(first, first + ROWS)]
        pq.write_table(pa.table({"id": ids, "file": [number] * ROWS}), tmp_path / f"{number:02}.parquet")
    return ds.dataset(tmp_path)


def test_no_more_than_a_part_is_held_while_nothing_more_is_asked_for(records: ds.Dataset) -> None:
    reader = pa.RecordBatchReader.from_stream(Pulled(records, ["id"]))
    before = pa.total_allocated_bytes()
    size = reader.read_next_batch().nbytes
    Event().wait(1)
    assert pa.total_allocated_bytes() - before < 1.5 * size * ROW_GROUP_ROWS / ROWS < size * FILES / 2
    assert ROWS + sum(batch.num_rows for batch in reader) == FILES * ROWS


def test_each_query_reads_the_records_anew_and_those_of_the_filter_alone(records: ds.Dataset) -> None:
    newest = Pulled(records, ["file", "id", "file"], ds.field("file") >= FILES - 2)
    with duckdb.connect() as connection, pulling(connection, newest=newest):
        assert connection.sql("FROM newest LIMIT 0").columns == ["file", "id"]
        of_each = connection.sql("SELECT file, count(DISTINCT id) FROM newest GROUP BY file ORDER BY file").fetchall()
        assert of_each == [(FILES - 2, ROWS), (FILES - 1, ROWS)]
        assert connection.sql("SELECT count(*) FROM newest JOIN newest AS same USING (id)").fetchall() == [(2 * ROWS,)]


def test_of_a_filter_that_nothing_fits_there_are_no_rows(records: ds.Dataset) -> None:
    with duckdb.connect() as connection, pulling(connection, none=Pulled(records, ["id"], ds.field("file") < 0)):
        assert connection.sql("FROM none").fetchall() == []


def test_a_tables_rows_are_pulled_as_a_data_sets_are(records: ds.Dataset) -> None:
    with duckdb.connect() as connection, pulling(connection, ours=Pulled(records.to_table(), ["id"])):
        assert connection.sql("SELECT count(DISTINCT id) FROM ours").fetchall() == [(FILES * ROWS,)]


def test_a_file_that_is_gone_is_named_in_a_line_and_the_columns_are_told_all_the_same(
    records: ds.Dataset, tmp_path: Path
) -> None:
    (tmp_path / "39.parquet").unlink()
    with duckdb.connect() as connection, pulling(connection, ours=Pulled(records, ["id"])):
        assert connection.sql("DESCRIBE ours").fetchall()[0][:2] == ("id", "VARCHAR")
        with (
            pytest.raises(duckdb.Error, match=r"39\.parquet") as raised,
            pulling(connection, same=Pulled(records, ["id"])),
        ):
            connection.sql("SELECT count(id) FROM same").fetchall()
    assert "\n" not in str(raised.value)
    assert "Traceback" not in str(raised.value)
