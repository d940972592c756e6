"""Shard maps of even shards, and keys that lead to one of them."""

from functools import cache
from itertools import count

from foundation.kinesis.hash_keys import HASH_KEYS, HashKeyRange
from foundation.kinesis.shards import Shard
from producers.publishing.shard_map import ShardMap
from tests.support.fakes.kinesis_stream import hash_key


def listed(shards: int) -> list[Shard]:
    bounds = [HASH_KEYS * at // shards for at in range(shards + 1)]
    return [Shard(f"shard-{at}-of-{shards}", HashKeyRange(bounds[at], bounds[at + 1] - 1)) for at in range(shards)]


def a_map(shards: int) -> ShardMap:
    return ShardMap.of(listed(shards))


@cache
def key_in(at: int, shards: int) -> str:
    """A key of the shard at that place, of so many."""
    first, after = HASH_KEYS * at // shards, HASH_KEYS * (at + 1) // shards
    return next(key for key in map("key-{}".format, count()) if first <= hash_key(key) < after)
