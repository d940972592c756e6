"""Late rows: each record once in the lake, whoever adds it, however often, and whatever breaks off."""

from collections.abc import Callable
from contextlib import suppress

import pytest

from analytics.archiving.diagnostics import LateRowsCommitted
from analytics.maintenance.commit_once import LONGEST_UNCOMMITTED
from analytics.maintenance.late import LateRecord, NotYetPassed
from analytics.table.layout import ShardPaths
from events.wire import UnreadableEvent
from foundation.kinesis.records import SequenceNumber
from tests.support.fakes.bucket import Gate
from tests.support.worlds.kept_lake import LATE, archived_world, late, late_rows
from tests.support.worlds.lake_world import OTHER_SHARD, SHARD, STREAM, Crash, World, feed

pytestmark = pytest.mark.slow


@pytest.fixture
def world() -> World:
    """Two shards archived up to 9; of the first 3, 5 and 7 were set apart, of the other 5."""
    return archived_world()


WHOLE = list(range(1, 10))


def check_whole(world: World) -> None:
    assert sorted(world.archived(SHARD)) == WHOLE
    assert sorted(world.archived(OTHER_SHARD)) == WHOLE


def test_late_records_become_rows_in_one_commit(world: World) -> None:
    commits = len(world.log.commits)
    assert late_rows(world).add(LATE) == {}
    check_whole(world)
    assert len(world.log.commits) == commits + 1
    assert world.seen(LateRowsCommitted) == [LateRowsCommitted(rows=4, files=2)]


def test_what_took_too_long_is_begun_again(world: World) -> None:
    """By then, vacuum may have taken the files for left over."""
    calls = Gate()
    late_rows(archived_world(), calls).add(LATE)
    before = len(world.log.commits)
    slow = Gate(calls.calls - 1, lambda: world.clock.advance(LONGEST_UNCOMMITTED.total_seconds() + 1), applied=True)
    assert late_rows(world, slow).add(LATE) == {}
    check_whole(world)
    assert len(world.log.commits) == before + 1
    assert len([key for key in world.bucket.objects if "/late-" in key]) == 4


def test_adding_again_adds_nothing(world: World) -> None:
    late_rows(world).add(LATE[:2])
    late_rows(world).add(LATE)
    late_rows(world).add(LATE)
    check_whole(world)


def test_what_was_added_is_known(world: World) -> None:
    late_rows(world).add(LATE[:1])
    assert late_rows(world).present(LATE) == [LATE[0]]


def test_an_unreadable_record_is_refused_and_the_others_go_in(world: World) -> None:
    bad = late(3, data=b"not an event")
    refused = late_rows(world).add((bad, *LATE[1:]))
    assert isinstance(refused[bad], UnreadableEvent)
    assert refused.keys() == {bad}
    assert sorted(world.archived(SHARD)) == [1, 2, 4, 5, 6, 7, 8, 9]


def test_shards_offsets_are_not_touched_and_archivers_go_on(world: World) -> None:
    before = world.bucket.objects[ShardPaths(STREAM, SHARD).offsets_key]
    shard = world.sink().open(SHARD)
    claimed = world.bucket.objects[ShardPaths(STREAM, SHARD).offsets_key]
    assert claimed != before
    late_rows(world).add(LATE)
    assert world.bucket.objects[ShardPaths(STREAM, SHARD).offsets_key] == claimed
    feed(shard, range(10, 12))
    assert shard.flush() == SequenceNumber("11")
    assert sorted(world.archived(SHARD)) == list(range(1, 12))


def test_a_record_that_the_archiver_may_still_bring_is_refused(world: World) -> None:
    """As after a crash between the letter and the commit: it is read again, and may be readable by then."""
    ahead, nowhere = late(10), late(1, shard_id="shardId-000000000009")
    refused = late_rows(world).add((ahead, nowhere))
    assert isinstance(refused[ahead], NotYetPassed)
    assert isinstance(refused[nowhere], NotYetPassed)
    assert "fix:" in str(refused[ahead])
    shard = world.sink().open(SHARD)
    feed(shard, [10])
    shard.flush()
    assert late_rows(world).add((ahead,)) == {}
    assert world.archived(SHARD).count(10) == 1


def test_a_record_that_the_archiver_has_brought_itself_is_not_added(world: World) -> None:
    assert late_rows(world).add((late(4),)) == {}
    assert world.archived(SHARD).count(4) == 1


def die() -> None:
    raise Crash


def lose_the_answer() -> None:
    raise ConnectionError("the connection broke")


def calls_of(add: Callable[[World, Gate], object]) -> range:
    gate = Gate()
    add(archived_world(), gate)
    return range(1, gate.calls + 1)


def add_all(world: World, gate: Gate) -> None:
    late_rows(world, gate).add(LATE)


CALLS = calls_of(add_all)


def test_adding_is_made_of_the_steps_that_are_broken_below() -> None:
    # The offsets of two shards, the log, the day's files, two new files, and the commit.
    assert len(CALLS) == 2 + 1 + 2 + 2 + 1


@pytest.mark.parametrize("event", [die, lose_the_answer])
@pytest.mark.parametrize("applied", [False, True])
@pytest.mark.parametrize("at", CALLS)
def test_broken_off_at_any_call_the_next_one_ends_it(at: int, applied: bool, event: Callable[[], None]) -> None:
    world = archived_world()
    with suppress(Crash, ConnectionError):
        late_rows(world, Gate(at, event, applied=applied)).add(LATE)
    late_rows(world).add(LATE)
    check_whole(world)


@pytest.mark.parametrize("other", [LATE, LATE[1:3], LATE[:1]], ids=["all", "some", "one"])
@pytest.mark.parametrize("applied", [False, True])
@pytest.mark.parametrize("at", CALLS)
def test_two_at_once_add_each_row_once(at: int, applied: bool, other: tuple[LateRecord, ...]) -> None:
    """Another one adds the same, or some of it, while the first stands at any of its calls."""
    world = archived_world()

    def add() -> None:
        late_rows(world).add(other)

    gate = Gate(at, add, applied=applied)
    assert late_rows(world, gate).add(LATE) == {}
    check_whole(world)


@pytest.mark.parametrize("at", CALLS)
def test_an_archiver_that_opens_reads_on_and_commits_meanwhile(at: int) -> None:
    world = archived_world()

    def archive() -> None:
        shard = world.sink().open(SHARD)
        feed(shard, range(10, 12))
        shard.flush()

    late_rows(world, Gate(at, archive)).add(LATE)
    assert sorted(world.archived(SHARD)) == list(range(1, 12))


@pytest.mark.parametrize("at", CALLS)
def test_an_archiver_that_brings_the_very_record_meanwhile(at: int) -> None:
    """The letter of record 10 was written, then the archiver crashed: with new code it reads the record well."""
    world = archived_world()

    def archive() -> None:
        shard = world.sink().open(SHARD)
        feed(shard, [10])
        shard.flush()

    gate = Gate(at, archive)
    late_rows(world, gate).add((late(10), *LATE))
    late_rows(world).add((late(10), *LATE))
    if gate.calls < at:
        archive()
    assert world.archived(SHARD).count(10) == 1
    assert sorted(world.archived(SHARD)) == list(range(1, 11))


def test_lost_offsets_are_rebuilt_beside_late_files(world: World) -> None:
    late_rows(world).add(LATE)
    del world.bucket.objects[ShardPaths(STREAM, SHARD).offsets_key]
    shard = world.sink().open(SHARD)
    assert shard.committed == SequenceNumber("9")
