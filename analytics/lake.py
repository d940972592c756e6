"""The lake for readers: notebooks, reports, the command line. Reads through the table's log only."""

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
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
    Contents,
    LiveFiles,
    When,
    Window,
    common_tables,
    find_repeats,
    lake_filesystem,
    shared_days,
    without,
)
from analytics.settings import LakeSettings
from analytics.table import EVENT_SCHEMA, PLACE, AddedFile, is_compacted, table_uri
from events import ARCHIVER
from foundation import aws
from foundation.settings import from_environment

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl


class NoLake(LookupError):
    """There is nothing to read yet. Says where, and what to do."""

    def _render_traceback_(self) -> list[str]:
        """What a notebook shows: how it came here is of no use."""
        return [f"NoLake: {self}"]


class Lake:
    """The lake as of the moment of opening; open again to see what came since.

    Three tables: `records`, every record of the stream once, as it was archived; `events`, every event once, since an
    event may have been published twice; `orders`, a row an order (`analytics.reading.orders`). The columns of the
    former two are those of `EVENT_SCHEMA` and `event_date`.

    `since` and `until` say which events count: those with since <= occurred_at < until; None does not bind. Each is an
    aware datetime, ISO 8601 text with an offset, or a date, which is where that day begins in UTC; others raise
    `ValueError`. Files of other days are read for the ids of their events alone, and only while files are fresh, that
    is, until they are compacted.

    A directory listing of the bucket is no substitute: it also shows files that never became visible, and files that a
    compaction replaced.
    """

    def __init__(self, files: LiveFiles) -> None:
        self._files = files

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

    @cached_property
    def contents(self) -> Contents:
        """How much is there. Reads the log alone, of the newest day the times, and of a small lake the orders' ids."""
        files = self._files.all
        days = sorted({file.day for file in files})
        rows = sum(file.rows for file in files)
        of_last_day = self._files.dataset([file for file in files if file.day == days[-1]])
        newest = pc.max(of_last_day.to_table(columns=["occurred_at"])["occurred_at"]).as_py()
        orders = None
        if rows <= _MOST_ROWS_AT_A_GLANCE:
            orders = pc.count_distinct(self.dataset().to_table(columns=["order_id"])["order_id"]).as_py()
        size = sum(file.size for file in files)
        return Contents(
            self._files.root, self.version, rows, len(files), size, len(days), days[0], days[-1], newest, orders
        )

    def __repr__(self) -> str:
        return str(self.contents)

    def _repr_html_(self) -> str:
        return self.contents.html()

    @property
    def repeats(self) -> pa.Table:
        """The `records` that bring an event which an earlier one has brought: `order_id` and the columns of `PLACE`."""
        return self._repeats

    def files(self, since: When | None = None, until: When | None = None) -> list[str]:
        """The addresses of exactly those Parquet files that count, of the days that the window touches.

        For readers that know nothing of the log. They have `records`: events that were published twice are twice there.
        """
        return [self._files.address(file) for file in self._files.between(Window.of(since, until))]

    def dataset(self) -> ds.Dataset:
        """`records`, for pyarrow. A filter on `event_date` skips files, one on `order_id` most of a compacted file."""
        return self._files.dataset(self._files.all)

    def events(self, since: When | None = None, until: When | None = None) -> pa.Table:
        """`events`, in no order."""
        window = Window.of(since, until)
        rows = self._files.dataset(self._files.between(window)).to_table(filter=_within(window))
        return without(rows, self._repeats)

    def order(self, order_id: str, since: When | None = None, until: When | None = None) -> pa.Table:
        """The `events` of one order, in the order in which they occurred. Of compacted files a small part is read."""
        window, of_order = Window.of(since, until), ds.field("order_id") == order_id
        # A copy of any day may have come first, unless all is compacted.
        files = self._files.all if self._fresh else self._files.between(window)
        rows = self._files.dataset(files).to_table(filter=of_order)
        rows = without(rows, find_repeats(rows)) if self._fresh else rows
        within = _within(window)
        return (rows if within is None else rows.filter(within)).sort_by("occurred_at")

    def orders(self, since: When | None = None, until: When | None = None) -> pa.Table:
        """`orders`, sorted by `placed_at`, then `order_id`, as far as the window's events tell.

        An order placed before `since` has no `placed_at`; one under way at `until` is as it stood then.
        """
        return self.sql(EVERY_ORDER, since, until)

    def pandas(self, since: When | None = None, until: When | None = None) -> "pd.DataFrame":
        """`events` as a frame."""
        return self.events(since, until).to_pandas()

    def polars(self, since: When | None = None, until: When | None = None) -> "pl.LazyFrame":
        """`events` as a lazy frame: a filter or a selection reads what it needs. Wants polars: `pip install polars`."""
        try:
            import polars as pl  # noqa: PLC0415 - for those who have it
        except ModuleNotFoundError as error:
            raise ModuleNotFoundError("polars is not installed. fix: pip install polars") from error
        window = Window.of(since, until)
        frame = pl.scan_pyarrow_dataset(self._files.dataset(self._files.between(window)))
        if window.since is not None:
            frame = frame.filter(pl.col("occurred_at") >= window.since)
        if window.until is not None:
            frame = frame.filter(pl.col("occurred_at") < window.until)
        if self._repeats.num_rows:
            left_out = pl.LazyFrame(self._repeats.select(PLACE))
            frame = frame.join(left_out, on=PLACE, how="anti")
        return frame

    def sql(self, query: str, since: When | None = None, until: When | None = None) -> pa.Table:
        """The answer of DuckDB, which sees `events`, `orders` and `records`. Times are in UTC.

        What Arrow has no type for comes as text: UHUGEINT, BIGNUM, BIT, and times of day with an offset.
        """
        with self._database(Window.of(since, until), query) as connection:
            rows: pa.Table = _answered(connection, query).to_arrow_table()
            return rows

    @contextmanager
    def stream(
        self, query: str, since: When | None = None, until: When | None = None
    ) -> Iterator[tuple[pa.Schema, Iterator[pa.RecordBatch]]]:
        """The same answer as `sql`, a part at a time: its schema and its rows, of which only some are in memory."""
        with self._database(Window.of(since, until), query) as connection:
            reader = _answered(connection, query).to_arrow_reader(_ROWS_TOGETHER)
            yield reader.schema, _told_by_duckdb(reader)

    @contextmanager
    def _database(self, window: Window, query: str) -> Iterator[duckdb.DuckDBPyConnection]:
        with duckdb.connect() as connection:
            connection.execute("SET TimeZone = 'UTC'")
            files = self._files.between(window)
            connection.register("_archived", self._files.dataset(files))
            _view(connection, "records", f"FROM _archived{window.where()}")
            asks = any(_may_read(connection, table, query) for table in ("events", "orders"))
            repeats = self._repeats if asks else _NONE
            if not repeats.num_rows:
                _view(connection, "events", "FROM records")
            else:
                doubted = self._doubtful
                connection.register("_repeats", repeats)
                connection.register("_doubtful", self._files.dataset([file for file in files if file in doubted]))
                connection.register("_certain", self._files.dataset([file for file in files if file not in doubted]))
                _view(connection, "events", _WITHOUT_REPEATS + window.where())
            for name, select in common_tables(ALWAYS, events="events").items():
                _view(connection, name, select)
            yield connection

    @cached_property
    def _fresh(self) -> list[AddedFile]:
        return [file for file in self._files.all if not is_compacted(file.path)]

    @cached_property
    def _doubtful(self) -> frozenset[AddedFile]:
        """The files that may hold an event twice, or one that another of them holds too.

        A compaction leaves no event in two compacted files, so of two copies one at least is fresh.
        """
        if not self._fresh:
            return frozenset()
        settled = [file for file in self._files.all if is_compacted(file.path)]
        days = shared_days(self._files.dataset(self._fresh), self._files.dataset(settled)) if settled else set()
        # guarantee: a repeat of a compacted day is found, however far the day
        return frozenset(self._fresh).union(file for file in settled if file.day in days)

    @cached_property
    def _repeats(self) -> pa.Table:
        # guarantee: a reader sees every event once, before its day is compacted too
        if not self._doubtful:
            return _NONE
        return find_repeats(self._files.dataset(self._doubtful))


_FIX = (
    f"run the archiver (`takeaway work {ARCHIVER}`) and place an order; the first file comes when it is due, after "
    "TAKEAWAY_LAKE_FILE_AGE at the latest"
)
_MOST_ROWS_AT_A_GLANCE = 1_000_000
# DuckDB hands them to Arrow with another value, without their offset, or as bytes of its own.
_AS_TEXT = {"UHUGEINT", "BIGNUM", "BIT", "TIME WITH TIME ZONE"}
_NONE = EVENT_SCHEMA.empty_table().select(["order_id", *PLACE])
_WITHOUT_REPEATS = f"""
FROM (FROM _certain UNION ALL FROM _doubtful ANTI JOIN _repeats USING ({", ".join(PLACE)}))"""


# What DuckDB's errors begin with, once Arrow has them.
_DUCKDBS_OWN = re.compile(r"[A-Z][A-Za-z -]* Error: ")
_ROWS_TOGETHER = 50_000


def _answered(connection: duckdb.DuckDBPyConnection, query: str) -> duckdb.DuckDBPyRelation:
    answered = connection.sql(query)
    if answered is None:
        raise ValueError("this SQL answers with no rows at all. fix: write a select from events, orders or records")
    kinds = [str(kind) for kind in answered.types]
    if _AS_TEXT.isdisjoint(kinds):
        return answered
    columns = ", ".join(
        f"#{place}::VARCHAR AS {_quoted(name)}" if kind in _AS_TEXT else f"#{place} AS {_quoted(name)}"
        for place, (name, kind) in enumerate(zip(answered.columns, kinds, strict=True), start=1)
    )
    return answered.project(columns)


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _told_by_duckdb(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """What fails behind the first rows comes out of Arrow as an `OSError`: it is DuckDB's, as before them."""
    try:
        yield from batches
    except OSError as error:
        if error.errno is None and _DUCKDBS_OWN.match(str(error)):
            raise duckdb.Error(str(error)) from error
        raise


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
