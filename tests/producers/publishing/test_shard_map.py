"""Which shard takes which key, as Kinesis itself decides it."""

from dataclasses import replace

import pytest

from foundation.kinesis.shards import Shard, listed_shards
from producers.publishing.lanes import explicit_hash_key
from producers.publishing.shard_map import BrokenShardMap, ShardMap
from tests.support.fakes.clock import FakeClock
from tests.support.fakes.kinesis import FakeKinesis
from tests.support.fakes.kinesis_stream import HASH_KEYS
from tests.support.shards import a_map, listed


def test_the_shard_predicted_is_the_one_that_kinesis_chooses() -> None:
    kinesis = FakeKinesis(FakeClock().clock, shards=7)
    kinesis.split_shard(
        StreamName="orders", ShardToSplit="shardId-000000000003", NewStartingHashKey=str(HASH_KEYS // 2)
    )
    shards = ShardMap.of(listed_shards(kinesis.client, "orders"))
    keys = [f"order-{number}" for number in range(300)] + ["注文", "é"]
    for key, place in zip(keys, shards.places_of(keys), strict=True):
        put = kinesis.put_record(StreamName="orders", Data=b"x", PartitionKey=key)
        assert shards.open_shards[place].shard_id == put["ShardId"]


def test_an_explicit_hash_key_leads_to_its_shard() -> None:
    kinesis = FakeKinesis(FakeClock().clock, shards=3)
    for shard in ShardMap.of(listed_shards(kinesis.client, "orders")).open_shards:
        put = kinesis.put_record(
            StreamName="orders", Data=b"x", PartitionKey="a", ExplicitHashKey=explicit_hash_key(shard)
        )
        assert put["ShardId"] == shard.shard_id


def test_closed_shards_are_known_and_lead_nowhere() -> None:
    closed = replace(listed(1)[0], closed=True)
    shards = ShardMap.of([*listed(2), closed])
    assert [shard.shard_id for shard in shards.open_shards] == ["shard-0-of-2", "shard-1-of-2"]
    assert shards.holds_all("shard-0-of-1", [f"order-{number}" for number in range(50)])
    assert not shards.holds_all("shard-0-of-2", [f"order-{number}" for number in range(50)])


def test_a_shard_that_is_not_listed_holds_nobody_knows_what() -> None:
    with pytest.raises(BrokenShardMap, match="shard-9"):
        a_map(2).holds_all("shard-9", ["order-1"])


@pytest.mark.parametrize(
    "broken", [[], listed(2)[:1], listed(2)[1:], [*listed(2), listed(4)[1]], [listed(2)[0], listed(3)[2]]]
)
def test_shards_that_do_not_cover_every_key_once_are_no_map(broken: list[Shard]) -> None:
    with pytest.raises(BrokenShardMap):
        ShardMap.of(broken)
