"""The rows of one file of the lake, checked against what the log says of it."""

import pyarrow as pa
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
