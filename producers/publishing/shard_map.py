"""Which shard takes which partition key: predicted, so that what goes to one shard can share a record. Pure."""

from bisect import bisect_right
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from foundation.kinesis import HASH_KEY_BYTES, HASH_KEYS, Shard, hash_key, md5


class BrokenShardMap(ValueError):
    """Shards that leave hash keys out, or claim some twice, or miss one: a reshard is being told of half way."""


@dataclass(frozen=True)
class ShardMap:
    """`open_shards` cover all hash keys once, in order; `known` are these and the closed ones that Kinesis still tells.

    A shard's range never changes: resharding closes it and opens others.
    """

    open_shards: tuple[Shard, ...]
    known: Mapping[str, Shard]
    _starts: list[bytes] = field(init=False, repr=False, compare=False, default_factory=list)

    def __post_init__(self) -> None:
        # As bytes, like the digests that they are compared with: bytes compare as the numbers do.
        self._starts.extend(shard.hash_keys.first.to_bytes(HASH_KEY_BYTES) for shard in self.open_shards)

    @classmethod
    def of(cls, listed: Iterable[Shard]) -> "ShardMap":
        """From what Kinesis lists. Raises `BrokenShardMap`."""
        known = {shard.shard_id: shard for shard in listed}
        opened = sorted(
            (shard for shard in known.values() if not shard.closed), key=lambda shard: shard.hash_keys.first
        )
        _check_cover(opened)
        return cls(tuple(opened), known)

    def places_of(self, partition_keys: Iterable[str]) -> list[int]:
        """Which of the open shards takes each key; they are many, and so `hash_key` is written out here."""
        starts = self._starts
        return [bisect_right(starts, md5(key.encode()).digest()) - 1 for key in partition_keys]

    def holds_all(self, shard_id: str, partition_keys: Iterable[str]) -> bool:
        """Whether all these keys are the shard's. Raises `BrokenShardMap` when it is not listed yet."""
        shard = self.known.get(shard_id)
        if shard is None:
            raise BrokenShardMap(f"{shard_id} has answered, and is not listed")
        return all(hash_key(key) in shard.hash_keys for key in partition_keys)


def _check_cover(shards: list[Shard]) -> None:
    expected = 0
    for shard in shards:
        if shard.hash_keys.first != expected:
            raise BrokenShardMap(f"{shard.shard_id} begins at {shard.hash_keys.first}, not at {expected}")
        expected = shard.hash_keys.last + 1
    if expected != HASH_KEYS:
        raise BrokenShardMap(f"the open shards end at {expected}")
