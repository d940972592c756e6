"""Many small files of a day to few large ones, sorted, without the events that came twice.

A compaction is one commit that removes what its snapshot has of the day and adds the new files, under a transaction of
the day's own: of two at once the log takes one, and what others add meanwhile stays. Never `optimize.compact`, which
forgets the transactions and, in some versions, lets two of them double the rows.
"""

import io
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from analytics.archiving import DayCompacted
from analytics.files import ParquetFile, rows_of_orders, scratch, stored_rows
from analytics.maintenance.commit_once import ROUNDS, Change, NoChange, Uploads, commit_once
from analytics.table import (
    COMPACTIONS,
    EVENT_SCHEMA,
    IDENTITY,
    PLACE,
    STREAM_ORDER,
    AddedFile,
    CommitLog,
    LogEntry,
    Snapshot,
    compacted_file,
    compaction,
    is_compacted,
)
from foundation.bucket import Bucket
from foundation.clock import Clock
from foundation.diagnostics import Emit
from foundation.ids import NewId, random_id

_DAY = timedelta(days=1)
_KEYS = EVENT_SCHEMA.empty_table().select([*IDENTITY, "_arrived_at", *PLACE]).schema


class RowsLost(Exception):
    """The files made have not the rows that they should have. Nothing was committed."""


@dataclass(frozen=True)
class CompactionPolicy:
    """A day is sealed when `lateness` has passed since its end; before that, more than `small_files` make it due.

    `file_size` is bytes of Parquet, a lower bound by one row group; `row_group` is rows.
    """

    lateness: timedelta = timedelta(hours=6)
    small_files: int = 200
    file_size: int = 128 * 1024 * 1024
    row_group: int = 131_072

    def is_due(self, day: date, small_files: int, now: datetime) -> bool:
        """A clock that is wrong makes a day due too early or too late, which costs a compaction and no row."""
        if small_files == 0:
            return False
        sealed = now - datetime.combine(day, time.min, UTC) >= _DAY + self.lateness
        return sealed or small_files > self.small_files


@dataclass(frozen=True)
class CompactedDay:
    """What a compaction made of a day. `dropped` are the rows of events that are there once more."""

    day: date
    files_before: int
    files_after: int
    rows_before: int
    rows_after: int
    size_before: int
    size_after: int
    dropped: int


_Outcome = tuple[CompactedDay | None, set[date]]


class Compactor:
    """Compacts days, beside archivers, late rows, backfills and other compactors.

    Where another compactor was faster, `run` looks again. Whatever S3 answers, nothing changed, or all of it, and the
    next attempt begins afresh. In memory are one file that is read and one that is written, beside what the database
    may have.
    """

    def __init__(
        self,
        bucket: Bucket,
        log: CommitLog,
        policy: CompactionPolicy,
        clock: Clock,
        emit: Emit,
        *,
        new_id: NewId = random_id,
    ) -> None:
        self._bucket = bucket
        self._log = log
        self._policy = policy
        self._clock = clock
        self._emit = emit
        self._new_id = new_id

    def due(self) -> list[date]:
        """The days to compact, the earliest first."""
        small = Counter(file.day for file in self._log.snapshot().all_files() if not is_compacted(file.path))
        now = self._clock.now()
        return sorted(day for day, count in small.items() if self._policy.is_due(day, count, now))

    def run(self, days: Iterable[date]) -> Iterator[CompactedDay]:
        """Compacts each of the days, and before it the compacted ones that have a later copy of one of its events."""
        for day in dict.fromkeys(days):
            compacted, before = self.compact(day, rounds=ROUNDS)
            for other in sorted(before):
                again, _ = self.compact(other, beside=day, rounds=ROUNDS)
                if again is not None:
                    yield again
            if before:
                compacted, _ = self.compact(day, rounds=ROUNDS)
            if compacted is not None:
                yield compacted

    def compact(self, day: date, *, beside: date | None = None, rounds: int = 1) -> _Outcome:
        """What became of the day, None when it was as it should be, or has to wait for those of the other days told.

        Those are compacted, and have a later copy of an event that this day keeps: they go first, with this one given
        as `beside`, so that no event is in two compacted files at any moment. Other days are read here, and never
        written. Raises `CommitRejected` when another compactor was faster in each of the rounds.
        """
        compacted, doubled = commit_once(
            self._log, lambda snapshot: self._change(snapshot, day, beside), compaction(day), rounds=rounds
        )
        if compacted is not None:
            self._emit(
                DayCompacted(
                    day, compacted.files_before, compacted.files_after, compacted.rows_after, compacted.dropped
                )
            )
        return compacted, doubled

    def _change(self, snapshot: Snapshot, day: date, beside: date | None) -> Change[_Outcome] | NoChange[_Outcome]:
        """Files in the place of those that the snapshot has of the day: newer ones stay."""
        files = [file for file in snapshot.all_files() if file.day == day]
        if not files:
            return NoChange((None, set()))
        application, batch_id = compaction(day), self._new_id()
        generation = snapshot.version_of(application) + 1
        with scratch() as database:
            self._load(database, snapshot, day, files, beside)
            dropped, doubled = _duplicates(database, day)
            doubled -= {beside}
            # guarantee: no event is in two compacted files
            if doubled:
                return NoChange((None, doubled))
            if not dropped and all(is_compacted(file.path) for file in files):
                return NoChange((None, doubled))
            uploads = Uploads(self._bucket, self._clock)
            self._write(database, day, batch_id, generation, uploads)
        made = uploads.files
        before, after = sum(file.rows for file in files), sum(file.rows for file in made)
        if before != after + dropped:
            raise RowsLost(
                f"{day}: {before} rows would become {after}, with {dropped} duplicates. fix: `takeaway lake verify`: "
                "a row that is there twice, or a fault of this program; nothing was changed"
            )
        compacted = CompactedDay(
            day=day,
            files_before=len(files),
            files_after=len(made),
            rows_before=before,
            rows_after=after,
            size_before=sum(file.size for file in files),
            size_after=sum(file.size for file in made),
            dropped=dropped,
        )
        entry = LogEntry(n=generation, epoch=0, batch_id=batch_id, hi=None, rows=after, dropped=dropped)
        turn = LogEntry(n=snapshot.version_of(COMPACTIONS) + 1, epoch=0, batch_id=batch_id, hi=None, rows=0)
        # guarantee: of two compactions at once, of whatever days, the log takes one
        entries = {application: entry, COMPACTIONS: turn}
        return Change((compacted, doubled), uploads, entries, replacing=day)

    def _load(
        self,
        database: duckdb.DuckDBPyConnection,
        snapshot: Snapshot,
        day: date,
        files: Iterable[AddedFile],
        beside: date | None,
    ) -> None:
        """The table `day` with its rows, and `keys` with these and the copies of their events elsewhere.

        Elsewhere is where compactions have been: what is fresh will look here when its own turn comes.
        """
        orders = set[str | None]()
        for file in files:
            rows = stored_rows(self._bucket, file, EVENT_SCHEMA, whole=True)
            _insert(database, "day", rows)
            _insert(database, "keys", _keys(rows, file.day))
            orders.update(pc.unique(rows.column("order_id")).to_pylist())
        wanted = pa.array(orders, pa.string())
        for file in snapshot.all_files():
            if file.day != day and (is_compacted(file.path) or file.day == beside):
                _insert(database, "keys", _keys(rows_of_orders(self._bucket, file, _KEYS, wanted), file.day))

    def _write(
        self, database: duckdb.DuckDBPyConnection, day: date, batch_id: str, generation: int, uploads: Uploads
    ) -> None:
        footer = {"compacted": day.isoformat(), "batch_id": batch_id, "n": str(generation)}
        rows = database.sql(
            f"SELECT day.* FROM day ANTI JOIN dropped USING ({', '.join(PLACE)}) "  # noqa: S608 - names of ours
            f"ORDER BY order_id, occurred_at, event_id, {STREAM_ORDER}"
        ).to_arrow_reader(self._policy.row_group)
        groups = _whole_groups(rows, self._policy.row_group)
        index, group = 0, next(groups, None)
        while group is not None:
            out, count = io.BytesIO(), 0
            with ParquetFile(EVENT_SCHEMA, footer, out) as file:
                while group is not None and not (count and out.tell() >= self._policy.file_size):
                    file.write(group.cast(EVENT_SCHEMA), row_group=self._policy.row_group)
                    count += group.num_rows
                    group = next(groups, None)
            uploads.add(compacted_file(day, batch_id, index), day, count, out.getvalue())
            index += 1


def _keys(rows: pa.Table, day: date) -> pa.Table:
    days = pa.nulls(rows.num_rows, pa.date32()).fill_null(day)
    return rows.select(_KEYS.names).append_column("event_date", days)


def _insert(database: duckdb.DuckDBPyConnection, name: str, rows: pa.Table) -> None:
    database.register("incoming", rows)
    database.execute(f"CREATE TABLE IF NOT EXISTS {name} AS FROM incoming LIMIT 0")
    database.execute(f"INSERT INTO {name} FROM incoming")
    database.unregister("incoming")


def _duplicates(database: duckdb.DuckDBPyConnection, day: date) -> tuple[int, set[date]]:
    """Makes the table `dropped`: the day's rows of events that came before. How many, and the days of later copies."""
    event = ", ".join(IDENTITY)
    database.execute(
        "CREATE TABLE ranked AS SELECT *, "  # noqa: S608 - names of ours
        f"row_number() OVER (PARTITION BY {event} ORDER BY {STREAM_ORDER}) AS place, "
        f"bool_or(event_date = ?) OVER (PARTITION BY {event}) AS of_day "
        f"FROM keys SEMI JOIN (SELECT {event} FROM keys GROUP BY {event} HAVING count(*) > 1) USING ({event})",
        [day],
    )
    database.execute("CREATE TABLE dropped AS FROM ranked WHERE place > 1 AND event_date = ?", [day])
    dropped = database.execute("SELECT count(*) FROM dropped").fetchall()[0][0]
    others = database.execute(
        "SELECT DISTINCT event_date FROM ranked WHERE place > 1 AND of_day AND event_date <> ?", [day]
    ).fetchall()
    return dropped, {other for (other,) in others}


def _whole_groups(batches: Iterable[pa.RecordBatch], rows: int) -> Iterator[pa.Table]:
    """Tables of exactly so many rows, and at last the rest."""
    waiting: list[pa.RecordBatch] = []
    count = 0
    for batch in batches:
        waiting.append(batch)
        count += batch.num_rows
        while count >= rows:
            whole = pa.Table.from_batches(waiting)
            yield whole.slice(0, rows)
            waiting = whole.slice(rows).to_batches()
            count -= rows
    if count:
        yield pa.Table.from_batches(waiting)
