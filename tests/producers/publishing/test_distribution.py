"""A stream that spreads records over its shards by itself, as RecordDistributionStrategy AUTO does."""

import pytest

from producers.publishing.diagnostics import (
    AggregateAstray,
    DistributionUnknown,
    StreamFollowsKeys,
    StreamSpreadsRecords,
)
from producers.publishing.publication import Published
from tests.support.worlds.sender_world import World, failed, keys

SHARDS = 16


def spreading(*, allow_unordered: bool = False, tells: bool = True) -> World:
    world = World(shards=SHARDS, allow_unordered=allow_unordered)
    world.kinesis.spreads, world.kinesis.tells_that_it_spreads = True, tells
    return world


def on_the_stream(world: World) -> int:
    return len(world.kinesis.records())


def test_a_stream_that_spreads_records_is_refused_with_the_fix_and_gets_nothing() -> None:
    world = spreading()
    records = world.deliver(keys(50, each=3))
    assert on_the_stream(world) == 0
    assert {failed(record).partition(": ")[2] for record in records} == {failed(records[0]).partition(": ")[2]}
    for word in ("AUTO", "fix: ", "USER_PARTITION_KEY", "TAKEAWAY_ALLOW_UNORDERED=true"):
        assert word in failed(records[0])
    assert world.happened(StreamSpreadsRecords) == [
        StreamSpreadsRecords("orders", "RecordDistributionStrategy is AUTO", publishes=False)
    ]


def test_where_it_is_allowed_each_event_goes_once_and_plain() -> None:
    world = spreading(allow_unordered=True)
    world.deliver(keys(400, each=3))
    assert on_the_stream(world) == len(world.kinesis.user_records()) == 1200
    assert all("ExplicitHashKey" not in entry for request in world.requests for entry in request)
    assert {type(record._outcome) for record in world.sent} == {Published}
    assert len(world.requests) < 20
    assert world.happened(AggregateAstray) == []


@pytest.mark.parametrize("cannot_ask", ["AccessDeniedException", None], ids=["not allowed", "an emulator"])
@pytest.mark.parametrize("allow_unordered", [False, True])
def test_what_was_not_told_shows_by_where_records_land(cannot_ask: str | None, allow_unordered: bool) -> None:
    """No aggregate is sent again and again until it lands where it was predicted."""
    world = spreading(allow_unordered=allow_unordered, tells=False)
    if cannot_ask:
        world.kinesis.fail("describe_stream_summary", cannot_ask, times=1000)
    records = world.deliver(keys(400))
    assert len(world.happened(DistributionUnknown)) == (1 if cannot_ask else 0)
    assert len(world.happened(StreamSpreadsRecords)) == 1
    acknowledged = [record for record in records if isinstance(record._outcome, Published)]
    assert on_the_stream(world) <= 2 * SHARDS + len(acknowledged)
    assert (len(acknowledged) == 400) is allow_unordered
    given = {record.data for record in world.kinesis.user_records()}
    assert {record.data for record in acknowledged} <= given


@pytest.mark.parametrize("allow_unordered", [False, True])
def test_a_switch_while_it_runs_is_noticed_and_so_is_the_way_back(allow_unordered: bool) -> None:
    world = World(shards=SHARDS, allow_unordered=allow_unordered)
    world.deliver(keys(100))
    world.kinesis.spreads = True
    spread = world.deliver(keys(100))
    assert len(world.happened(StreamSpreadsRecords)) == 1
    assert any(isinstance(record._outcome, Published) for record in spread) or not allow_unordered
    world.kinesis.spreads = False
    world.time.advance(60)
    before = on_the_stream(world)
    again = world.deliver(keys(100))
    assert len(world.happened(StreamFollowsKeys)) == 1
    assert {type(record._outcome) for record in again} == {Published}
    assert on_the_stream(world) - before == SHARDS


def test_while_it_is_refused_the_stream_is_asked_only_now_and_then() -> None:
    world = spreading()
    began = world.time.monotonic()
    for _ in range(100):
        world.deliver(["order-1"])
        world.time.advance(0.1)
    assert len(world.kinesis.calls("describe_stream_summary")) <= 1 + (world.time.monotonic() - began) / 10


def test_a_reshard_is_no_sign_of_it() -> None:
    world = World(shards=1)
    world.deliver(keys(10))
    world.kinesis.split_shard(StreamName="orders", ShardToSplit="shardId-000000000000", NewStartingHashKey=str(2**127))
    world.deliver(keys(50, each=2))
    assert world.happened(AggregateAstray)
    assert world.happened(StreamSpreadsRecords) == []
    world.check(doubled=0)
