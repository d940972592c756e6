"""Which shard takes which partition key: Kinesis routes by the key's MD5, read as a number of 128 bits. Pure.

https://docs.aws.amazon.com/kinesis/latest/APIReference/API_PutRecord.html
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from typing import Protocol, cast

HASH_KEYS = 2**128
HASH_KEY_BYTES = 16


class _Digest(Protocol):
    """What every kind of MD5 is, as far as it is used here."""

    def digest(self) -> bytes: ...


def _short_text_md5() -> Callable[[bytes], _Digest]:
    """CPython's own MD5 takes half the time of OpenSSL's for a key; not every build has it."""
    try:
        return cast("Callable[[bytes], _Digest]", import_module("_md5").md5)
    except ImportError:
        return partial(hashlib.md5, usedforsecurity=False)


md5 = _short_text_md5()


def hash_key(partition_key: str) -> int:
    """The number that Kinesis routes a record by, unless the record brings an explicit one."""
    return int.from_bytes(md5(partition_key.encode()).digest())


@dataclass(frozen=True)
class HashKeyRange:
    """The hash keys of a shard, both ends included."""

    first: int
    last: int

    def __contains__(self, hash_key: int) -> bool:
        return self.first <= hash_key <= self.last

    def overlaps(self, other: "HashKeyRange") -> bool:
        return self.first <= other.last and other.first <= self.last
