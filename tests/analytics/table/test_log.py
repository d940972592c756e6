"""What the protocol relies on in a commit log: one suite for the log in memory and for Delta on disk."""

from datetime import date, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable

from analytics.table.log import (
    AddedFile,
    CommitLog,
    CommitRejected,
    DeltaLog,
    LogEntry,
    LoggedCommit,
    SchemaConflict,
)
from analytics.table.schema import EVENT_SCHEMA, PARTITION_COLUMN
from foundation.kinesis.records import SequenceNumber
from tests.support.fakes.clock import FakeClock
from tests.support.fakes.commit_log import MemoryLog
from tests.support.worlds.lake_world import rows

A, B = "archive/orders/shard-a", "archive/orders/shard-b"


@pytest.fixture(params=["memory", "delta"])
def log(request: pytest.FixtureRequest, tmp_path: Path) -> CommitLog:
    return MemoryLog() if request.param == "memory" else DeltaLog(str(tmp_path / "events"), {}, FakeClock().clock)


def entry(n: int, batch_id: str | None = "batch") -> LogEntry:
    return LogEntry(n=n, epoch=1, batch_id=batch_id, hi=SequenceNumber(str(n), 2))


def test_a_new_application_has_version_zero_and_no_entry(log: CommitLog) -> None:
    snapshot = log.snapshot()
    assert snapshot.version_of(A) == 0
    assert snapshot.last_entry(A) is None


def test_a_commit_is_seen_by_the_next_snapshot_with_all_it_says(log: CommitLog) -> None:
    log.snapshot().commit((), {A: entry(1, "first"), B: entry(7, None)})
    snapshot = log.snapshot()
    assert (snapshot.version_of(A), snapshot.last_entry(A)) == (1, entry(1, "first"))
    assert (snapshot.version_of(B), snapshot.last_entry(B)) == (7, entry(7, None))


def test_a_snapshot_does_not_see_what_came_after_it(log: CommitLog) -> None:
    snapshot = log.snapshot()
    log.snapshot().commit((), {A: entry(1)})
    assert snapshot.version_of(A) == 0
    assert snapshot.last_entry(A) is None


def test_what_a_snapshot_tells_of_the_log_is_no_newer_than_its_files(log: CommitLog) -> None:
    log.snapshot().commit((), {A: entry(1)})
    snapshot = log.snapshot()
    told = list(snapshot.history())
    for n in (2, 3):
        log.snapshot().commit((), {A: entry(n)})
        log.snapshot().commit((), {B: entry(n)})
    assert list(snapshot.history()) == told
    assert [commit.version for commit in told] == [1, 0]
    assert snapshot.last_entry(A) == entry(1)
    assert snapshot.last_entry(B) is None


def test_a_stale_snapshot_cannot_commit_for_the_same_application(log: CommitLog) -> None:
    stale = log.snapshot()
    log.snapshot().commit((), {A: entry(2, None)})
    with pytest.raises(CommitRejected):
        stale.commit((AddedFile("event_date=2026-03-14/a.parquet", 1, date(2026, 3, 14), 1),), {A: entry(1)})
    assert log.snapshot().version_of(A) == 2


def test_one_stale_application_takes_the_whole_group_down(log: CommitLog) -> None:
    stale = log.snapshot()
    log.snapshot().commit((), {A: entry(1)})
    with pytest.raises(CommitRejected):
        stale.commit((), {A: entry(1), B: entry(1)})
    assert log.snapshot().version_of(B) == 0


@pytest.mark.slow
def test_a_stale_snapshot_is_rebased_over_other_applications(log: CommitLog) -> None:
    stale = log.snapshot()
    for n in range(1, 4):
        log.snapshot().commit((), {B: entry(n)})
    stale.commit((), {A: entry(1)})
    assert log.snapshot().version_of(A) == 1
    assert log.snapshot().version_of(B) == 3


def test_nobody_checks_that_numbers_rise(log: CommitLog) -> None:
    """Which is why the writer has to; should Delta begin to, the check before the commit could go."""
    log.snapshot().commit((), {A: entry(5)})
    log.snapshot().commit((), {A: entry(3, "lower")})
    assert log.snapshot().version_of(A) == 3
    assert log.snapshot().last_entry(A) == entry(3, "lower")


@pytest.mark.slow
def test_the_last_entry_is_found_behind_many_commits_of_others(log: CommitLog) -> None:
    log.snapshot().commit((), {A: entry(1, "long ago")})
    for n in range(1, 121):  # more than two checkpoints of Delta, and more than it looks at in its first try
        log.snapshot().commit((), {B: entry(n)})
    assert log.snapshot().last_entry(A) == entry(1, "long ago")
    assert log.snapshot().version_of(A) == 1


@pytest.mark.slow
def test_a_stale_snapshot_is_rejected_across_a_checkpoint_too(log: CommitLog) -> None:
    stale = log.snapshot()
    log.snapshot().commit((), {A: entry(1)})
    for n in range(1, 60):
        log.snapshot().commit((), {B: entry(n)})
    with pytest.raises(CommitRejected):
        stale.commit((), {A: entry(1)})


def test_two_who_create_the_table_find_the_same_one(tmp_path: Path) -> None:
    logs = [DeltaLog(str(tmp_path / "events"), {}, FakeClock().clock) for _ in range(2)]
    logs[0].snapshot().commit((), {A: entry(1)})
    assert logs[1].snapshot().version_of(A) == 1


def test_a_day_has_the_files_that_a_reader_sees(log: CommitLog) -> None:
    stale = log.snapshot()
    pi_day = AddedFile("event_date=2026-03-14/a.parquet", 1, date(2026, 3, 14), 1)
    next_day = AddedFile("event_date=2026-03-15/b.parquet", 1, date(2026, 3, 15), 1)
    log.snapshot().commit((pi_day, next_day), {A: entry(1)})
    assert log.snapshot().files(date(2026, 3, 14)) == [pi_day.path]
    assert log.snapshot().files(date(2026, 3, 16)) == []
    assert stale.files(date(2026, 3, 14)) == []


DAY = date(2026, 3, 14)


def a_file(name: str, day: date = DAY) -> AddedFile:
    return AddedFile(f"event_date={day}/{name}.parquet", 7, day, 3)


@pytest.mark.slow
def test_a_replacement_removes_the_days_files_of_its_own_snapshot_only(log: CommitLog) -> None:
    elsewhere = a_file("elsewhere", date(2026, 3, 15))
    log.snapshot().commit((a_file("one"), a_file("two"), elsewhere), {A: entry(1)})
    snapshot = log.snapshot()
    log.snapshot().commit((a_file("meanwhile"),), {A: entry(2)})
    snapshot.commit((a_file("all"),), {"compact": entry(1)}, replacing=DAY)
    replaced = log.snapshot()
    assert set(replaced.all_files()) == {a_file("meanwhile"), a_file("all"), elsewhere}
    assert replaced.unneeded(timedelta(0)) == {a_file("one").path, a_file("two").path}
    assert replaced.unneeded(timedelta(hours=1)) == set()


def test_a_replacement_may_leave_nothing(log: CommitLog) -> None:
    log.snapshot().commit((a_file("one"),), {A: entry(1)})
    log.snapshot().commit((), {"compact": entry(1)}, replacing=DAY)
    assert log.snapshot().all_files() == []


def test_of_two_replacements_one_is_rejected(log: CommitLog) -> None:
    log.snapshot().commit((a_file("one"),), {A: entry(1)})
    snapshots = [log.snapshot(), log.snapshot()]
    snapshots[0].commit((a_file("all"),), {"compact": entry(1)}, replacing=DAY)
    with pytest.raises(CommitRejected):
        snapshots[1].commit((a_file("all too"),), {"compact": entry(1)}, replacing=DAY)
    assert log.snapshot().all_files() == [a_file("all")]


def test_who_adds_from_before_a_replacement_is_rejected_for_certain(log: CommitLog) -> None:
    """It tries again, from a new snapshot: nothing is lost, and a few milliseconds' window makes it rare."""
    log.snapshot().commit((a_file("one"),), {A: entry(1)})
    stale = log.snapshot()
    log.snapshot().commit((a_file("all"),), {"compact": entry(1)}, replacing=DAY)
    with pytest.raises(CommitRejected):
        stale.commit((a_file("two"),), {A: entry(2)})
    log.snapshot().commit((a_file("two"),), {A: entry(2)})
    assert set(log.snapshot().all_files()) == {a_file("all"), a_file("two")}


def test_the_history_tells_every_commit_with_its_entries(log: CommitLog) -> None:
    log.snapshot().commit((), {A: entry(1)})
    log.snapshot().commit((), {B: entry(1), A: entry(2)})
    assert list(log.snapshot().history()) == [
        LoggedCommit(2, "WRITE", {B: entry(1), A: entry(2)}),
        LoggedCommit(1, "WRITE", {A: entry(1)}),
        LoggedCommit(0, "CREATE TABLE"),
    ]
    assert log.snapshot().version == 2


class OlderLake:
    """A table as a release without some of today's columns made it, with one file of two rows."""

    def __init__(self, folder: Path, *lacking: str, **types: pa.DataType) -> None:
        fields = [field for field in EVENT_SCHEMA if field.name not in lacking]
        self.schema = pa.schema([pa.field(one.name, types.get(one.name, one.type), one.nullable) for one in fields])
        self.uri = str(folder / "events")
        self.log = DeltaLog(self.uri, {}, FakeClock().clock)
        whole: pa.Schema = pa.schema([*self.schema, PARTITION_COLUMN])
        DeltaTable.create(self.uri, whole, partition_by=["event_date"])

    def add(self, schema: pa.Schema, name: str) -> None:
        written = rows(1, 2).select(schema.names).cast(schema)
        path = Path(self.uri) / "event_date=2026-03-14" / name
        path.parent.mkdir(exist_ok=True)
        pq.write_table(written, path)
        added = AddedFile(f"event_date=2026-03-14/{name}", path.stat().st_size, date(2026, 3, 14), 2)
        DeltaLog(self.uri, {}, FakeClock().clock).snapshot().commit([added], {A: entry(1)})


@pytest.mark.slow
def test_a_table_that_lacks_columns_gets_them_and_older_files_read_as_null(tmp_path: Path) -> None:
    older = OlderLake(tmp_path, "_extra", "customer_name_token", "reason")
    older.add(older.schema, "older.parquet")
    older.add(EVENT_SCHEMA, "newer.parquet")
    read = DeltaTable(older.uri).to_pyarrow_table(columns=["_extra", "reason", "event_id", "customer_name_token"])
    assert read.column("event_id").null_count == 0
    assert read.column("customer_name_token").null_count == 2
    assert (read.num_rows, read.column("_extra").null_count, read.column("reason").null_count) == (4, 4, 4)
    version = DeltaTable(older.uri).version()
    older.log.snapshot()
    assert DeltaTable(older.uri).version() == version


@pytest.mark.slow
def test_columns_of_a_newer_release_are_left_alone(tmp_path: Path) -> None:
    older = OlderLake(tmp_path)
    newer = pa.schema([*EVENT_SCHEMA, pa.field("tip", pa.int64())])
    DeltaTable(older.uri).alter.add_columns(DeltaTable.create(str(tmp_path / "x"), newer).schema().fields[-1])
    older.add(EVENT_SCHEMA, "ours.parquet")
    assert DeltaTable(older.uri).to_pyarrow_table(columns=["tip"]).column("tip").to_pylist() == [None, None]


def test_a_column_of_another_type_is_refused_and_named(tmp_path: Path) -> None:
    older = OlderLake(tmp_path, "_extra", total=pa.string())
    with pytest.raises(SchemaConflict, match=r"total is .*string.* there and .*long.* here.* fix: "):
        older.log.snapshot()
    assert "_extra" not in DeltaTable(older.uri).schema().to_arrow().names


def test_two_who_add_the_columns_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    older = OlderLake(tmp_path, "_extra")
    load, loaded = DeltaLog._load, []

    def overtaken(log: DeltaLog) -> DeltaTable:
        table = load(log)
        loaded.append(table)
        if len(loaded) == 1:
            DeltaLog(older.uri, {}, FakeClock().clock).snapshot()
        return table

    monkeypatch.setattr(DeltaLog, "_load", overtaken)
    with pytest.raises(CommitRejected, match="adding the columns"):
        older.log.snapshot()
    older.log.snapshot().commit((), {A: entry(1)})
    names = DeltaTable(older.uri).schema().to_arrow().names
    assert names.count("_extra") == 1
