"""Rows of the lease table that belong to no shard of our stream: never taken, ended or deleted."""

from collections.abc import Iterator
from typing import Any

import pytest

from consumers.diagnostics import LeaseNotOurs, RoundFailed
from tests.support.worlds.worker_world import APPLICATION, World

pytestmark = pytest.mark.slow


@pytest.fixture
def world() -> Iterator[World]:
    made = World()
    yield made
    made.end()


def a_row(key: str, number: str, **more: Any) -> dict[str, Any]:
    """As the KCL writes one, of a worker that is long gone."""
    return {
        "leaseKey": {"S": key},
        "leaseCounter": {"N": "7"},
        "leaseOwner": {"S": "java-1"},
        "ownerSwitchesSinceCheckpoint": {"N": "0"},
        "checkpoint": {"S": number},
        "checkpointSubSequenceNumber": {"N": "0"},
        "startingHashKey": {"S": "0"},
        "endingHashKey": {"S": str(2**128 - 1)},
        **more,
    }


NOT_OURS = {
    "a multi-stream application's, of our stream": a_row(
        "123456789012:orders:1700000000:shardId-000000000000",
        "7",
        shardId={"S": "shardId-000000000000"},
        streamName={"S": "123456789012:orders:1700000000"},
    ),
    "a multi-stream application's, of another stream": a_row("123456789012:payments:17:shardId-000000000000", "7"),
    "one that is finished": a_row("123456789012:payments:17:shardId-000000000000", "SHARD_END"),
    "a shard's, of another stream": a_row(
        "shardId-000000000000", "7", streamName={"S": "123456789012:payments:1700000000"}
    ),
    "a shard's, newer than any of ours": a_row("shardId-000000000042", "7"),
    "a finished one, newer than any of ours": a_row(
        "shardId-000000000042", "SHARD_END", parentShardId={"SS": ["shardId-000000000041"]}
    ),
    "another program's": {"leaseKey": {"S": "migration"}, "state": {"S": "done"}},
    "another program's, that looks like a lease": a_row("deployment-lock", "TRIM_HORIZON"),
    "of another entity": a_row("shardId-000000000007", "7", entityType={"S": "WORKER_METRICS"}),
}


@pytest.mark.parametrize("what", NOT_OURS)
def test_rows_that_are_not_ours_are_left_alone_and_told_once(world: World, what: str) -> None:
    row = NOT_OURS[what]
    is_in_the_way = row["leaseKey"] == {"S": "shardId-000000000000"}
    world.dynamodb.put_item(TableName=APPLICATION, Item=row)
    world.put("a", "b", "c")
    running = world.start()
    world.run(120)
    running.stop()
    world.start("worker-2").stop_after(120)
    assert world.dynamodb.tables[APPLICATION][row["leaseKey"]["S"]] == row
    assert world.texts() == ([] if is_in_the_way else ["a", "b", "c"])
    told = [told.key for told in world.all(LeaseNotOurs)]
    assert told == ([] if "entityType" in row else [row["leaseKey"]["S"]] * 2)
    assert world.all(RoundFailed) == []


def test_a_child_that_another_worker_leased_is_no_stranger(world: World) -> None:
    world.start()
    world.run(30)
    world.kinesis.split_shard(StreamName="orders", ShardToSplit="shardId-000000000000", NewStartingHashKey=str(2**127))
    world.start("worker-2")
    world.put("a", "b", "c")
    world.run(30)
    assert sorted(world.texts()) == ["a", "b", "c"]
    assert world.all(LeaseNotOurs) == []
