"""The Parquet files that count, as the table's log names them, and Arrow's way to them."""

from collections.abc import Collection, Mapping
from datetime import UTC, date, datetime
from typing import cast
from urllib.parse import urlsplit

import pyarrow as pa
import pyarrow.dataset as ds
from deltalake import DeltaTable
from pyarrow import fs

from analytics.reading.orders import Window
from analytics.table import AddedFile, files_of
from foundation import aws


class LiveFiles:
    """The files that one version of the table has; none of those that a later one adds or that an earlier one had."""

    def __init__(self, table: DeltaTable, filesystem: fs.FileSystem) -> None:
        """`filesystem` is rooted at the table."""
        self.root = table.table_uri.removeprefix("file://").rstrip("/")
        self.version = table.version()
        self.all = files_of(table)
        sizes = {file.path: file.size for file in self.all}
        known = cast("ds.FileSystemDataset", table.to_pyarrow_dataset(filesystem=filesystem))
        self._schema: pa.Schema = known.schema
        self._format: ds.FileFormat = known.format
        self._filesystem = filesystem
        # With its size known a file is opened without a request of its own for it.
        self._fragments = {
            fragment.path: self._format.make_fragment(
                fragment.path,
                filesystem=filesystem,
                partition_expression=fragment.partition_expression,
                file_size=sizes[fragment.path],
            )
            for fragment in known.get_fragments()
        }

    def address(self, file: AddedFile) -> str:
        """What other programs call it: `s3://bucket/events/...`, or a path."""
        return f"{self.root}/{file.path}"

    def between(self, window: Window) -> list[AddedFile]:
        """The files of the days that the window touches."""
        first = date.min if window.since is None else _day(window.since)
        last = date.max if window.until is None else _day(window.until)
        # guarantee: a window opens the files of its days only
        return [file for file in self.all if first <= file.day <= last]

    def dataset(self, files: Collection[AddedFile]) -> ds.Dataset:
        """The rows of these of the files."""
        fragments = [self._fragments[file.path] for file in files]
        return ds.FileSystemDataset(fragments, self._schema, self._format, self._filesystem)


def lake_filesystem(uri: str, options: Mapping[str, str]) -> fs.FileSystem:
    """Arrow's own S3, or a folder, rooted at the table.

    deltalake's would call back into Python from Arrow's threads, which read ahead even when a query wants no more: a
    process that ends at that moment crashes.
    """
    place = urlsplit(uri)
    if place.scheme != "s3":
        return fs.SubTreeFileSystem(uri, fs.LocalFileSystem())
    return fs.SubTreeFileSystem(f"{place.netloc}{place.path}", aws.arrow_s3(options))


def _day(moment: datetime) -> date:
    return moment.astimezone(UTC).date()
