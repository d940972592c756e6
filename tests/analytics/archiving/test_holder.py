"""One shard's side of the protocol: what a new holder finds, and what it makes of it."""

import pytest

from analytics.archiving.diagnostics import LakeOffsetsRebuilt, LakeShardOpened
from analytics.archiving.holder import LakeHalt, ShardTaken, Verdict
from analytics.archiving.shard_sink import CommitFailed
from analytics.table.layout import ShardPaths
from analytics.table.log import LogEntry
from foundation.kinesis.records import SequenceNumber
from tests.support.builders import NOON
from tests.support.fakes.bucket import Gate
from tests.support.fakes.commit_log import MemorySnapshot
from tests.support.worlds.lake_world import SHARD, STREAM, Crash, World, feed

PATHS = ShardPaths(STREAM, SHARD)


@pytest.fixture
def world() -> World:
    return World()


def test_who_was_overtaken_hears_it_once_and_may_then_take_the_shard_back(world: World) -> None:
    overtaken = world.sink().open(SHARD)
    feed(overtaken, [1, 2])
    successor = world.sink().open(SHARD)
    feed(successor, [1])
    successor.flush()
    with pytest.raises(CommitFailed):
        overtaken.flush()
    with pytest.raises(ShardTaken, match="epoch 2 was claimed after ours, 1"):
        overtaken.flush()
    assert overtaken.flush() == SequenceNumber("2")
    assert world.archived() == [1, 2]
    feed(successor, [2])
    with pytest.raises(CommitFailed):
        successor.flush()


def test_the_log_must_be_where_the_batch_expects_it(world: World) -> None:
    """Delta itself would take the batch, whatever its number."""
    shard = world.sink().open(SHARD)
    feed(shard, [1])
    ahead = LogEntry(n=9, epoch=9, batch_id="x", hi=None)
    world.log.snapshot().commit((), {PATHS.application: ahead})
    with pytest.raises(CommitFailed, match="the log has batch 9"):
        shard.flush()
    with pytest.raises(LakeHalt, match="the log has 9"):
        shard.flush()
    assert world.archived() == []


def test_another_batch_in_the_pending_ones_place_halts(world: World) -> None:
    crashed = world.sink(Gate(7, _crash)).open(SHARD)  # after the intent
    feed(crashed, [1])
    with pytest.raises(Crash):
        crashed.flush()
    world.log.snapshot().commit((), {PATHS.application: LogEntry(n=1, epoch=9, batch_id="x", hi=SequenceNumber("5"))})
    with pytest.raises(LakeHalt, match=Verdict.FOREIGN.value):
        world.sink().open(SHARD)


def _crash() -> None:
    raise Crash


@pytest.mark.slow
def test_lost_offsets_are_rebuilt_from_the_log_with_an_epoch_above_any_file(world: World) -> None:
    shard = world.sink().open(SHARD)
    for number in (1, 2):
        feed(shard, [number])
        shard.flush()
    del world.bucket.objects[PATHS.offsets_key]
    world.bucket.objects[f"events/{PATHS.data_file(NOON.date(), shard.holder.next_number, 0)}"] = b"an orphan"
    world.diagnostics.clear()
    again = world.sink().open(SHARD)
    (rebuilt,) = world.seen(LakeOffsetsRebuilt)
    assert (rebuilt.epoch, rebuilt.n, rebuilt.hi) == (2, 2, "2.0")
    assert again.committed == SequenceNumber("2")
    feed(again, [3])
    again.flush()
    assert world.archived() == [1, 2, 3]


def test_lost_offsets_are_rebuilt_after_a_fence(world: World) -> None:
    feed(shard := world.sink().open(SHARD), [1, 2])
    shard.flush()
    fence = LogEntry(n=2, epoch=4, batch_id=None, hi=SequenceNumber("2"))
    world.log.snapshot().commit((), {PATHS.application: fence})
    del world.bucket.objects[PATHS.offsets_key]
    again = world.sink().open(SHARD)
    assert again.committed == SequenceNumber("2")
    assert again.holder.held.offsets.epoch == 5


def test_lost_offsets_are_not_rebuilt_when_log_and_files_disagree(world: World) -> None:
    shard = world.sink().open(SHARD)
    for number in (1, 2, 3):
        feed(shard, [number])
        shard.flush()
    del world.bucket.objects[PATHS.offsets_key]
    del world.log.commits[1:]  # somebody restored an older log
    with pytest.raises(LakeHalt, match=r"the log has batch 1 .* files go up to batch 3"):
        world.sink().open(SHARD)


def test_lost_offsets_are_not_rebuilt_when_the_log_no_longer_tells(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Delta keeps the numbers for ever, but what a commit said only as long as its log file."""
    shard = world.sink().open(SHARD)
    feed(shard, [1])
    shard.flush()
    del world.bucket.objects[PATHS.offsets_key]
    monkeypatch.setattr(MemorySnapshot, "last_entry", lambda *_: None)
    with pytest.raises(LakeHalt, match="the log has batch 1 and tells None"):
        world.sink().open(SHARD)


def test_a_log_that_was_rolled_back_halts(world: World) -> None:
    shard = world.sink().open(SHARD)
    feed(shard, [1])
    shard.flush()
    world.log.commits.clear()
    with pytest.raises(LakeHalt, match=Verdict.ASTRAY.value):
        world.sink().open(SHARD)


@pytest.mark.parametrize(
    ("interrupted_at", "verdict"),
    [(7, Verdict.FENCED), (9, Verdict.FENCED), (10, Verdict.LANDED), (11, Verdict.CLEAN)],
)
def test_opening_tells_what_the_last_holder_had_left(world: World, interrupted_at: int, verdict: Verdict) -> None:
    # Calls 1 to 5 open; then intent, file, log, commit, offsets. The call after the one named is the one that crashes.
    shard = world.sink(Gate(interrupted_at, _crash)).open(SHARD)
    feed(shard, [1])
    if verdict is Verdict.CLEAN:
        shard.flush()
    else:
        with pytest.raises(Crash):
            shard.flush()
    again = world.sink().open(SHARD)
    assert world.seen(LakeShardOpened)[-1].recovered == verdict.value
    assert again.committed == (None if verdict is Verdict.FENCED else SequenceNumber("1"))
