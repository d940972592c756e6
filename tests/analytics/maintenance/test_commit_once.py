"""One loop changes the lake: each round decides anew, from the snapshot that it commits from."""

from collections.abc import Callable

import pytest

from analytics.maintenance.commit_once import LONGEST_UNCOMMITTED, Change, NoChange, Uploads, commit_once
from analytics.table.log import CommitRejected, LogEntry, Snapshot
from foundation.bucket import Bucket
from tests.support.builders import NOON
from tests.support.worlds.lake_world import World

NAME = "late/1"


def entry(n: int) -> dict[str, LogEntry]:
    return {NAME: LogEntry(n=n, epoch=0, batch_id=str(n), hi=None)}


def deciding(world: World, meanwhile: Callable[[int], None]) -> Callable[[Snapshot], Change[int] | NoChange[int]]:
    """Wants three transactions in all; answers with how many the snapshot has. `meanwhile` happens in each round."""

    def decide(snapshot: Snapshot) -> Change[int] | NoChange[int]:
        there = snapshot.version_of(NAME)
        if there >= 3:
            return NoChange(there)
        uploads = Uploads(Bucket(world.bucket.client, world.bucket.name), world.clock.clock)
        uploads.add(f"{there}-{len(world.bucket.objects)}.parquet", NOON.date(), 1, b"rows")
        meanwhile(there)
        return Change(there, uploads, entry(there + 1))

    return decide


def test_a_change_is_committed_with_its_files_and_its_result_told() -> None:
    world = World()
    assert commit_once(world.log, deciding(world, lambda _: None), "three") == 0
    assert [file.size for file in world.log.snapshot().all_files()] == [4]


def test_who_was_overtaken_decides_anew_and_may_have_nothing_to_do() -> None:
    world = World()

    def overtake(there: int) -> None:
        world.log.snapshot().commit((), entry(there + 1))

    assert commit_once(world.log, deciding(world, overtake), "three") == 3
    assert world.log.snapshot().all_files() == []
    assert len(world.bucket.objects) == 3


def test_what_came_too_late_is_begun_again_with_new_files() -> None:
    world, rounds = World(), [LONGEST_UNCOMMITTED.total_seconds() + 1, 0.0]
    assert commit_once(world.log, deciding(world, lambda _: world.clock.advance(rounds.pop(0))), "three") == 0
    (file,) = world.log.snapshot().all_files()
    assert file.path == "0-1.parquet"


def test_when_no_round_gets_through_it_says_what_and_why() -> None:
    world = World()
    late = LONGEST_UNCOMMITTED.total_seconds() + 1
    with pytest.raises(CommitRejected, match=r"three .*tries: 2.*after its files.*fix:"):
        commit_once(world.log, deciding(world, lambda _: world.clock.advance(late)), "three", rounds=2)
    assert world.log.commits == []
    assert len(world.bucket.objects) == 2
