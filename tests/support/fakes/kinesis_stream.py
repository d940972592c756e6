"""A stream's shards in memory: routing, numbers, resharding, trimming and the limits of one shard."""

import hashlib
import itertools
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

HASH_KEYS = 2**128
MEBIBYTE = 1024 * 1024

# Per shard: https://docs.aws.amazon.com/streams/latest/dev/service-sizes-and-limits.html
READS_PER_SECOND = 5
READ_BYTES_PER_SECOND = 2 * MEBIBYTE
WRITTEN_RECORDS_PER_SECOND = 1000
WRITTEN_BYTES_PER_SECOND = MEBIBYTE


def hash_key(partition_key: str) -> int:
    return int.from_bytes(hashlib.md5(partition_key.encode(), usedforsecurity=False).digest())


@dataclass
class Rate:
    """How often something may happen in any one second."""

    per_second: float
    _seen: deque[tuple[float, float]] = field(default_factory=deque)

    def allows(self, now: float, amount: float = 1) -> bool:
        while self._seen and self._seen[0][0] <= now - 1 + 1e-6:
            self._seen.popleft()
        return sum(seen for _, seen in self._seen) + amount <= self.per_second

    def count(self, now: float, amount: float = 1) -> None:
        self._seen.append((now, amount))


@dataclass
class Shard:
    """Records by offset; an offset never changes its meaning, trimmed or not."""

    shard_id: str
    first_hash_key: int
    last_hash_key: int
    first_number: str
    parents: tuple[str, ...] = ()
    last_number: str | None = None
    closed_at: datetime | None = None
    children: tuple["Shard", ...] = ()
    records: list[dict[str, Any]] = field(default_factory=list)
    trimmed: int = 0
    reads: Rate = field(default_factory=lambda: Rate(READS_PER_SECOND))
    iterators: Rate = field(default_factory=lambda: Rate(READS_PER_SECOND))
    written_records: Rate = field(default_factory=lambda: Rate(WRITTEN_RECORDS_PER_SECOND))
    written_bytes: Rate = field(default_factory=lambda: Rate(WRITTEN_BYTES_PER_SECOND))
    # Bytes already read are paid back at the shard's rate: a call of 10 MB keeps the next one off for 5 seconds.
    # https://docs.aws.amazon.com/kinesis/latest/APIReference/API_GetRecords.html
    paid_at: float = 0.0
    refused_until: float = 0.0

    def allows_read(self, now: float) -> bool:
        return self.reads.allows(now) and self.refused_until <= now

    def count_read(self, now: float, size: int) -> None:
        """What comes to less than a second's worth of bytes keeps nobody off."""
        self.reads.count(now)
        self.paid_at = max(self.paid_at, now) + size / READ_BYTES_PER_SECOND
        if self.paid_at - now > 1:
            self.refused_until = self.paid_at

    def described(self) -> dict[str, Any]:
        """As ListShards shows it."""
        numbers = {"StartingSequenceNumber": self.first_number}
        if self.last_number is not None:
            numbers["EndingSequenceNumber"] = self.last_number
        parents = dict(zip(("ParentShardId", "AdjacentParentShardId"), self.parents, strict=False))
        return {
            "ShardId": self.shard_id,
            "HashKeyRange": self.hash_key_range,
            "SequenceNumberRange": numbers,
            **parents,
        }

    def described_as_child(self) -> dict[str, Any]:
        """As GetRecords shows it in ChildShards."""
        return {"ShardId": self.shard_id, "ParentShards": list(self.parents), "HashKeyRange": self.hash_key_range}

    @property
    def hash_key_range(self) -> dict[str, str]:
        return {"StartingHashKey": str(self.first_hash_key), "EndingHashKey": str(self.last_hash_key)}

    def trim(self, horizon: datetime) -> None:
        while self.trimmed < len(self.records) and self.records[self.trimmed]["ApproximateArrivalTimestamp"] < horizon:
            self.trimmed += 1

    def offset_of(self, number: str) -> int | None:
        """Where the record of this number is; the shard's own first number stands before all records."""
        if number == self.first_number:
            return 0
        offsets = (offset for offset, record in enumerate(self.records) if record["SequenceNumber"] == number)
        return next(offsets, None)

    def offset_at(self, moment: datetime) -> int:
        later = (at for at, record in enumerate(self.records) if record["ApproximateArrivalTimestamp"] >= moment)
        return next(later, len(self.records))


class Stream:
    """Shards of one stream; the hash key space is always covered exactly once by its open shards."""

    def __init__(self, name: str, shards: int, created_at: datetime, *, number_width: int) -> None:
        self.name = name
        self.created_at = created_at
        self.retention = timedelta(hours=24)
        self.shards: dict[str, Shard] = {}
        self._number_width = number_width
        self._numbers = 0
        bounds = [HASH_KEYS * index // shards for index in range(shards + 1)]
        for first, after in itertools.pairwise(bounds):
            self._add(first, after - 1, ())

    @property
    def open_shards(self) -> list[Shard]:
        return [shard for shard in self.shards.values() if shard.closed_at is None]

    def shard_of(self, key: int) -> Shard:
        return next(shard for shard in self.open_shards if shard.first_hash_key <= key <= shard.last_hash_key)

    def append(self, key: int, partition_key: str | None, data: bytes, arrived_at: datetime) -> tuple[Shard, str]:
        shard = self.shard_of(key)
        number = self.next_number()
        record = {"SequenceNumber": number, "ApproximateArrivalTimestamp": arrived_at, "Data": data}
        shard.records.append(record if partition_key is None else {**record, "PartitionKey": partition_key})
        return shard, number

    def next_number(self) -> str:
        """Rises by more than one, has 56 digits as on AWS, and leading zeros when the width asks for more."""
        self._numbers += 1
        return str(49 * 10**54 + self._numbers * 1000 + 2).zfill(self._number_width)

    def reshard(self, parents: Iterable[Shard], bounds: list[int], now: datetime) -> list[Shard]:
        """Closes the parents and opens a child from each bound to the next."""
        closed = list(parents)
        for parent in closed:
            parent.closed_at = now
            parent.last_number = self.next_number()
        identifiers = tuple(parent.shard_id for parent in closed)
        children = [self._add(first, after - 1, identifiers) for first, after in itertools.pairwise(bounds)]
        for parent in closed:
            parent.children = tuple(children)
        return children

    def trim(self, now: datetime) -> None:
        """Drops what is past retention, and closed shards that hold nothing any more."""
        horizon = now - self.retention
        for shard in list(self.shards.values()):
            shard.trim(horizon)
            if shard.closed_at is not None and shard.closed_at < horizon:
                del self.shards[shard.shard_id]

    def _add(self, first: int, last: int, parents: tuple[str, ...]) -> Shard:
        index = max((int(shard_id[-12:]) for shard_id in self.shards), default=-1) + 1
        shard = Shard(f"shardId-{index:012d}", first, last, self.next_number(), parents)
        self.shards[shard.shard_id] = shard
        return shard
