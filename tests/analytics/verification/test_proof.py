"""Verification finds every way in which a lake can be wrong, by name, and nothing in one that is right."""

import json
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable

from analytics.archiving.sink import LakeSink
from analytics.table.layout import DATA_PREFIX, ShardPaths, object_key
from analytics.table.log import AddedFile, CommitLog, DeltaLog, LogEntry
from analytics.verification.findings import Kind
from analytics.verification.proof import Verified, verify
from analytics.verification.rows import MOST_NAMED, StreamRecord
from events.wire import decode, encode
from foundation.bucket import Bucket
from foundation.kinesis.records import SequenceNumber
from tests.support.builders import NOON, an_envelope
from tests.support.fakes.bucket import Gate
from tests.support.fakes.clock import FakeClock
from tests.support.fakes.commit_log import MemoryLog, MemorySnapshot
from tests.support.worlds.kept_lake import DAY, append, compactor, doubled
from tests.support.worlds.lake_world import KEYS, NEVER, OTHER_SHARD, SHARD, STREAM, Crash, World, feed, rows

pytestmark = pytest.mark.slow

PATHS = ShardPaths(STREAM, SHARD)


def sound_world() -> World:
    """Two shards: one of three batches, of which one has rows of two days, the other of one."""
    world = World()
    sink = world.sink()
    shard, other = sink.open(SHARD), sink.open(OTHER_SHARD)
    feed(shard, [1, 2, 3])
    other.append(rows(1, 2, shard_id=OTHER_SHARD), after=None, upto=SequenceNumber("2"))
    shard.flush()
    tomorrow = rows(5, occurred_at=NOON + timedelta(days=1))
    shard.append(pa.concat_tables([rows(4), tomorrow]), after=SequenceNumber("3"), upto=SequenceNumber("5"))
    shard.flush()
    feed(shard, [6, 7])
    shard.flush()
    return world


@pytest.fixture
def world() -> World:
    return sound_world()


def verified(world: World, stream: Iterable[StreamRecord] | None = None) -> Verified:
    return verify(Bucket(world.bucket.client, world.bucket.name), world.log, stream)


def kinds(verified: Verified) -> set[Kind]:
    for finding in verified.findings:
        assert finding.what
        assert finding.fix
    return {finding.kind for finding in verified.findings}


def test_a_sound_lake_has_no_findings_and_is_told_in_numbers(world: World) -> None:
    found = verified(world)
    assert found.findings == ()
    assert found.ok
    assert found.counts == {
        "files": 5, "rows": 9, "bytes": sum(map(len, world.bucket.objects.values())) - offsets_bytes(world), "days": 2,
        "shards": 2, "commits": 3, "duplicates_removed": 0,
    }  # fmt: skip


def offsets_bytes(world: World) -> int:
    return sum(len(body) for key, body in world.bucket.objects.items() if "_offsets" in key)


def test_an_empty_lake_is_sound() -> None:
    assert verified(World()).ok


def test_a_compacted_lake_is_sound_and_its_duplicates_are_accounted_for(world: World) -> None:
    append(world, doubled(rows(1, 2), (1, 2), arrived=NOON + timedelta(hours=1), shard_id="backfill/x"))
    list(compactor(world).run([DAY]))
    found = verified(world)
    assert found.findings == ()
    assert found.counts["duplicates_removed"] == 2
    list(compactor(world).run([DAY + timedelta(days=1)]))
    assert verified(world).ok


def die() -> None:
    raise Crash


@pytest.mark.parametrize("applied", [False, True])
@pytest.mark.parametrize("at", range(1, 9))
def test_what_a_crash_leaves_behind_is_no_finding(world: World, at: int, applied: bool) -> None:
    """A batch under way, files that never became visible, a fence: before somebody opens the shard, and after."""

    def life(gate: Gate) -> None:
        shard = world.sink(gate).open(SHARD)
        feed(shard, [8, 9])
        shard.flush()

    with pytest.raises(Crash):
        life(Gate(at, die, applied=applied))
    assert verified(world).findings == ()
    world.sink().open(SHARD)
    assert verified(world).findings == ()
    life(Gate())
    found = verified(world, retained(*range(1, 10)))
    assert found.findings == ()
    assert found.counts["retained_in_the_lake"] == 9


def a_file_of(world: World, day_offset: int = 0, shard_id: str = SHARD) -> str:
    """The key of the first batch's file."""
    paths = ShardPaths(STREAM, shard_id)
    return next(
        object_key(file.path)
        for file in world.log.snapshot().all_files()
        if paths.batch_number(file.path) and file.day == DAY + timedelta(days=day_offset)
    )


def remove_an_object(world: World) -> None:
    del world.bucket.objects[a_file_of(world)]


def tear_an_object(world: World) -> None:
    key = a_file_of(world)
    world.bucket.objects[key] = world.bucket.objects[key][:-100]


def scribble_over_an_object(world: World) -> None:
    key = a_file_of(world)
    world.bucket.objects[key] = b"PAR1" + bytes(len(world.bucket.objects[key]) - 8) + b"PAR1"


def swap_an_object(world: World) -> None:
    """Another batch's file under this one's name, and a log that was made to fit."""
    key, other = a_file_of(world), a_file_of(world, shard_id=OTHER_SHARD)
    world.bucket.objects[key] = world.bucket.objects[other]
    resized(world, key, rows=2)


def resized(world: World, key: str, *, rows: int) -> None:
    """The log is made to tell the size that the object has by now."""
    for index, commit in enumerate(world.log.commits):
        files = tuple(
            replace(file, size=len(world.bucket.objects[key]), rows=rows) if object_key(file.path) == key else file
            for file in commit.files
        )
        world.log.commits[index] = replace(commit, files=files)


def put_a_foreign_object(world: World) -> None:
    world.bucket.objects[f"{DATA_PREFIX}{DAY}/part-0001.snappy.parquet"] = b"foreign"


def commit_a_foreign_file(world: World) -> None:
    body = world.bucket.objects[a_file_of(world, shard_id=OTHER_SHARD)]
    path = f"event_date={DAY}/part-0001.parquet"
    world.bucket.objects[object_key(path)] = body
    world.log.snapshot().commit((AddedFile(path, len(body), DAY, 2),), {})


def double_a_row(world: World) -> None:
    append(world, rows(2))


def rewritten(world: World, key: str, change: Callable[[pa.Table], pa.Table]) -> None:
    """Somebody changed rows in place, and the log to fit."""
    table = pq.read_table(pa.BufferReader(world.bucket.objects[key]))
    changed, out = change(table), pa.BufferOutputStream()
    pq.write_table(changed, out)
    world.bucket.objects[key] = out.getvalue().to_pybytes()
    resized(world, key, rows=changed.num_rows)


def delete_a_row(world: World) -> None:
    rewritten(world, a_file_of(world), lambda table: table.slice(1))


def delete_a_row_and_leave_the_log(world: World) -> None:
    key = a_file_of(world)
    size = len(world.bucket.objects[key])
    rewritten(world, key, lambda table: table.slice(1))
    world.bucket.objects[key] = world.bucket.objects[key].ljust(size, b"\0")
    resized(world, key, rows=3)


def move_a_row_to_another_day(world: World) -> None:
    days = pa.array([NOON + timedelta(days=3)] * 3, pa.timestamp("us", "UTC"))
    rewritten(
        world,
        a_file_of(world),
        lambda table: table.set_column(
            table.schema.get_field_index("occurred_at"), table.schema.field("occurred_at"), days
        ),
    )


def give_a_row_another_place(world: World) -> None:
    numbers = pa.array(["1", "2", "4444"], pa.string())
    rewritten(
        world,
        a_file_of(world),
        lambda table: table.set_column(
            table.schema.get_field_index("_sequence_number"), table.schema.field("_sequence_number"), numbers
        ),
    )


def bring_a_row_that_no_batch_covers(world: World) -> None:
    append(world, rows(100))


def truncate_the_log(world: World) -> None:
    del world.log.commits[1:]


def truncate_the_log_and_lose_the_offsets(world: World) -> None:
    del world.log.commits[1:]
    lose_the_offsets(world)


def lose_the_offsets(world: World) -> None:
    del world.bucket.objects[PATHS.offsets_key]


def scribble_over_the_offsets(world: World) -> None:
    world.bucket.objects[PATHS.offsets_key] = b"{"


def restore_older_offsets(world: World) -> None:
    """As of before the last two batches."""
    key = PATHS.offsets_key
    younger = World()
    shard = younger.sink().open(SHARD)
    feed(shard, [1])
    shard.flush()
    world.bucket.objects[key] = younger.bucket.objects[key]


def put_another_batch_in_the_pending_ones_place(world: World) -> None:
    shard = world.sink().open(SHARD)
    shard.holder.intend(SequenceNumber("8"), (), 1)
    world.log.snapshot().commit(
        (), {PATHS.application: LogEntry(n=4, epoch=9, batch_id="x", hi=SequenceNumber("8"), rows=0)}
    )


def skip_a_batch(world: World) -> None:
    world.log.snapshot().commit(
        (), {PATHS.application: LogEntry(n=9, epoch=9, batch_id="x", hi=SequenceNumber("8"), rows=0)}
    )


def go_back(world: World) -> None:
    world.log.snapshot().commit(
        (), {PATHS.application: LogEntry(n=4, epoch=9, batch_id="x", hi=SequenceNumber("2"), rows=0)}
    )


def skip_a_range(world: World) -> None:
    """The log is made to say that the first batch ended earlier than the second begins."""
    first = world.log.commits[0]
    entry = first.entries[PATHS.application]
    first.entries[PATHS.application] = LogEntry(
        n=entry.n, epoch=entry.epoch, batch_id=entry.batch_id, hi=SequenceNumber("2"), rows=entry.rows
    )


@pytest.mark.parametrize(
    ("tamper", "expected"),
    [
        (remove_an_object, {Kind.MISSING_OBJECT}),
        (tear_an_object, {Kind.TORN_OBJECT}),
        (scribble_over_an_object, {Kind.TORN_OBJECT}),
        (swap_an_object, {Kind.FOREIGN_FOOTER, Kind.DOUBLED_ROW, Kind.ROWS_UNACCOUNTED}),
        (put_a_foreign_object, {Kind.FOREIGN_OBJECT}),
        (commit_a_foreign_file, {Kind.FOREIGN_COMMIT, Kind.FOREIGN_FILE, Kind.DOUBLED_ROW, Kind.ROWS_UNACCOUNTED}),
        (double_a_row, {Kind.DOUBLED_ROW}),
        (delete_a_row, {Kind.ROWS_UNACCOUNTED}),
        (delete_a_row_and_leave_the_log, {Kind.TORN_OBJECT}),
        (move_a_row_to_another_day, {Kind.MISPLACED_ROW}),
        (give_a_row_another_place, {Kind.ROW_OUT_OF_RANGE, Kind.ROW_AHEAD_OF_LOG}),
        (bring_a_row_that_no_batch_covers, {Kind.ROW_AHEAD_OF_LOG}),
        (truncate_the_log, {Kind.OFFSETS_AHEAD_OF_LOG, Kind.FILES_AHEAD_OF_LOG}),
        (truncate_the_log_and_lose_the_offsets, {Kind.OFFSETS_LOST, Kind.FILES_AHEAD_OF_LOG}),
        (lose_the_offsets, {Kind.OFFSETS_LOST}),
        (scribble_over_the_offsets, {Kind.OFFSETS_UNREADABLE}),
        (restore_older_offsets, {Kind.OFFSETS_BEHIND_LOG}),
        (put_another_batch_in_the_pending_ones_place, {Kind.OFFSETS_DISAGREE}),
        (skip_a_batch, {Kind.OFFSETS_BEHIND_LOG, Kind.GAP_IN_RANGES}),
        (go_back, {Kind.OFFSETS_BEHIND_LOG, Kind.GAP_IN_RANGES, Kind.ROW_AHEAD_OF_LOG}),
        (skip_a_range, {Kind.FOREIGN_FOOTER, Kind.GAP_IN_RANGES}),
    ],
)
def test_what_was_tampered_with_is_found_by_name(
    world: World, tamper: Callable[[World], None], expected: set[Kind]
) -> None:
    tamper(world)
    assert kinds(verified(world)) == expected


def retained(*numbers: int) -> list[StreamRecord]:
    return [
        StreamRecord(
            SHARD, SequenceNumber(str(number)), encode(an_envelope(order_id=f"order-of-{SHARD}", cause=f"key-{number}"))
        )
        for number in numbers
    ]


def test_each_retained_record_is_a_row_or_still_to_come(world: World) -> None:
    found = verified(world, retained(1, 2, 3, 4, 5, 6, 7, 8, 9))
    assert found.findings == ()
    assert (found.counts["retained"], found.counts["retained_in_the_lake"]) == (9, 7)
    assert found.counts["retained_waiting"] == 2


def test_a_record_that_the_lake_has_passed_and_lacks_is_missing(world: World) -> None:
    first = world.sink().open(SHARD)
    first.append(rows(8, 10), after=SequenceNumber("7"), upto=SequenceNumber("10"))
    first.flush()
    found = verified(world, retained(7, 8, 9, 10))
    assert kinds(found) == {Kind.MISSING_RECORD}
    (finding,) = found.findings
    assert finding.what.startswith(f"{SHARD} 9.0: event ")


def test_a_row_that_the_stream_does_not_know_is_told(world: World) -> None:
    assert kinds(verified(world, retained(1, 2, 3, 4, 6, 7))) == {Kind.UNKNOWN_ROW}
    assert verified(world, retained(4, 5, 6, 7)).ok, "what the stream has trimmed proves nothing"


def test_duplicates_that_were_removed_and_records_set_apart_are_not_missing(world: World) -> None:
    shard = world.sink().open(SHARD)
    shard.append(rows(8).slice(1), after=SequenceNumber("7"), upto=SequenceNumber("20"))
    shard.flush()
    again = replace(retained(3)[0], place=SequenceNumber("11"))
    apart = StreamRecord(SHARD, SequenceNumber("12"), b"no event", set_apart=True)
    found = verified(world, [*retained(1, 2, 3, 4, 5, 6, 7), again, apart])
    assert found.findings == ()
    assert (found.counts["retained_duplicate"], found.counts["retained_set_apart"]) == (1, 1)
    lost = replace(apart, set_apart=False)
    assert kinds(verified(world, [*retained(1, 2, 3, 4, 5, 6, 7), again, lost])) == {Kind.MISSING_RECORD}


def test_another_orders_event_of_the_same_id_is_no_duplicate(world: World) -> None:
    lost = retained(3)[0]
    other = decode(lost.data)
    data = encode(msgspec.structs.replace(other, order_id="another-order"))
    shard = world.sink().open(SHARD)
    shard.append(rows(8).slice(1), after=SequenceNumber("7"), upto=SequenceNumber("20"))
    shard.flush()
    found = verified(world, [*retained(1, 2, 3, 4, 5, 6, 7), replace(lost, place=SequenceNumber("11"), data=data)])
    assert kinds(found) == {Kind.MISSING_RECORD}


def test_a_lake_that_is_wrong_all_over_is_told_briefly(world: World) -> None:
    shard = world.sink().open(SHARD)
    shard.append(rows(500), after=SequenceNumber("7"), upto=SequenceNumber("500"))
    shard.flush()
    found = verified(world, retained(*range(1, 501)))
    assert len(found.findings) == MOST_NAMED + 1


def test_an_archiver_that_commits_meanwhile_is_no_finding(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between the look at the offsets and the one at the log."""
    shard, load = world.sink().open(SHARD), MemoryLog.snapshot

    def after_others_have_committed(log: MemoryLog) -> MemorySnapshot:
        monkeypatch.setattr(MemoryLog, "snapshot", load)
        for number in (8, 9, 10):
            feed(shard, [number])
            shard.flush()
        return log.snapshot()

    monkeypatch.setattr(MemoryLog, "snapshot", after_others_have_committed)
    assert verified(world).ok


class OnDisk:
    """A lake whose log is Delta's own."""

    def __init__(self, folder: Path) -> None:
        self.world = World()
        self.uri = str(folder / "events")
        self.log: CommitLog = DeltaLog(self.uri, {}, FakeClock().clock)
        self.world.log = self.log  # type: ignore[assignment]

    @property
    def log_files(self) -> list[Path]:
        return sorted((Path(self.uri) / "_delta_log").glob("*.json"))

    def verified(self) -> Verified:
        """With Delta's log files where the bucket is looked at for them."""
        bucket = Bucket(self.world.bucket.client, self.world.bucket.name)
        for path in (Path(self.uri) / "_delta_log").iterdir():
            if path.is_file():
                self.world.bucket.objects[f"events/_delta_log/{path.name}"] = path.read_bytes()
        return verify(bucket, self.log)


@pytest.fixture
def disk(tmp_path: Path) -> OnDisk:
    disk = OnDisk(tmp_path)
    bucket = Bucket(disk.world.bucket.client, disk.world.bucket.name)
    shard = LakeSink(STREAM, bucket, disk.log, NEVER, disk.world.clock.clock, lambda _: None, keys=KEYS).open(SHARD)
    for number in (1, 2, 3):
        shard.append(rows(number), after=None, upto=SequenceNumber(str(number)))
        shard.flush()
    return disk


def test_deltas_own_log_is_sound(disk: OnDisk) -> None:
    found = disk.verified()
    assert found.findings == ()
    assert found.counts["rows"] == 3


def test_a_row_deleted_through_delta_is_found(disk: OnDisk) -> None:
    """By its commit, whatever it wrote."""
    for key, body in disk.world.bucket.objects.items():
        if key.startswith(DATA_PREFIX):
            path = Path(disk.uri) / key.removeprefix("events/")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(body)
    DeltaTable(disk.uri).delete("_sequence_number = '2'")
    assert {Kind.FOREIGN_COMMIT, Kind.ROWS_UNACCOUNTED} <= kinds(disk.verified())


def test_a_log_rolled_back_through_delta_is_found(disk: OnDisk) -> None:
    DeltaTable(disk.uri).restore(2, ignore_missing_files=True)
    assert {Kind.FOREIGN_COMMIT} <= kinds(disk.verified())


def test_a_log_that_is_gone_is_found(disk: OnDisk) -> None:
    for path in disk.log_files:
        path.unlink()
    assert kinds(disk.verified()) == {Kind.LOG_UNREADABLE}
    assert not disk.log.exists(), "whoever looks makes nothing"


def test_a_log_with_a_torn_entry_is_unreadable(disk: OnDisk) -> None:
    disk.log_files[2].write_text('{"add": {"path')
    assert kinds(disk.verified()) == {Kind.LOG_UNREADABLE}


def test_a_log_of_a_newer_writer_is_unreadable(disk: OnDisk) -> None:
    features = ["timeTravelTwice"]
    versions = {"minReaderVersion": 3, "minWriterVersion": 7, "readerFeatures": features, "writerFeatures": features}
    protocol = json.dumps({"protocol": versions})
    newest = disk.log_files[-1]
    newest.write_text(newest.read_text() + protocol + "\n")
    assert kinds(disk.verified()) == {Kind.LOG_UNREADABLE}


def test_a_log_that_lacks_a_file_in_the_middle_is_found(disk: OnDisk) -> None:
    disk.log_files[2].unlink()
    assert kinds(disk.verified()) & {Kind.LOG_UNREADABLE, Kind.LOG_HAS_A_HOLE}


def test_a_log_that_lost_its_newest_files_is_found(disk: OnDisk) -> None:
    for path in disk.log_files[2:]:
        path.unlink()
    found = disk.verified()
    assert {Kind.OFFSETS_AHEAD_OF_LOG, Kind.FILES_AHEAD_OF_LOG} <= kinds(found)
