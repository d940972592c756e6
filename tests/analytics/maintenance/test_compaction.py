"""Compaction changes how rows are stored and no row, beside whoever else writes and wherever it breaks off."""

from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from analytics.archiving.diagnostics import DayCompacted
from analytics.files.stored import MissingFile, NewerColumns, TornFile
from analytics.maintenance.commit_once import LONGEST_UNCOMMITTED
from analytics.maintenance.compaction import CompactionPolicy, RowsLost
from analytics.table.layout import is_compacted, is_ours, object_key
from analytics.table.log import CommitRejected
from tests.support.builders import NOON
from tests.support.fakes.bucket import Gate
from tests.support.worlds.kept_lake import (
    DAY,
    LATE,
    NEXT_DAY,
    append,
    archived,
    archived_world,
    compactor,
    content,
    doubled,
    lake_of_small_files,
    late,
    late_rows,
)
from tests.support.worlds.lake_world import OTHER_SHARD, SHARD, Crash, World, rows

pytestmark = pytest.mark.slow

SMALL = CompactionPolicy(file_size=1, row_group=4)


@pytest.fixture
def world() -> World:
    return lake_of_small_files()


def test_a_day_becomes_one_sorted_file_with_the_same_rows(world: World) -> None:
    before = content(world)
    (made,) = compactor(world).run([DAY])
    assert (made.day, made.files_before, made.files_after, made.rows_before, made.rows_after) == (DAY, 3, 1, 9, 9)
    assert content(world) == before
    (path,) = world.log.snapshot().files(DAY)
    assert is_compacted(path)
    assert is_ours(path)
    table = pq.read_table(pa.BufferReader(world.bucket.objects[object_key(path)]))
    keys = list(zip(table["order_id"].to_pylist(), table["occurred_at"].to_pylist(), strict=True))
    assert keys == sorted(keys)
    assert world.seen(DayCompacted) == [DayCompacted(DAY, 3, 1, 9, 0)]


def test_files_and_row_groups_are_sized(world: World) -> None:
    before = content(world)
    (made,) = compactor(world, policy=SMALL).run([DAY])
    assert made.files_after == 3
    assert sorted(file.rows for file in world.log.snapshot().all_files() if file.day == DAY) == [1, 4, 4]
    assert content(world) == before


def test_sealed_days_are_due_and_others_with_too_many_files(world: World) -> None:
    assert compactor(world).due() == [DAY, NEXT_DAY]
    early = World()
    archived(early, 1)
    archived(early, 2)
    assert compactor(early).due() == []
    assert compactor(early, policy=CompactionPolicy(small_files=1)).due() == [DAY]
    early.clock.advance(18 * 3600 - 1)
    assert compactor(early).due() == []
    early.clock.advance(1)
    assert compactor(early).due() == [DAY]


def test_a_compacted_day_is_left_alone_until_something_comes_late(world: World) -> None:
    list(compactor(world).run(compactor(world).due()))
    assert compactor(world).due() == []
    commits = len(world.log.commits)
    assert list(compactor(world).run([DAY])) == []
    assert len(world.log.commits) == commits
    archived(world, 11)
    assert compactor(world).due() == [DAY]
    (again,) = compactor(world).run([DAY])
    assert (again.files_before, again.rows_after) == (2, 10)
    assert world.log.snapshot().version_of(f"compact/{DAY}") == 2


def test_a_clock_that_is_wrong_costs_no_row(world: World) -> None:
    """Years ahead, every day is sealed; back in the past, none is."""
    before = content(world)
    world.clock.advance(10 * 365 * 24 * 3600)
    list(compactor(world).run(compactor(world).due()))
    assert content(world) == before
    archived(world, 11)
    world.clock.advance(-20 * 365 * 24 * 3600)
    assert compactor(world).due() == []


def test_of_events_that_came_twice_the_first_to_arrive_stays() -> None:
    """On the same day and on its neighbours, whichever is compacted first, and in another shard, too."""
    for order in ([DAY, NEXT_DAY], [NEXT_DAY, DAY]):
        world = World()
        first = rows(1, 2, 3)
        archived(world, 1, 2, 3)
        told_again = doubled(first, (11, 12), at=NOON + timedelta(days=1), arrived=NOON + timedelta(hours=1))
        append(world, told_again)
        append(world, doubled(first, (21, 22, 23), shard_id=OTHER_SHARD, arrived=NOON + timedelta(minutes=1)))
        world.clock.advance(9 * 24 * 3600)
        made = list(compactor(world).run(order))
        assert sum(day.dropped for day in made) == 5
        assert sorted(row["_sequence_number"] for row in world.visible()) == ["1", "2", "3"]
        assert list(compactor(world).run(order)) == []


def test_a_neighbour_that_was_compacted_before_loses_what_turns_up_later() -> None:
    """As when a record that had been set apart is redriven: it arrived first, and it comes last."""
    world = World()
    append(world, doubled(rows(1), (5,), at=NOON + timedelta(days=1), arrived=NOON + timedelta(hours=1)))
    world.clock.advance(9 * 24 * 3600)
    list(compactor(world).run([NEXT_DAY]))
    archived(world, 9)
    append(world, rows(1))
    made = list(compactor(world).run(compactor(world).due()))
    assert [(day.day, day.dropped, day.rows_after) for day in made] == [(NEXT_DAY, 1, 0), (DAY, 0, 2)]
    assert sorted(world.archived()) == [1, 9]


def test_a_row_that_is_there_twice_stops_the_compaction(world: World) -> None:
    """It is no duplicate of an event: somebody broke the lake, and has to look."""
    append(world, rows(3))
    before, commits = content(world), len(world.log.commits)
    with pytest.raises(RowsLost, match="10 rows would become 8, with 1 duplicates"):
        list(compactor(world).run([DAY]))
    assert (content(world), len(world.log.commits)) == (before, commits)


@pytest.mark.parametrize(
    ("tamper", "expected"),
    [(lambda _: None, MissingFile), (lambda body: body[:-9], TornFile), (lambda body: b"x" * len(body), TornFile)],
)
def test_a_file_that_is_not_what_the_log_says_stops_the_compaction(
    world: World, tamper: Callable[[bytes], bytes | None], expected: type[Exception]
) -> None:
    key = object_key(world.log.snapshot().files(DAY)[2])
    body, commits = tamper(world.bucket.objects.pop(key)), len(world.log.commits)
    if body is not None:
        world.bucket.objects[key] = body
    with pytest.raises(expected, match="fix:"):
        list(compactor(world).run([DAY]))
    assert len(world.log.commits) == commits


def test_columns_of_a_newer_release_are_not_lost(world: World) -> None:
    newer = rows(99).append_column("tip", pa.array([100], pa.int64()))
    append(world, newer)
    before, commits = content(world), len(world.log.commits)
    with pytest.raises(NewerColumns, match="tip"):
        list(compactor(world).run([DAY]))
    assert (content(world), len(world.log.commits)) == (before, commits)


def test_columns_that_an_older_release_did_not_have_are_null(world: World) -> None:
    append(world, rows(99).drop_columns(["_extra"]))
    (made,) = compactor(world).run([DAY])
    assert made.rows_after == 10
    assert next(row for row in world.visible() if row["_sequence_number"] == "99")["_extra"] is None


def test_what_took_too_long_is_not_committed(world: World) -> None:
    """By then, vacuum may have taken the files for left over."""
    commits = len(world.log.commits)
    calls = calls_of_a_compaction()
    slow = Gate(calls[-1] - 1, lambda: world.clock.advance(LONGEST_UNCOMMITTED.total_seconds() + 1), applied=True)
    with pytest.raises(CommitRejected, match=r"compact/2026-03-14.*1:00:00 after its files.*fix:"):
        compactor(world, slow, SMALL).compact(DAY)
    assert len(world.log.commits) == commits


def die() -> None:
    raise Crash


def lose_the_answer() -> None:
    raise ConnectionError("the connection broke")


def calls_of_a_compaction() -> range:
    gate = Gate()
    list(compactor(lake_of_small_files(), gate, SMALL).run([DAY]))
    return range(1, gate.calls + 1)


CALLS = calls_of_a_compaction()


def test_a_compaction_is_made_of_the_steps_that_are_broken_below() -> None:
    # The log, three files of the day, three new files, the commit.
    assert len(CALLS) == 1 + 3 + 3 + 1


@pytest.mark.parametrize("event", [die, lose_the_answer])
@pytest.mark.parametrize("applied", [False, True])
@pytest.mark.parametrize("at", CALLS)
def test_broken_off_at_any_call_no_reader_sees_it_and_the_next_one_ends_it(
    at: int, applied: bool, event: Callable[[], None]
) -> None:
    world = lake_of_small_files()
    before = content(world)

    def look_and_break() -> None:
        assert content(world) == before
        event()

    with suppress(Crash, ConnectionError):
        list(compactor(world, Gate(at, look_and_break, applied=applied), SMALL).run([DAY]))
    assert content(world) == before
    list(compactor(world, policy=SMALL).run([DAY]))
    assert content(world) == before
    assert all(is_compacted(path) for path in world.log.snapshot().files(DAY))


def another_compactor(world: World) -> None:
    list(compactor(world).run([DAY]))


def an_archiver(world: World) -> None:
    archived(world, 11, 12)


def late_records(world: World) -> None:
    append(world, rows(99))


def neighbours_compactor(world: World) -> None:
    list(compactor(world).run([NEXT_DAY]))


@pytest.mark.parametrize("other", [another_compactor, an_archiver, late_records, neighbours_compactor])
@pytest.mark.parametrize("at", CALLS)
def test_whoever_writes_at_any_moment_of_a_compaction_loses_nothing(at: int, other: Callable[[World], None]) -> None:
    world, alone = lake_of_small_files(), lake_of_small_files()
    other(alone)
    with suppress(CommitRejected):
        list(compactor(world, Gate(at, lambda: other(world)), SMALL).run([DAY]))
    assert content(world) == content(alone)
    list(compactor(world).run([DAY]))
    assert content(world) == content(alone)


def test_a_late_record_is_found_in_a_compacted_file() -> None:
    """Whoever redrives looks for what the archiver has brought itself by its place."""
    world = archived_world()
    list(compactor(world).run([DAY]))
    assert late_rows(world).add((LATE[0], late(4))) == {}
    assert sorted(world.archived(SHARD)) == [1, 2, 3, 4, 6, 8, 9]
