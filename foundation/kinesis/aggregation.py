"""The Kinesis Producer Library's aggregated record, packed: many records of one shard travel as one. Pure.

https://github.com/awslabs/amazon-kinesis-producer/blob/master/aggregation-format.md

The bytes are a magic number of four, a protobuf message, and the message's MD5. The message has a table of partition
keys, a table of explicit hash keys, and the records: each has its data, and the index of its key in the table. The KPL
puts the whole under partition key `a` and routes it by an explicit hash key of the shard it was packed for; where a
record in it belongs to another shard, readers drop the whole, since the KPL sends it again (`deaggregation`).

The protobuf message is written a few hundred records at a time, column by column: a step of Python for each field of
each record would cost as much as the checksum. Fields may come in any order, and a number in more bytes than it needs.
"""

import hashlib
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from itertools import accumulate, chain, islice
from operator import add
from typing import Generic, Protocol, TypeVar

import msgspec

# The KPL's default: two of the 25 KB units that AWS counts, and about 130 order events.
AGGREGATE_BYTES = 51_200
# Readers know by it that the rule about other shards' records holds.
AGGREGATE_KEY = "a"

_MAGIC = b"\xf3\x89\x9a\xc2"
_OVERHEAD_BYTES = len(AGGREGATE_KEY) + len(_MAGIC) + 16
# Tags of protobuf fields: in the message the table of keys and the records, in a record its data and its key's index.
_TABLE_KEY, _RECORD = b"\x0a", b"\x1a"
_DATA, _KEY_INDEX = b"\x1a", b"\x08"
# An index has two bytes, which tell so many keys apart; an aggregate of a mebibyte rarely has more.
_INDEX_BYTES = 2
_MOST_KEYS = 128**_INDEX_BYTES
# The most that stands around the data and the key of a record of at most 10 MiB.
_MOST_FRAMING = 1 + 4 + 1 + 4 + 1 + _INDEX_BYTES + 3
_AT_ONCE = 256
# What is left of the limit when an aggregate counts as full: a sixteenth.
_FULL_ENOUGH = 16
_REMEMBERED_LENGTHS = 8192


class UserRecord(Protocol):
    """What is packed: a record with its own partition key."""

    @property
    def partition_key(self) -> str: ...

    @property
    def data(self) -> bytes: ...


RecordT = TypeVar("RecordT", bound=UserRecord)


class Packed(msgspec.Struct, Generic[RecordT], frozen=True, gc=False):
    """`records` are what is in it, in order: more than one travel as an aggregate, one travels plain."""

    records: list[RecordT]
    data: bytes
    partition_key: str

    @property
    def aggregated(self) -> bool:
        return len(self.records) > 1


def pack(waiting: Iterable[RecordT], limit: int) -> Packed[RecordT]:
    """The first records that fit into `limit` bytes, outer key included; the very first one fits always.

    A lone one stays plain: any consumer reads it, and Kinesis itself finds its shard.
    """
    records = iter(waiting)
    lone = next(records)
    # Not many more are looked at than fit, if they are like the first one.
    likely = limit // (len(lone.data) + len(lone.partition_key) + _MOST_FRAMING) + 1
    some = [lone, *islice(records, min(likely, _AT_ONCE))]
    taken: list[RecordT] = []
    parts: list[bytes] = []
    indices: dict[str, bytes] = {}
    left = limit - _OVERHEAD_BYTES
    digest = hashlib.md5(usedforsecurity=False)
    while some and len(indices) + len(some) <= _MOST_KEYS:
        keys = [record.partition_key for record in some]
        datas = [record.data for record in some]
        # A key that is repeated takes no room: what is counted too much is left for the next turn.
        ends = list(accumulate(_most_bytes(datas, keys)))
        fitting = len(some) if ends[-1] <= left else bisect_right(ends, left)
        if not fitting:
            break
        rest = some[fitting:]
        del some[fitting:], keys[fitting:], datas[fitting:]
        for part in (_table(keys, indices), _records(datas, keys, indices)):
            left -= len(part)
            digest.update(part)
            parts.append(part)
        taken += some
        if rest and left < limit // _FULL_ENOUGH:
            break
        some = rest or list(islice(records, min(likely, _AT_ONCE)))
    if len(taken) < 2:
        return Packed([lone], lone.data, lone.partition_key)
    return Packed(taken, b"".join((_MAGIC, *parts, digest.digest())), AGGREGATE_KEY)


def _most_bytes(datas: Sequence[bytes], keys: Sequence[str]) -> Iterable[int]:
    """What each record takes at most, its key included."""
    key_bytes = map(len, keys) if "".join(keys).isascii() else (len(key.encode()) for key in keys)
    return map(_MOST_FRAMING.__add__, map(add, map(len, datas), key_bytes))


def _table(keys: Sequence[str], indices: dict[str, bytes]) -> bytes:
    """The keys that are new, as they enter the table; each gets its index."""
    new = list(dict.fromkeys(keys))
    if indices:
        new = [key for key in new if key not in indices]
    indices.update(zip(new, islice(_INDICES, len(indices), None), strict=False))
    together = "".join(new)
    lengths = set(map(len, new))
    if len(lengths) == 1 and max(lengths) < 128 and together.isascii():
        # Most often keys are alike, and all their headers the same.
        header = _TABLE_KEY.decode() + chr(len(new[0]))
        return (header + header.join(new)).encode()
    encoded = [key.encode() for key in new]
    headers = map(_KEY_HEADERS.__getitem__, map(len, encoded))
    return b"".join(chain.from_iterable(zip(headers, encoded, strict=True)))


def _records(datas: Sequence[bytes], keys: Sequence[str], indices: dict[str, bytes]) -> bytes:
    headers = map(_headers.__getitem__, map(len, datas))
    return b"".join(chain.from_iterable(zip(headers, datas, map(indices.__getitem__, keys), strict=True)))


def _varint(number: int, at_least: int = 1) -> bytes:
    """Seven bits a byte, the lowest first."""
    encoded = bytearray()
    while number > 127 or len(encoded) < at_least - 1:
        encoded.append(number & 127 | 128)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)


class _Headers(dict[int, bytes]):
    """What stands before a record's data, by the bytes of the data; behind it stands its index."""

    def __missing__(self, data_bytes: int) -> bytes:
        before_data = _DATA + _varint(data_bytes)
        record_bytes = len(before_data) + data_bytes + len(_KEY_INDEX) + _INDEX_BYTES
        made = _RECORD + _varint(record_bytes) + before_data
        if len(self) < _REMEMBERED_LENGTHS:
            self[data_bytes] = made
        return made


_headers = _Headers()
_INDICES = [_KEY_INDEX + _varint(index, _INDEX_BYTES) for index in range(_MOST_KEYS)]
# Kinesis allows no key of more than 256 characters, and UTF-8 has four bytes for one at most.
_KEY_HEADERS = [_TABLE_KEY + _varint(key_bytes) for key_bytes in range(4 * 256 + 1)]
