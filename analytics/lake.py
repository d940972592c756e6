"""The lake for readers: notebooks, reports, the command line. Reads through the table's log only."""

import os
from collections.abc import Mapping
from datetime import UTC, date, datetime
from urllib.parse import urlsplit

import duckdb
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
from deltalake import DeltaTable
from deltalake.exceptions import TableNotFoundError
from pyarrow import fs

from analytics.layout import table_uri
from analytics.settings import LakeSettings
from analytics.table import storage_options
from foundation.settings import from_environment


class NoLake(LookupError):
    """There is nothing to read yet. Says where, and what to do."""


class Lake:
    """All events, each row once, as of the moment of opening; open again to see what came since.

    Columns are those of `schema.EVENT_SCHEMA` and `event_date`. A directory listing of the bucket is no substitute: it
    also shows files that never became visible, and files that a compaction replaced.
    """

    def __init__(self, table: DeltaTable, filesystem: fs.FileSystem) -> None:
        self._table = table
        self._filesystem = filesystem

    @classmethod
    def open(cls, uri: str, storage_options: Mapping[str, str]) -> "Lake":
        """The lake whose table is at `uri`, for example `s3://bucket/events`. Raises `NoLake` when it has no events."""
        try:
            table = DeltaTable(uri, storage_options=dict(storage_options))
        except TableNotFoundError as error:
            raise NoLake(f"there is no lake at {uri}. fix: {_FIX}") from error
        if not table.file_uris():
            raise NoLake(f"the lake at {uri} has no events yet. fix: {_FIX}")
        return cls(table, _filesystem(uri, storage_options))

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] | None = None) -> "Lake":
        """The lake that TAKEAWAY_LAKE_BUCKET names, with the endpoint and the credentials of the environment."""
        environ = os.environ if environ is None else environ
        settings = from_environment(LakeSettings, environ)
        return cls.open(table_uri(settings.lake_bucket), storage_options(environ))

    @property
    def version(self) -> int:
        """Counts the table's commits: equal versions of one lake have equal rows."""
        return self._table.version()

    def dataset(self) -> ds.Dataset:
        """For pyarrow, polars and duckdb. A filter on `event_date` skips whole files."""
        return self._table.to_pyarrow_dataset(filesystem=self._filesystem)

    def events(self, since: datetime | None = None, until: datetime | None = None) -> pa.Table:
        """The events with since <= occurred_at < until, in no order; a bound that is None does not bind."""
        return self.dataset().to_table(filter=_between(since, until))

    def pandas(self, since: datetime | None = None, until: datetime | None = None) -> pd.DataFrame:
        """`events` as a frame."""
        return self.events(since, until).to_pandas()

    def sql(self, query: str) -> pa.Table:
        """The answer of DuckDB, which sees the lake as `events`. Times are in UTC."""
        with duckdb.connect() as connection:
            connection.execute("SET TimeZone = 'UTC'")
            connection.register("events", self.dataset())
            answered = connection.sql(query)
            if answered is None:
                raise ValueError("this SQL answers with no rows at all. fix: write a select; the table is `events`")
            rows: pa.Table = answered.to_arrow_table()
            return rows


_FIX = (
    "run the archiver (`takeaway work archiver`) and place an order; the first file comes when it is due, after "
    "TAKEAWAY_LAKE_FILE_AGE at the latest"
)


def _filesystem(uri: str, options: Mapping[str, str]) -> fs.FileSystem:
    """Arrow's own S3, rooted at the table.

    deltalake's would call back into Python from Arrow's threads, which read ahead even when a query wants no more: a
    process that ends at that moment crashes.
    """
    place, endpoint = urlsplit(uri), urlsplit(options.get("aws_endpoint", ""))
    s3 = fs.S3FileSystem(
        access_key=options.get("aws_access_key_id"),
        secret_key=options.get("aws_secret_access_key"),
        session_token=options.get("aws_session_token"),
        region=options.get("aws_region"),
        scheme="http" if endpoint.scheme == "http" else "https",
        endpoint_override=endpoint.netloc or None,
    )
    return fs.SubTreeFileSystem(f"{place.netloc}{place.path}", s3)


def _between(since: datetime | None, until: datetime | None) -> pc.Expression | None:
    """On the column, for the rows, and on the day, for the files."""
    conditions: list[pc.Expression] = []
    if since is not None:
        conditions += [ds.field("occurred_at") >= since, ds.field("event_date") >= _day(since)]
    if until is not None:
        conditions += [ds.field("occurred_at") < until, ds.field("event_date") <= _day(until)]
    together = None
    for condition in conditions:
        together = condition if together is None else together & condition
    return together


def _day(moment: datetime) -> date:
    return moment.astimezone(UTC).date()
