"""The commit protocol against crashes, lost answers and zombies at every single IO call of a commit."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import TypeVar

import pytest

from analytics.archiving.holder import ShardTaken
from analytics.archiving.shard_sink import CommitFailed, ShardSink
from foundation.bucket import WriteRefused
from foundation.kinesis.records import SequenceNumber
from tests.support.fakes.bucket import Gate
from tests.support.worlds.lake_world import OTHER_SHARD, SHARD, Crash, World, feed

ResultT = TypeVar("ResultT")
OVERTAKEN = (CommitFailed, ShardTaken, WriteRefused)
EVERYTHING = range(1, 10)
FIRST, SECOND = range(1, 4), range(4, 7)


# Hundreds of cases: seconds, not the blink that a unit test should take.
pytestmark = pytest.mark.slow


def crash() -> None:
    raise Crash


def lost_answer() -> None:
    raise ConnectionError("the connection broke")


def first_holder(world: World, gate: Gate, shard_ids: Sequence[str] = (SHARD,)) -> None:
    """A life of two commits, and of an idle hour after each: a refresh of the offsets."""
    sink = world.sink(gate)
    shards = [sink.open(shard_id) for shard_id in shard_ids]
    for numbers in (FIRST, SECOND):
        for shard in shards:
            feed(shard, numbers)
        for shard in shards:
            shard.flush()
        for shard in shards:
            world.idle(shard)


def check_moment(world: World, shard_id: str) -> None:
    """At the moment that the offsets tell, the shard's tip was not beyond the place that they tell."""
    held = world.stored(shard_id)
    if held is not None and held.offsets.caught_up_at is not None:
        tip = world.tips[held.offsets.caught_up_at]
        assert tip is None or (held.offsets.hi is not None and tip <= held.offsets.hi)


def finish(world: World) -> None:
    """A fresh holder reads on from the lake's place, to the stream's end, and the lake has each record once."""
    sink = world.sink()
    for shard_id in (SHARD, OTHER_SHARD):
        check_moment(world, shard_id)
        shard = sink.open(shard_id)
        there = int(shard.committed.number) if shard.committed else 0
        assert world.archived(shard_id) == list(range(1, there + 1))
        feed(shard, EVERYTHING)
        assert shard.flush() == SequenceNumber("9")
        assert world.archived(shard_id) == list(EVERYTHING)
        world.idle(shard)
        check_moment(world, shard_id)
        assert (held := world.stored(shard_id)) is not None
        assert held.offsets.caught_up_at == world.clock.now()


def successor(world: World, gate: Gate | None = None) -> None:
    shard = world.sink(gate).open(SHARD)
    feed(shard, range(1, 9))
    shard.flush()
    world.idle(shard)


def zombie(world: World, gate: Gate) -> None:
    """It may learn that the shard is another's; what it must not do is harm."""
    with suppress(*OVERTAKEN):
        first_holder(world, gate)


def survivor(world: World, gate: Gate) -> None:
    """One process to the stream's end; like an engine, it calls again after an error."""
    sink = world.sink(gate)
    shards = [persistently(partial(sink.open, shard_id)) for shard_id in (SHARD, OTHER_SHARD)]
    for numbers in (FIRST, SECOND, EVERYTHING):
        for shard in shards:
            persistently(partial(feed, shard, numbers))
        for shard in shards:
            while persistently(shard.flush) != SequenceNumber(str(numbers[-1])):
                pass
        for shard in shards:
            persistently(partial(world.idle, shard))


def persistently(call: Callable[[], ResultT]) -> ResultT:
    for _ in range(5):
        with suppress(CommitFailed, ConnectionError, WriteRefused):
            return call()
    raise AssertionError("it never recovered")


def calls_of_a_life(*shard_ids: str) -> range:
    gate = Gate()
    first_holder(World(), gate, shard_ids)
    return range(1, gate.calls + 1)


CALLS = calls_of_a_life(SHARD)
CALLS_OF_TWO_SHARDS = calls_of_a_life(SHARD, OTHER_SHARD)


def test_a_life_is_made_of_the_steps_that_are_broken_below_one_by_one() -> None:
    # Opening: read, log, list, claim, log. A commit: intent and file for each shard, log, commit, each shard's offsets.
    # After each, one refresh for each shard.
    assert len(CALLS) == 5 + 2 * (2 + 2 + 1 + 1)
    assert len(CALLS_OF_TWO_SHARDS) == 2 * 5 + 2 * (2 * 2 + 2 + 2 + 2)


@pytest.mark.parametrize("applied", [False, True], ids=["before", "applied"])
@pytest.mark.parametrize("call", CALLS_OF_TWO_SHARDS)
def test_a_crash_at_any_call(call: int, applied: bool) -> None:
    world = World()
    with pytest.raises(Crash):
        first_holder(world, Gate(call, crash, applied=applied), (SHARD, OTHER_SHARD))
    finish(world)


@pytest.mark.parametrize("applied", [False, True], ids=["before", "applied"])
@pytest.mark.parametrize("call", CALLS_OF_TWO_SHARDS)
def test_an_error_at_any_call_and_the_same_holder_goes_on(call: int, applied: bool) -> None:
    world = World()
    survivor(world, Gate(call, lost_answer, applied=applied))
    for shard_id in (SHARD, OTHER_SHARD):
        assert world.archived(shard_id) == list(EVERYTHING)
    finish(world)


@pytest.mark.parametrize("applied", [False, True], ids=["before", "applied"])
@pytest.mark.parametrize("call", CALLS)
def test_a_zombie_that_sleeps_at_any_call_through_its_successors_life(call: int, applied: bool) -> None:
    world = World()

    zombie(world, Gate(call, lambda: successor(world), applied=applied))
    finish(world)


@pytest.mark.parametrize("applied", [False, True], ids=["before", "applied"])
@pytest.mark.parametrize("call", CALLS)
def test_a_zombie_that_wakes_between_its_successors_opening_and_its_commit(call: int, applied: bool) -> None:
    world = World()
    opened: list[ShardSink] = []

    def successor_opens() -> None:
        opened.append(world.sink().open(SHARD))
        feed(opened[0], range(1, 9))

    zombie(world, Gate(call, successor_opens, applied=applied))
    for shard in opened:
        with suppress(*OVERTAKEN):
            shard.flush()
    finish(world)


@pytest.mark.parametrize("second_call", range(2, 13, 2))
@pytest.mark.parametrize("call", CALLS)
def test_a_crash_while_recovering_from_a_crash(call: int, second_call: int) -> None:
    world = World()
    with pytest.raises(Crash):
        first_holder(world, Gate(call, crash, applied=True))
    with suppress(Crash):
        successor(world, Gate(second_call, crash, applied=True))
    finish(world)
