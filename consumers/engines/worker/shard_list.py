"""The shards of a stream, as Kinesis names them."""

from typing import TYPE_CHECKING

from consumers.engines.worker.lease import HashKeyRange
from consumers.engines.worker.lease_plan import Shard

if TYPE_CHECKING:
    from mypy_boto3_kinesis import KinesisClient
    from mypy_boto3_kinesis.type_defs import GetRecordsOutputTypeDef, HashKeyRangeTypeDef, ShardTypeDef


def listed_shards(kinesis: "KinesisClient", stream: str) -> list[Shard]:
    """Every shard that still holds records or may get some. Raises what Kinesis answers."""
    page = kinesis.list_shards(StreamName=stream)
    shards = page["Shards"]
    while token := page.get("NextToken"):
        page = kinesis.list_shards(NextToken=token)
        shards = shards + page["Shards"]
    return [_shard(shard) for shard in shards]


def children_of(shard_id: str, answer: "GetRecordsOutputTypeDef") -> tuple[Shard, ...]:
    """The children that the last answer of a shard names."""
    return tuple(
        Shard(child["ShardId"], _hash_keys(child["HashKeyRange"]), frozenset(child["ParentShards"]) | {shard_id})
        for child in answer.get("ChildShards", ())
    )


def _shard(shard: "ShardTypeDef") -> Shard:
    parents = {shard.get("ParentShardId"), shard.get("AdjacentParentShardId")}
    return Shard(
        shard["ShardId"],
        _hash_keys(shard["HashKeyRange"]),
        frozenset(parent for parent in parents if parent),
        closed="EndingSequenceNumber" in shard["SequenceNumberRange"],
    )


def _hash_keys(hash_keys: "HashKeyRangeTypeDef") -> HashKeyRange:
    return HashKeyRange(int(hash_keys["StartingHashKey"]), int(hash_keys["EndingHashKey"]))
