"""Records for DuckDB that are read only as it asks for them."""

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import duckdb
import pyarrow as pa
import pyarrow.dataset as ds

from analytics.files import ROW_GROUP_ROWS

_BATCH_ROWS = 65_536
# So many files' footers are asked for at once, and so many files of one part are read at once.
_FILES_TOGETHER = 16
# What Arrow adds to an error that passed through Python.
_TRACEBACK = " Detail: Python exception: "


class Pulled:
    """Some columns of records, for `pulling`: read anew by each query.

    A data set that is registered as it is, is read by Arrow's threads up to a gigabyte ahead of the query, and no limit
    of DuckDB's knows of that. Here it is read a part at a time, each when DuckDB asks for it: a row group, or several
    that have as many rows together. Arrow's threads share out a part only.
    """

    def __init__(
        self, records: ds.Dataset | pa.Table, columns: Iterable[str], where: ds.Expression | None = None
    ) -> None:
        self._records = records if isinstance(records, ds.Dataset) else ds.dataset(records)
        self._columns = list(dict.fromkeys(columns))
        self._where = where

    def __arrow_c_schema__(self) -> object:
        """What DuckDB asks first: without it, a query would begin to read the files for their columns alone."""
        return self._schema().__arrow_c_schema__()

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        reader = pa.RecordBatchReader.from_batches(self._schema(), self._batches())
        return reader.__arrow_c_stream__(requested_schema)  # type: ignore[no-untyped-call]

    def _schema(self) -> pa.Schema:
        return self._records.scanner(columns=self._columns).projected_schema

    def _batches(self) -> Iterator[pa.RecordBatch]:
        for part in self._parts():
            yield from part.to_batches(
                columns=self._columns,
                filter=self._where,
                batch_size=_BATCH_ROWS,
                fragment_readahead=_FILES_TOGETHER,
            )

    def _parts(self) -> Iterator[ds.Dataset]:
        whole = self._records
        if not isinstance(whole, ds.FileSystemDataset):
            yield whole
            return
        part: list[ds.Fragment] = []
        rows = 0
        for group in _row_groups(whole, self._where):
            more = sum(one.num_rows for one in group.row_groups)
            # guarantee: no more of the lake is read ahead of a query than a part of it
            if part and rows + more > ROW_GROUP_ROWS:
                yield ds.FileSystemDataset(part, whole.schema, whole.format, whole.filesystem)
                part, rows = [], 0
            part.append(group)
            rows += more
        yield ds.FileSystemDataset(part, whole.schema, whole.format, whole.filesystem)


@contextmanager
def pulling(connection: duckdb.DuckDBPyConnection, **tables: Pulled) -> Iterator[None]:
    """The tables are there meanwhile, by their names. Where a file cannot be read, `duckdb.Error` names it."""
    for name, table in tables.items():
        connection.register(name, table)
    try:
        yield
    except duckdb.Error as error:
        told, ours, _ = str(error).partition(_TRACEBACK)
        if not ours:
            raise
        raise type(error)(told) from error
    finally:
        for name in tables:
            connection.unregister(name)


def _row_groups(whole: ds.Dataset, where: ds.Expression | None) -> Iterator[ds.ParquetFileFragment]:
    """Those that may have rows of the filter, as the files' days and footers tell."""
    files = list(whole.get_fragments(filter=where))
    with ThreadPoolExecutor(_FILES_TOGETHER) as threads:
        for first in range(0, len(files), _FILES_TOGETHER):
            together = files[first : first + _FILES_TOGETHER]
            for groups in threads.map(lambda file: file.split_by_row_group(where, schema=whole.schema), together):
                yield from groups
