"""The shards of a stream, as Kinesis names them."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from foundation.kinesis.get_records import ChildShard, HashKeys
from foundation.kinesis.hash_keys import HashKeyRange

if TYPE_CHECKING:
    from mypy_boto3_kinesis import KinesisClient
    from mypy_boto3_kinesis.type_defs import ShardTypeDef


@dataclass(frozen=True)
class Shard:
    """A shard as Kinesis lists it. Two parents when it came from a merge; `closed` takes no more records."""

    shard_id: str
    hash_keys: HashKeyRange
    parents: frozenset[str] = frozenset()
    closed: bool = False


def listed_shards(kinesis: "KinesisClient", stream: str) -> list[Shard]:
    """Every shard that still holds records or may get some. Raises what Kinesis answers."""
    page = kinesis.list_shards(StreamName=stream)
    shards = page["Shards"]
    while token := page.get("NextToken"):
        page = kinesis.list_shards(NextToken=token)
        shards = shards + page["Shards"]
    return [_shard(shard) for shard in shards]


def is_gone(kinesis: "KinesisClient", stream: str, shard_id: str) -> bool:
    """True when the stream is there and the shard is not; without the stream there is nothing to conclude."""
    try:
        shards = listed_shards(kinesis, stream)
    except (ClientError, BotoCoreError):
        return False
    return all(shard.shard_id != shard_id for shard in shards)


def is_closed(kinesis: "KinesisClient", stream: str, shard_id: str) -> bool:
    """True when nothing more comes into the shard, whether or not all of it was read."""
    try:
        shards = listed_shards(kinesis, stream)
    except (ClientError, BotoCoreError):
        return False
    return any(shard.closed for shard in shards if shard.shard_id == shard_id)


def children_of(shard_id: str, children: Iterable[ChildShard]) -> tuple[Shard, ...]:
    """The children of a shard, as its last answer names them."""
    return tuple(
        Shard(child["ShardId"], _hash_keys(child["HashKeyRange"]), frozenset(child["ParentShards"]) | {shard_id})
        for child in children
    )


def _shard(shard: "ShardTypeDef") -> Shard:
    parents = {shard.get("ParentShardId"), shard.get("AdjacentParentShardId")}
    return Shard(
        shard["ShardId"],
        _hash_keys(shard["HashKeyRange"]),
        frozenset(parent for parent in parents if parent),
        closed="EndingSequenceNumber" in shard["SequenceNumberRange"],
    )


def _hash_keys(hash_keys: HashKeys) -> HashKeyRange:
    return HashKeyRange(int(hash_keys["StartingHashKey"]), int(hash_keys["EndingHashKey"]))
