"""The lake for readers: notebooks, reports, the command line. Reads through the table's log only."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
from deltalake import DeltaTable
from deltalake.exceptions import TableNotFoundError

from analytics.reading import (
    ALWAYS,
    EVERY_ORDER,
    PLACE,
    LiveFiles,
    Window,
    common_tables,
    doubtful,
    find_repeats,
    lake_filesystem,
    without,
)
from analytics.settings import LakeSettings
from analytics.table import EVENT_SCHEMA, table_uri
from events import ARCHIVER
from foundation import aws
from foundation.settings import from_environment

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl


class NoLake(LookupError):
    """There is nothing to read yet. Says where, and what to do."""


class Lake:
    """The lake as of the moment of opening; open again to see what came since.

    Three tables: `records`, every record of the stream once, as it was archived; `events`, every event once, since an
    event may have been published twice; `orders`, a row an order (`analytics.reading.orders`). The columns of the
    former two are those of `EVENT_SCHEMA` and `event_date`.

    `since` and `until`, aware, say which events count: those with since <= occurred_at < until; None does not bind.
    Only the files of these days are read.

    A directory listing of the bucket is no substitute: it also shows files that never became visible, and files that a
    compaction replaced.
    """

    def __init__(self, files: LiveFiles) -> None:
        self._files = files
        self._repeats: dict[frozenset[str], pa.Table] = {}

    @classmethod
    def open(cls, uri: str, storage_options: Mapping[str, str]) -> "Lake":
        """The lake whose table is at `uri`: `s3://bucket/events`, or a folder. `NoLake` where it has no events."""
        try:
            table = DeltaTable(uri, storage_options=dict(storage_options))
        except TableNotFoundError as error:
            raise NoLake(f"there is no lake at {uri}. fix: {_FIX}") from error
        files = LiveFiles(table, lake_filesystem(uri, storage_options))
        if not files.all:
            raise NoLake(f"the lake at {uri} has no events yet. fix: {_FIX}")
        return cls(files)

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] | None = None) -> "Lake":
        """The lake that TAKEAWAY_LAKE_BUCKET names, with the endpoint and the credentials of the environment."""
        environ = os.environ if environ is None else environ
        settings = from_environment(LakeSettings, environ)
        return cls.open(table_uri(settings.lake_bucket), aws.storage_options(environ))

    @property
    def version(self) -> int:
        """Counts the table's commits: equal versions of one lake have equal rows."""
        return self._files.version

    def files(self, since: datetime | None = None, until: datetime | None = None) -> list[str]:
        """The addresses of exactly those Parquet files that count, of the days that the window touches.

        For readers that know nothing of the log. They have `records`: events that were published twice are twice there.
        """
        return [self._files.address(file) for file in self._files.between(Window(since, until))]

    def dataset(self) -> ds.Dataset:
        """`records`, for pyarrow. A filter on `event_date` skips files, one on `order_id` most of a compacted file."""
        return self._files.dataset(self._files.all)

    def events(self, since: datetime | None = None, until: datetime | None = None) -> pa.Table:
        """`events`, in no order."""
        window = Window(since, until)
        rows = self._files.dataset(self._files.between(window)).to_table(filter=_within(window))
        return without(rows, self._repeats_within(window))

    def order(self, order_id: str, since: datetime | None = None, until: datetime | None = None) -> pa.Table:
        """The `events` of one order, in the order in which they occurred. Of compacted files a small part is read."""
        window = Window(since, until)
        condition = ds.field("order_id") == order_id
        if (within := _within(window)) is not None:
            condition &= within
        rows = self._files.dataset(self._files.between(window)).to_table(filter=condition)
        return without(rows, find_repeats(rows)).sort_by("occurred_at")

    def orders(self, since: datetime | None = None, until: datetime | None = None) -> pa.Table:
        """`orders`, sorted by `placed_at`, then `order_id`, as far as the window's events tell.

        An order placed before `since` has no `placed_at`; one under way at `until` is as it stood then.
        """
        return self.sql(EVERY_ORDER, since, until)

    def pandas(self, since: datetime | None = None, until: datetime | None = None) -> "pd.DataFrame":
        """`events` as a frame."""
        return self.events(since, until).to_pandas()

    def polars(self, since: datetime | None = None, until: datetime | None = None) -> "pl.LazyFrame":
        """`events` as a lazy frame: a filter or a selection reads what it needs. Wants polars: `pip install polars`."""
        try:
            import polars as pl  # noqa: PLC0415 - for those who have it
        except ModuleNotFoundError as error:
            raise ModuleNotFoundError("polars is not installed. fix: pip install polars") from error
        window = Window(since, until)
        frame = pl.scan_pyarrow_dataset(self._files.dataset(self._files.between(window)))
        if since is not None:
            frame = frame.filter(pl.col("occurred_at") >= since)
        if until is not None:
            frame = frame.filter(pl.col("occurred_at") < until)
        repeats = self._repeats_within(window)
        if repeats.num_rows:
            left_out = pl.LazyFrame(repeats.select(PLACE))
            frame = frame.join(left_out, on=PLACE, how="anti")
        return frame

    def sql(self, query: str, since: datetime | None = None, until: datetime | None = None) -> pa.Table:
        """The answer of DuckDB, which sees `events`, `orders` and `records`. Times are in UTC.

        What Arrow has no type for comes as text: UHUGEINT, BIGNUM, BIT, and times of day with an offset.
        """
        with self._database(Window(since, until), query) as connection:
            answered = connection.sql(query)
            if answered is None:
                raise ValueError(
                    "this SQL answers with no rows at all. fix: write a select from events, orders or records"
                )
            kinds = [str(kind) for kind in answered.types]
            rows: pa.Table
            if _AS_TEXT.isdisjoint(kinds):
                rows = answered.to_arrow_table()
                return rows
            columns = ", ".join(
                f"#{place}::VARCHAR" if kind in _AS_TEXT else f"#{place}" for place, kind in enumerate(kinds, start=1)
            )
            rows = connection.sql(f"SELECT {columns} FROM answered").to_arrow_table()  # noqa: S608
            return rows.rename_columns(answered.columns)

    @contextmanager
    def _database(self, window: Window, query: str) -> Iterator[duckdb.DuckDBPyConnection]:
        with duckdb.connect() as connection:
            connection.execute("SET TimeZone = 'UTC'")
            files = self._files.between(window)
            connection.register("_archived", self._files.dataset(files))
            _view(connection, "records", f"FROM _archived{window.where()}")
            for name, select in common_tables(ALWAYS).items():
                _view(connection, name, select)
            repeats = self._repeats_within(window) if _may_read(connection, "events", query) else _NONE
            if not repeats.num_rows:
                _view(connection, "events", "FROM records")
            else:
                doubted = doubtful(self._files.all)
                connection.register("_repeats", repeats)
                connection.register("_doubtful", self._files.dataset([file for file in files if file in doubted]))
                connection.register("_certain", self._files.dataset([file for file in files if file not in doubted]))
                _view(connection, "events", _WITHOUT_REPEATS + window.where())
            yield connection

    def _repeats_within(self, window: Window) -> pa.Table:
        """Of these events and of those a day around them, which tell whether one of these is a repeat."""
        near = {file.path for file in self._files.between(window.wider(_DAY))}
        doubted = [file for file in doubtful(self._files.all) if file.path in near]
        # guarantee: a reader sees every event once, before its day is compacted too
        if not doubted:
            return _NONE
        key = frozenset(file.path for file in doubted)
        if key not in self._repeats:
            self._repeats[key] = find_repeats(self._files.dataset(doubted))
        return self._repeats[key]


_FIX = (
    f"run the archiver (`takeaway work {ARCHIVER}`) and place an order; the first file comes when it is due, after "
    "TAKEAWAY_LAKE_FILE_AGE at the latest"
)
_DAY = timedelta(days=1)
# DuckDB hands them to Arrow with another value, without their offset, or as bytes of its own.
_AS_TEXT = {"UHUGEINT", "BIGNUM", "BIT", "TIME WITH TIME ZONE"}
_NONE = EVENT_SCHEMA.empty_table().select(["event_id", *PLACE])
_WITHOUT_REPEATS = f"""
FROM (FROM _certain UNION ALL FROM _doubtful ANTI JOIN _repeats USING ({", ".join(PLACE)}))"""


def _view(connection: duckdb.DuckDBPyConnection, name: str, select: str) -> None:
    connection.execute(f"CREATE TEMP VIEW {name} AS {select}")


def _may_read(connection: duckdb.DuckDBPyConnection, table: str, query: str) -> bool:
    """Whether the query names the table. For what DuckDB cannot take apart, anything but a select: yes."""
    parsed = str(connection.execute("SELECT json_serialize_sql(?)", [query]).fetchall())
    return '"error":true' in parsed or f'"table_name":"{table}"' in parsed.lower()


def _within(window: Window) -> pc.Expression | None:
    since = None if window.since is None else ds.field("occurred_at") >= window.since
    until = None if window.until is None else ds.field("occurred_at") < window.until
    return until if since is None else since if until is None else since & until
