"""A keeper's rounds change no answer, wherever they break off and whatever goes on beside them."""

from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta

import pytest

from analytics.archiving.diagnostics import KeepingFailed, LakeKept
from analytics.files.stored import MissingFile
from analytics.maintenance.keeping import EVERY, Keeper
from analytics.maintenance.log_care import LogCare
from analytics.maintenance.vacuum import RETENTION
from analytics.table.layout import LOG_PREFIX, is_compacted, object_key
from analytics.verification.proof import verify
from foundation.bucket import Bucket
from tests.support.fakes.bucket import Gate
from tests.support.worlds.kept_lake import (
    DAY,
    NEXT_DAY,
    append,
    archived,
    compactor,
    content,
    lake_of_small_files,
    vacuum,
)
from tests.support.worlds.lake_world import Crash, World, rows

pytestmark = pytest.mark.slow

CHECKPOINTS = [f"{LOG_PREFIX}{version:020d}.checkpoint.parquet" for version in (50, 100, 150)]


def kept_world() -> World:
    """A day that a compaction replaced long ago, a day that is due, and a checkpoint too many."""
    world = lake_of_small_files()
    list(compactor(world).run([DAY]))
    world.clock.advance(2 * RETENTION.total_seconds())
    for key in CHECKPOINTS:
        world.bucket.objects[key] = b"checkpoint"
    world.bucket.objects[f"{LOG_PREFIX}_last_checkpoint"] = b'{"version":150,"size":9}'
    return world


def keeper(world: World, gate: Gate | None = None, stopping: Callable[[], bool] = lambda: False) -> Keeper:
    """A new process."""
    gate = gate or Gate()
    return Keeper(
        world.log.through(gate),
        compactor(world, gate),
        vacuum(world, gate),
        LogCare(Bucket(world.bucket.through(gate), world.bucket.name)),
        world.diagnostics.append,
        stopping=stopping,
    )


def is_kept(world: World) -> bool:
    return (
        all(is_compacted(file.path) for file in world.log.snapshot().all_files())
        and not any("-1-0.parquet" in key and str(DAY) in key for key in world.bucket.objects)
        and CHECKPOINTS[0] not in world.bucket.objects
        and CHECKPOINTS[2] in world.bucket.objects
    )


def test_a_round_does_all_that_is_due_and_the_next_one_nothing() -> None:
    world = kept_world()
    before = content(world)
    assert not is_kept(world)
    assert keeper(world).round() == []
    assert is_kept(world)
    assert content(world) == before
    assert [(kept.what.split()[0], kept.objects) for kept in world.seen(LakeKept)] == [
        ("objects", 3),
        ("checkpoints", 1),
    ]
    objects, commits = dict(world.bucket.objects), len(world.log.commits)
    assert keeper(world).round() == []
    assert (world.bucket.objects, len(world.log.commits)) == (objects, commits)


def test_where_there_is_no_lake_none_is_made() -> None:
    world = World()
    assert keeper(world).round() == []
    assert world.log.commits == []
    assert world.bucket.objects == {}


def calls_of_a_round() -> range:
    gate = Gate()
    keeper(kept_world(), gate).round()
    return range(1, gate.calls + 1)


CALLS = calls_of_a_round()


def die() -> None:
    raise Crash


def lose_the_answer() -> None:
    raise ConnectionError("the connection broke")


@pytest.mark.parametrize("event", [die, lose_the_answer])
@pytest.mark.parametrize("applied", [False, True])
@pytest.mark.parametrize("at", CALLS)
def test_broken_off_at_any_call_nothing_changes_and_the_next_round_ends_it(
    at: int, applied: bool, event: Callable[[], None]
) -> None:
    world = kept_world()
    before = content(world)

    def look_and_break() -> None:
        assert content(world) == before
        event()

    with suppress(Crash):
        keeper(world, Gate(at, look_and_break, applied=applied)).round()
    assert content(world) == before
    assert keeper(world).round() == []
    assert is_kept(world)
    assert content(world) == before
    assert verify(Bucket(world.bucket.client, world.bucket.name), world.log).ok


def another_keeper(world: World) -> None:
    assert keeper(world).round() == []


def an_archiver(world: World) -> None:
    archived(world, 11, 12)


def late_records(world: World) -> None:
    append(world, rows(99))


@pytest.mark.parametrize("other", [another_keeper, an_archiver, late_records])
@pytest.mark.parametrize("at", CALLS)
def test_beside_others_that_write_at_any_moment_nothing_is_lost(at: int, other: Callable[[World], None]) -> None:
    world, alone = kept_world(), kept_world()
    other(alone)
    keeper(world, Gate(at, lambda: other(world))).round()
    assert content(world) == content(alone)
    world.clock.advance(2 * RETENTION.total_seconds())
    keeper(world).round()
    assert content(world) == content(alone)
    assert is_kept(world)


def test_a_day_that_cannot_be_compacted_stops_no_other_care() -> None:
    """Here the first of two days that are due: the second is compacted, and the rest of the round is done."""
    world = kept_world()
    archived(world, 11)
    broken = next(path for path in world.log.snapshot().files(DAY) if not is_compacted(path))
    del world.bucket.objects[object_key(broken)]
    (failure,) = keeper(world).round()
    assert isinstance(failure, MissingFile)
    assert [(told.part, type(told.error)) for told in world.seen(KeepingFailed)] == [("compact", MissingFile)]
    assert all(map(is_compacted, world.log.snapshot().files(NEXT_DAY)))
    assert CHECKPOINTS[0] not in world.bucket.objects


def test_asked_to_stop_it_ends_between_two_objects() -> None:
    world = kept_world()
    before = content(world)
    asked = iter([False] * 6 + [True] * 99)
    keeper(world, stopping=lambda: next(asked)).round()
    assert content(world) == before
    assert not is_kept(world)


def test_rounds_come_by_the_clock_until_the_wait_is_cut_short() -> None:
    world, waited = kept_world(), list[float]()

    def wait(seconds: float) -> bool:
        waited.append(seconds)
        return len(waited) == 3

    keeper(world).run(wait)
    assert is_kept(world)
    assert waited[1:] == [EVERY.total_seconds()] * 2
    assert timedelta(0) <= timedelta(seconds=waited[0]) <= EVERY
