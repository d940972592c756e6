"""Vacuum removes what nobody needs, and never what somebody may still read or commit."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from deltalake import DeltaTable

from analytics.archiving.shard_sink import ShardSink
from analytics.maintenance.vacuum import (
    LEAST_RETENTION,
    NEVER_VISIBLE,
    REPLACED,
    RETENTION,
    RetentionTooLong,
    RetentionTooShort,
)
from analytics.table.layout import DATA_PREFIX, object_key
from analytics.table.log import DeltaLog
from foundation.clock import SYSTEM_CLOCK
from tests.support.fakes.bucket import Gate
from tests.support.worlds.kept_lake import DAY, compactor, content, lake_of_small_files, vacuum
from tests.support.worlds.lake_world import SHARD, Crash, World, feed

pytestmark = pytest.mark.slow

HOUR = timedelta(hours=1)


def vacuumed(world: World, retention: timedelta = RETENTION) -> dict[str, str]:
    """What went, and why."""
    one = vacuum(world)
    removable = one.removable(retention)
    for each in removable:
        assert each.size == len(world.bucket.objects[each.key])
        one.remove(each)
    return {each.key: each.why for each in removable}


def die() -> None:
    raise Crash


@pytest.fixture
def world() -> World:
    return lake_of_small_files()


def test_replaced_files_go_once_nobody_can_still_be_reading_them(world: World) -> None:
    before, replaced = content(world), {object_key(path) for path in world.log.snapshot().files(DAY)}
    list(compactor(world).run([DAY]))
    world.clock.advance(RETENTION.total_seconds() - 1)
    assert vacuumed(world) == {}
    world.clock.advance(1)
    assert vacuumed(world) == dict.fromkeys(replaced, REPLACED)
    assert content(world) == before
    assert vacuumed(world) == {}


def test_a_file_that_was_replaced_long_after_it_was_written_is_kept_as_long(world: World) -> None:
    """Its age counts from its removal: whoever opened the lake just before reads it."""
    world.clock.advance(100 * 24 * 3600)
    list(compactor(world).run([DAY]))
    assert vacuumed(world) == {}


def test_left_over_files_go_by_the_age_that_s3_tells(world: World) -> None:
    """Not by a clock of ours that jumps."""
    with pytest.raises(Crash):
        list(compactor(world, Gate(5, die, applied=True)).run([DAY]))
    (left,) = [key for key in world.bucket.objects if "compact-" in key]
    s3_time = world.clock.now()
    world.bucket.now = lambda: s3_time
    world.clock.advance(365 * 24 * 3600)
    assert vacuumed(world) == {}
    world.bucket.now = lambda: s3_time + RETENTION
    assert vacuumed(world) == {left: NEVER_VISIBLE}


def opened(world: World, event: Callable[[], None]) -> tuple[ShardSink, Gate]:
    """A shard, and its gate. A flush is made of intent, file, log, commit, offsets; the event meets the one set."""
    gate = Gate(event=event)
    return world.sink(gate).open(SHARD), gate


def test_files_of_a_pending_batch_stay_however_old(world: World) -> None:
    """An archiver that slept for a month may still commit them."""

    def sleep() -> None:
        world.clock.advance(30 * 24 * 3600)
        assert vacuumed(world) == {}

    shard, gate = opened(world, sleep)
    feed(shard, [11, 12])
    gate._at = gate.calls + 4
    shard.flush()
    assert sorted(world.archived()) == [*range(1, 11), 11, 12]
    assert vacuumed(world) == {}


def test_files_of_a_batch_that_was_fenced_go(world: World) -> None:
    shard, gate = opened(world, die)
    feed(shard, [11])
    gate._at = gate.calls + 4
    with pytest.raises(Crash):
        shard.flush()
    world.sink().open(SHARD)
    assert vacuumed(world) == {}
    world.clock.advance(RETENTION.total_seconds())
    before = content(world)
    assert list(vacuumed(world).values()) == [NEVER_VISIBLE]
    assert content(world) == before


def test_what_is_not_named_as_ours_stays(world: World) -> None:
    foreign = f"{DATA_PREFIX}{DAY}/part-0.parquet"
    world.bucket.objects[foreign] = b"foreign"
    before = {key for key in world.bucket.objects if "_offsets" in key} | {foreign}
    world.clock.advance(365 * 24 * 3600)
    assert vacuumed(world) == {}
    assert before <= world.bucket.objects.keys()


def test_a_retention_that_could_take_files_from_under_a_commit_is_refused(world: World) -> None:
    with pytest.raises(RetentionTooShort, match="fix:"):
        vacuum(world).removable(LEAST_RETENTION - HOUR)


def test_a_retention_that_the_log_cannot_tell_is_refused(world: World) -> None:
    """A checkpoint forgets what was replaced more than a week ago: it would pass for a file that never was visible."""
    world.clock.advance(30 * 24 * 3600)
    list(compactor(world).run([DAY]))
    world.clock.advance(8 * 24 * 3600)
    with pytest.raises(RetentionTooLong, match=r"240 hours are too long.* tells for 168 hours. fix: 168 hours at most"):
        vacuum(world).removable(timedelta(days=10))
    assert set(vacuumed(world, timedelta(days=7)).values()) == {NEVER_VISIBLE}


@pytest.mark.parametrize(
    ("told", "remembers"),
    [
        ("interval 2 weeks", timedelta(days=14)),
        ("interval 30 days", timedelta(days=30)),
        ("interval 1 hour", HOUR),
        ("", timedelta(days=7)),
        ("for ever", timedelta(days=7)),
    ],
)
def test_how_long_a_table_remembers_is_its_own_property(tmp_path: Path, told: str, remembers: timedelta) -> None:
    log = DeltaLog(str(tmp_path / "events"), {}, SYSTEM_CLOCK)
    log.snapshot()
    if told.startswith("interval"):
        DeltaTable(str(tmp_path / "events")).alter.set_table_properties({"delta.deletedFileRetentionDuration": told})
    assert log.snapshot().remembers == remembers


def looked_at(world: World) -> range:
    gate = Gate()
    vacuum(world, gate).removable()
    return range(1, gate.calls + 1)


def an_archiver(world: World) -> None:
    shard = world.sink().open(SHARD)
    feed(shard, [11, 12])
    shard.flush()


def a_compactor(world: World) -> None:
    list(compactor(world).run([DAY]))


@pytest.mark.parametrize("other", [an_archiver, a_compactor])
@pytest.mark.parametrize("at", looked_at(lake_of_small_files()))
def test_whoever_commits_while_vacuum_looks_loses_nothing(at: int, other: Callable[[World], None]) -> None:
    world, alone = lake_of_small_files(), lake_of_small_files()
    other(alone)
    one = vacuum(world, Gate(at, lambda: other(world)))
    for each in one.removable():
        one.remove(each)
    assert content(world) == content(alone)
