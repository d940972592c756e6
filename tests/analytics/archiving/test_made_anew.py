"""The shards of a stream that was made anew have names of their own in the lake, whatever is lost beside its log."""

from datetime import date
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from analytics.lake import Lake
from analytics.table.layout import BatchNumber, ShardPaths, is_ours
from analytics.table.log import AddedFile, DeltaLog, LogEntry
from analytics.table.offsets import paths_of
from analytics.verification.proof import verify
from foundation.bucket import Bucket
from foundation.kinesis.records import SequenceNumber
from tests.support.fakes.clock import FakeClock
from tests.support.worlds.lake_world import SHARD, STREAM, World, rows

FIRST, SECOND, THIRD = "20260314T120000000Z", "20260315T120000000Z", "20260316T120000000Z"
PATHS = ShardPaths(STREAM, SHARD)


@pytest.fixture
def world() -> World:
    return World()


def archive(world: World, creation: str | None, *numbers: int) -> str:
    """By another process; answers how the lake names the shard."""
    shard = world.sink().open(SHARD, creation)
    after = shard.committed
    made = rows(*numbers, shard_id=shard.shard_id)
    shard.append(made, after=after, upto=SequenceNumber(str(numbers[-1])))
    shard.flush()
    return shard.shard_id


@pytest.mark.slow
def test_streams_with_the_same_numbers_are_told_apart_and_verify_finds_nothing(world: World) -> None:
    names = [archive(world, creation, 1, 2) for creation in (FIRST, SECOND, THIRD)]
    assert names == [SHARD, f"{SHARD}~{SECOND}", f"{SHARD}~{THIRD}"]
    found = verify(Bucket(world.bucket.client, world.bucket.name), world.log)
    assert found.findings == ()
    assert (found.counts["rows"], found.counts["shards"]) == (6, 3)
    assert all(is_ours(file.path) for file in world.log.snapshot().all_files())


def test_each_process_finds_the_names_again(world: World) -> None:
    bucket = Bucket(world.bucket.client, world.bucket.name)
    assert paths_of(bucket, PATHS, SECOND) == PATHS
    archive(world, FIRST, 1)
    named = archive(world, SECOND, 1)
    assert archive(world, SECOND, 2) == named
    assert paths_of(bucket, PATHS, SECOND).shard_id == named
    assert paths_of(bucket, PATHS, FIRST) == paths_of(bucket, PATHS, None) == PATHS


@pytest.mark.parametrize("lost", [[FIRST], [SECOND], [FIRST, SECOND]], ids=["first", "second", "both"])
def test_lost_offsets_are_made_anew_under_the_same_name(world: World, lost: list[str]) -> None:
    archive(world, FIRST, 1, 2)
    named = archive(world, SECOND, 1)
    for creation in lost:
        paths = PATHS if creation == FIRST else ShardPaths(STREAM, named)
        del world.bucket.objects[paths.offsets_key]
    assert archive(world, SECOND, 2) == named
    assert archive(world, FIRST, 3) == SHARD
    assert world.archived() == [1, 2, 3]
    assert world.archived(named) == [1, 2]


def test_a_first_object_that_is_lost_before_any_commit_does_not_call_a_later_stream_back(world: World) -> None:
    world.sink().open(SHARD, FIRST)
    named = archive(world, SECOND, 1)
    del world.bucket.objects[PATHS.offsets_key]
    assert archive(world, SECOND, 2) == named


def test_what_is_not_known_is_taken_for_the_same(world: World) -> None:
    assert archive(world, None, 1) == SHARD
    assert archive(world, FIRST, 2) == SHARD
    assert archive(world, None, 3) == SHARD
    assert world.archived() == [1, 2, 3]


@pytest.mark.slow
def test_a_real_log_and_its_readers_take_these_names(tmp_path: Path) -> None:
    paths, day = PATHS.anew(SECOND), date(2026, 3, 14)
    name = paths.data_file(day, BatchNumber(1, 1), 0)
    assert ShardPaths.of_file(name) == ShardPaths.of(paths.application) == paths
    snapshot = DeltaLog(str(tmp_path), {}, FakeClock().clock).snapshot()
    file = tmp_path / name
    file.parent.mkdir(parents=True)
    made = rows(1, 2, shard_id=paths.shard_id)
    pq.write_table(made, file)
    entry = LogEntry(n=1, epoch=1, batch_id="b", hi=SequenceNumber("2"), rows=2, creation=SECOND)
    snapshot.commit([AddedFile(name, file.stat().st_size, day, 2)], {paths.application: entry})
    again = DeltaLog(str(tmp_path), {}, FakeClock().clock).snapshot()
    assert again.last_entry(paths.application) == entry
    assert [added.path for added in again.all_files()] == [name]
    assert Lake.open(str(tmp_path), {}).sql("FROM events").num_rows == 2
