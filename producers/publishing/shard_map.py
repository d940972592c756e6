"""Which shard takes which partition key: predicted, so that what goes to one shard can share a record. Pure."""

import hashlib
from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from importlib import import_module
from typing import Any, Protocol, cast

_HASH_KEYS = 2**128
_KEY_BYTES = 16


class BrokenShardMap(ValueError):
    """Shards that leave hash keys out, or claim some twice, or miss one: a reshard is being told of half way."""


@dataclass(frozen=True)
class Shard:
    """The hash keys that a shard takes, both ends included, as 16 bytes: bytes compare as the numbers do."""

    shard_id: str
    first: bytes
    last: bytes

    @property
    def explicit_hash_key(self) -> str:
        """One that leads here. The last one: a stream that is made anew with more shards is noticed by every lane."""
        return str(int.from_bytes(self.last))


class _Digest(Protocol):
    """What every kind of MD5 is, as far as it is used here."""

    def digest(self) -> bytes: ...


def hash_key(partition_key: str) -> bytes:
    """What Kinesis routes by."""
    return _md5(partition_key.encode()).digest()


def _short_text_md5() -> Callable[[bytes], _Digest]:
    """CPython's own MD5 takes half the time of OpenSSL's for a key; not every build has it."""
    try:
        return cast("Callable[[bytes], _Digest]", import_module("_md5").md5)
    except ImportError:
        return partial(hashlib.md5, usedforsecurity=False)


_md5 = _short_text_md5()


@dataclass(frozen=True)
class ShardMap:
    """`open_shards` cover all hash keys once, in order; `known` are these and the closed ones that Kinesis still tells.

    A shard's range never changes: resharding closes it and opens others.
    """

    open_shards: tuple[Shard, ...]
    known: Mapping[str, Shard]
    _starts: list[bytes] = field(init=False, repr=False, compare=False, default_factory=list)

    def __post_init__(self) -> None:
        self._starts.extend(shard.first for shard in self.open_shards)

    @classmethod
    def of(cls, listed: Iterable[Mapping[str, Any]]) -> "ShardMap":
        """From ListShards' own words. Raises `BrokenShardMap`."""
        known, opened = {}, []
        for one in listed:
            ends = one["HashKeyRange"]
            shard = Shard(one["ShardId"], _as_bytes(ends["StartingHashKey"]), _as_bytes(ends["EndingHashKey"]))
            known[shard.shard_id] = shard
            if "EndingSequenceNumber" not in one["SequenceNumberRange"]:
                opened.append(shard)
        opened.sort(key=lambda shard: shard.first)
        _check_cover(opened)
        return cls(tuple(opened), known)

    def places_of(self, partition_keys: Iterable[str]) -> list[int]:
        """Which of the open shards takes each key; they are many, and so `hash_key` is written out here."""
        starts = self._starts
        return [bisect_right(starts, _md5(key.encode()).digest()) - 1 for key in partition_keys]

    def holds_all(self, shard_id: str, partition_keys: Iterable[str]) -> bool:
        """Whether all these keys are the shard's. Raises `BrokenShardMap` when it is not listed yet."""
        shard = self.known.get(shard_id)
        if shard is None:
            raise BrokenShardMap(f"{shard_id} has answered, and is not listed")
        return all(shard.first <= hash_key(key) <= shard.last for key in partition_keys)


def _as_bytes(number: str) -> bytes:
    return int(number).to_bytes(_KEY_BYTES)


def _check_cover(shards: list[Shard]) -> None:
    expected = 0
    for shard in shards:
        if int.from_bytes(shard.first) != expected:
            raise BrokenShardMap(f"{shard.shard_id} begins at {int.from_bytes(shard.first)}, not at {expected}")
        expected = int.from_bytes(shard.last) + 1
    if expected != _HASH_KEYS:
        raise BrokenShardMap(f"the open shards end at {expected}")
