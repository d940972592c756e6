"""The rows of one file of the lake, checked against what the log says of it."""

import io
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from analytics.table import AddedFile, object_key
from foundation.bucket import Bucket


class MissingFile(Exception):
    """The log names a file that is not there."""


class TornFile(Exception):
    """A file is not what the log says: another size, no Parquet, or another number of rows."""


def stored_file(bucket: Bucket, file: AddedFile) -> pq.ParquetFile:
    """The file, whole and in memory. Raises `MissingFile` or `TornFile`."""
    stored = bucket.read(object_key(file.path))
    if stored is None:
        raise MissingFile(f"{file.path} is in the log and not in bucket {bucket.name}. fix: {_FIX}")
    if len(stored.body) != file.size:
        raise TornFile(f"{file.path} has {len(stored.body)} bytes, the log says {file.size}. fix: {_FIX}")
    try:
        opened = pq.ParquetFile(pa.BufferReader(stored.body))
    except (pa.ArrowInvalid, OSError) as error:
        raise TornFile(f"{file.path} is no Parquet file: {error}. fix: {_FIX}") from error
    if opened.metadata.num_rows != file.rows:
        raise TornFile(f"{file.path} has {opened.metadata.num_rows} rows, the log says {file.rows}. fix: {_FIX}")
    return opened


class _Parts(io.RawIOBase):
    """An object to read here and there. One that ends before the log says is none of ours: what is read, is torn."""

    def __init__(self, bucket: Bucket, file: AddedFile) -> None:
        super().__init__()
        self._bucket = bucket
        self._file = file
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._at = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._file.size}[whence]
        return self._at

    def read(self, size: int = -1) -> bytes:
        end = self._file.size if size < 0 else min(self._at + size, self._file.size)
        if end <= self._at:
            return b""
        part = self._bucket.read_part(object_key(self._file.path), self._at, end)
        if part is None:
            raise MissingFile(f"{self._file.path} is in the log and not in bucket {self._bucket.name}. fix: {_FIX}")
        self._at += len(part)
        return part


def rows_of_orders(bucket: Bucket, file: AddedFile, schema: pa.Schema, orders: "pa.Array[Any]") -> pa.Table:
    """The rows of these orders, with the columns of `schema`, which every file has.

    Of a file without any only the ids of its orders are read. Raises `MissingFile` or `TornFile`.
    """
    found = [schema.empty_table()]
    try:
        with pq.ParquetFile(pa.PythonFile(_Parts(bucket, file), "r")) as opened:
            for group in range(opened.num_row_groups):
                there = pc.is_in(opened.read_row_group(group, ["order_id"]).column("order_id"), value_set=orders)
                if pc.any(there).as_py():
                    found.append(opened.read_row_group(group, schema.names).filter(there).select(schema.names))
    except (pa.ArrowInvalid, OSError) as error:
        raise TornFile(f"{file.path} is no Parquet file: {error}. fix: {_FIX}") from error
    return pa.concat_tables(part.cast(schema) for part in found)


class NewerColumns(Exception):
    """A file has columns of a newer release, which this one would lose."""


def stored_rows(bucket: Bucket, file: AddedFile, schema: pa.Schema, *, whole: bool = False) -> pa.Table:
    """The rows with the columns of `schema`; one that the file is too old to have is null.

    Raises as `stored_file`, and with `whole`, when nothing may be left out, `NewerColumns`.
    """
    opened = stored_file(bucket, file)
    there = set(opened.schema_arrow.names)
    if whole and (newer := there - set(schema.names)):
        raise NewerColumns(
            f"{file.path} has columns that this release does not know: {', '.join(sorted(newer))}. "
            "fix: run the release that wrote it"
        )
    table = opened.read(columns=[name for name in schema.names if name in there])
    for field in schema:
        if field.name not in there:
            table = table.append_column(field, pa.nulls(table.num_rows, field.type))
    return table.select(schema.names).cast(schema)


_FIX = "bring the object back from a version of the bucket, or replay its records; `takeaway lake verify` names all"
