"""The Delta table's log: the one place where files and the offsets that they cover become visible, together."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any, Protocol

import msgspec
import pyarrow as pa
from deltalake import CommitProperties, DeltaTable, Field, Schema, Transaction
from deltalake.exceptions import CommitFailedError, TableNotFoundError
from deltalake.transaction import AddAction, PostCommitHookProperties

from analytics.table.layout import PARTITION_KEY
from analytics.table.schema import EVENT_SCHEMA, PARTITION_COLUMN
from foundation.clock import Clock
from foundation.kinesis import SequenceNumber

TABLE_SCHEMA = pa.schema([*EVENT_SCHEMA, PARTITION_COLUMN])
_OUR_SCHEMA = Schema.from_arrow(TABLE_SCHEMA)
LOG_RETENTION = timedelta(days=30)
TABLE_CONFIGURATION = {
    "delta.checkpointInterval": "50",
    # The log keeps what each commit said of its shards this long. `delta.setTransactionRetentionDuration` stays unset:
    # an expired transaction would be a lost offset.
    "delta.logRetentionDuration": f"interval {LOG_RETENTION.days} days",
}
_REMEMBERS = "delta.deletedFileRetentionDuration"
_UNITS = {name: timedelta(**{f"{name}s": 1}) for name in ("week", "day", "hour", "minute", "second")}
_BATCHES = "batches"
_RECENT_COMMITS = 100
# How often a commit that lost the race for the log's next entry is tried again on top of the winner's. Delta's own 15
# do not last: of eight that commit at once each loses seven races of eight, and of fifty the last loses 49.
_COMMIT_RETRIES = 100
_FILE_COLUMNS = ["path", "size_bytes", f"partition.{PARTITION_KEY}", "num_records"]


class SchemaConflict(Exception):
    """The table has a column of ours with another type: no file of ours belongs into it. Names the columns."""


class CommitRejected(Exception):
    """The log took no part of the commit: another one of the same shard, or of the table itself, came first.

    Or that other one is the commit itself, sent twice by a retry: what is in the log, a new snapshot tells.
    """


class LogEntry(msgspec.Struct, frozen=True, kw_only=True):
    """What a commit says of one application. A fence has no `batch_id`, and the `hi` of the batch before it.

    Each record of a batch is one of its `rows`, or was `dropped`, its event having been there before, or was
    `set_apart` as a dead letter. `rows` is None in entries of older releases. Of a compaction `rows` is what it leaves
    of its day, and `dropped` what it removed. `creation` is that of the shard's stream, where it is known.
    """

    n: int
    epoch: int
    batch_id: str | None
    hi: SequenceNumber | None
    rows: int | None = None
    dropped: int = 0
    set_apart: int = 0
    creation: str | None = None


@dataclass(frozen=True)
class AddedFile:
    """A Parquet file that exists: its path under the table's root and its size in bytes."""

    path: str
    size: int
    day: date
    rows: int


@dataclass(frozen=True)
class LoggedCommit:
    """What the log still tells of one commit. Without entries it was made by somebody else, or it made the table."""

    version: int
    operation: str
    entries: Mapping[str, LogEntry] = field(default_factory=dict)


class Snapshot(Protocol):
    """The table as it was when it was loaded. A commit is judged by what happened to the log since then."""

    @property
    def version(self) -> int:
        """Counts the table's commits."""

    def version_of(self, application: str) -> int:
        """The number of the application's last transaction, 0 when it has none."""

    def last_entry(self, application: str) -> LogEntry | None:
        """What the newest commit that names the application says of it; None when no log file still tells."""

    def files(self, day: date) -> list[str]:
        """The paths of the day's files that a reader sees."""

    def all_files(self) -> list[AddedFile]:
        """Every file that a reader sees, as the log describes it."""

    def history(self) -> Iterator[LoggedCommit]:
        """The commits whose log files are still kept, the newest first."""

    @property
    def remembers(self) -> timedelta:
        """How long the log tells at least that a file was removed: a checkpoint leaves older removals out."""

    def unneeded(self, retention: timedelta) -> set[str]:
        """The paths that a commit removed at least so long ago, whole hours, by this machine's clock."""

    def commit(
        self, files: Sequence[AddedFile], entries: Mapping[str, LogEntry], *, replacing: date | None = None
    ) -> None:
        """Adds the files, and removes those that this snapshot, and no later one, has of the day `replacing`.

        All or nothing. After any error the commit may have happened, if hardly so after `CommitRejected`.

        Rejected when one of these applications has committed since the snapshot. Nobody checks that numbers rise:
        compare `version_of` first, on this very snapshot.
        """


class CommitLog(Protocol):
    def exists(self) -> bool:
        """Whether there is a table; a snapshot of none makes one."""

    def snapshot(self) -> Snapshot:
        """Loads the table afresh."""


class DeltaLog:
    """The log of a Delta table, which is created when it is missing, and given the columns that it lacks.

    Older files have null in a column that came later; columns of a newer release are left alone.

    Every snapshot is a new handle: one that is kept grows with the log, and a conflict is judged from its version.
    `before_creation` is called by whoever is about to create the table; of two at once, by both.
    """

    def __init__(
        self,
        uri: str,
        storage_options: Mapping[str, str],
        clock: Clock,
        *,
        before_creation: Callable[[], None] = lambda: None,
    ) -> None:
        self._uri = uri
        self._storage_options = dict(storage_options)
        self._clock = clock
        self._before_creation = before_creation

    def exists(self) -> bool:
        return DeltaTable.is_deltatable(self._uri, storage_options=self._storage_options)

    def snapshot(self) -> "DeltaSnapshot":
        try:
            table = self._load()
        except TableNotFoundError:
            self._before_creation()
            table = self._created()
        if missing := missing_columns(table.schema()):
            # Two who add the same columns at once: one is rejected, and finds them on the next attempt.
            with _rejections_named(table, f"adding the columns {[column.name for column in missing]}"):
                table.alter.add_columns(missing)
            table = self._load()
        return DeltaSnapshot(table, self._clock)

    def _created(self) -> DeltaTable:
        try:
            DeltaTable.create(
                self._uri,
                schema=TABLE_SCHEMA,
                mode="ignore",
                partition_by=[PARTITION_KEY],
                configuration=TABLE_CONFIGURATION,
                # Tried again, who lost the race to make it would make it anew on top of the winner's.
                # guarantee: a fleet that makes the lake's table makes it once, and goes on
                commit_properties=CommitProperties(max_commit_retries=0),
                storage_options=self._storage_options,
            )
        except CommitFailedError:
            # In here, so that where there is no winner's either, what went wrong is told with it.
            return self._load()
        return self._load()

    def _load(self) -> DeltaTable:
        return DeltaTable(self._uri, storage_options=self._storage_options)


class DeltaSnapshot:
    """One handle: its version is what the log's conflict check runs from."""

    def __init__(self, table: DeltaTable, clock: Clock) -> None:
        self._table = table
        self._clock = clock

    def version_of(self, application: str) -> int:
        return self._table.transaction_version(application) or 0

    def last_entry(self, application: str) -> LogEntry | None:
        for limit in (_RECENT_COMMITS, None):
            for commit in logged_commits(self._table, limit):
                if application in commit.entries:
                    return commit.entries[application]
        return None

    def files(self, day: date) -> list[str]:
        folder = f"{PARTITION_KEY}={day.isoformat()}"
        uris = self._table.file_uris([(PARTITION_KEY, "=", day.isoformat())])
        return [f"{folder}/{uri.rpartition('/')[2]}" for uri in uris]

    @property
    def version(self) -> int:
        return self._table.version()

    def all_files(self) -> list[AddedFile]:
        return files_of(self._table)

    def history(self) -> Iterator[LoggedCommit]:
        return logged_commits(self._table)

    @property
    def remembers(self) -> timedelta:
        return _interval(self._table.metadata().configuration.get(_REMEMBERS, ""))

    def unneeded(self, retention: timedelta) -> set[str]:
        hours = round(retention / timedelta(hours=1))
        return set(self._table.vacuum(hours, dry_run=True, enforce_retention_duration=False))

    def commit(
        self, files: Sequence[AddedFile], entries: Mapping[str, LogEntry], *, replacing: date | None = None
    ) -> None:
        modified_at = int(self._clock.now().timestamp() * 1000)
        properties = CommitProperties(
            app_transactions=[Transaction(application, entry.n) for application, entry in entries.items()],
            custom_metadata={_BATCHES: msgspec.to_builtins(dict(entries))},
            # guarantee: a commit outlasts the lost races that Delta gives up after
            max_commit_retries=_COMMIT_RETRIES,
        )
        with _rejections_named(self._table, f"the commit of {sorted(entries)}"):
            self._table.create_write_transaction(
                [_add_action(file, modified_at) for file in files],
                mode="append" if replacing is None else "overwrite",
                schema=self._table.schema(),
                partition_by=[PARTITION_KEY],
                partition_filters=[(PARTITION_KEY, "=", replacing.isoformat())] if replacing else None,
                commit_properties=properties,
                # Delta's own cleaning lists the whole log after every commit; a keeper does it once in a while.
                # guarantee: a commit does not look through the whole log
                post_commithook_properties=PostCommitHookProperties(cleanup_expired_logs=False),
            )


def _interval(text: str) -> timedelta:
    """Of a property, as `interval 2 weeks`. What nobody can tell is Delta's default of a week."""
    match text.removeprefix("interval ").split():
        case [number, unit] if number.isdecimal() and unit.rstrip("s") in _UNITS:
            return int(number) * _UNITS[unit.rstrip("s")]
    return timedelta(weeks=1)


def missing_columns(schema: Schema) -> list[Field]:
    """The columns of ours that a table lacks. Raises `SchemaConflict` where one has another type there."""
    there = {column.name: column for column in schema.fields}
    conflicts = [
        f"{column.name} is {there[column.name].type} there and {column.type} here"
        for column in _OUR_SCHEMA.fields
        if column.name in there and there[column.name].type != column.type
    ]
    if conflicts:
        raise SchemaConflict(
            f"the lake's table has other types: {'; '.join(conflicts)}. fix: a column never changes its type; give the "
            "new meaning a new column, or run the release that this table was written with"
        )
    return [Field(column.name, column.type, nullable=True) for column in _OUR_SCHEMA.fields if column.name not in there]


@contextmanager
def _rejections_named(table: DeltaTable, what: str) -> Iterator[None]:
    try:
        yield
    except CommitFailedError as error:
        raise CommitRejected(f"{table.table_uri} rejected {what}: {error}") from error


def logged_commits(table: DeltaTable, limit: int | None = None) -> Iterator[LoggedCommit]:
    """What the log still tells of the commits up to this handle's version, the newest first.

    Of `limit` commits that the log has now: deltalake 1.6.3 lists what came since too, and numbers it as if the newest
    were the handle's version.
    """
    commits = table.history(limit)
    entries = [msgspec.convert(commit.get(_BATCHES, {}), dict[str, LogEntry]) for commit in commits]
    # guarantee: what a snapshot tells of its commits is no newer than its files
    since = _since(table, entries)
    for back, (commit, said) in enumerate(zip(commits[since:], entries[since:], strict=True)):
        yield LoggedCommit(table.version() - back, commit["operation"], said)


def _since(table: DeltaTable, entries: Sequence[Mapping[str, LogEntry]]) -> int:
    """How many of the newest commits came after the handle was loaded, by the transactions that it knows."""
    since = 0
    for index, said in enumerate(entries):
        if any(entry.n > (table.transaction_version(application) or 0) for application, entry in said.items()):
            since = index + 1
        elif said:
            break
    return since


def files_of(table: DeltaTable) -> list[AddedFile]:
    """Every file that a reader of this handle sees, as the log describes it."""
    actions = pa.table(table.get_add_actions(flatten=True)).select(_FILE_COLUMNS).to_pydict()
    return [AddedFile(*columns) for columns in zip(*actions.values(), strict=True)]


def _add_action(file: AddedFile, modified_at: int) -> AddAction:
    # Row counts only: with the smallest and largest of some columns, deltalake 1.6.3 tells pyarrow that all other
    # columns lie between null and null, and a filter on one of those finds nothing.
    stats: dict[str, Any] = {"numRecords": file.rows}
    return AddAction(
        path=file.path,
        size=file.size,
        partition_values={PARTITION_KEY: file.day.isoformat()},
        modification_time=modified_at,
        data_change=True,
        stats=json.dumps(stats),
    )
