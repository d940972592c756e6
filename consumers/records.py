"""The stream's own vocabulary: what Kinesis delivers, and positions in a shard."""

from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from functools import total_ordering


class Sentinel(Enum):
    """Positions that are no record, by the names the KCL stores."""

    AT_TIMESTAMP = "AT_TIMESTAMP"
    TRIM_HORIZON = "TRIM_HORIZON"
    LATEST = "LATEST"
    SHARD_END = "SHARD_END"


@total_ordering
@dataclass(frozen=True, eq=False)
class SequenceNumber:
    """A user record's place in its shard: Kinesis' number, and the index inside an aggregated record (0 when plain).

    Compared as integers; `number` is stored and sent back as the text received, since some services pad it with zeros.
    """

    number: str
    sub: int = 0

    @property
    def key(self) -> tuple[int, int]:
        return int(self.number), self.sub

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SequenceNumber) and self.key == other.key

    def __lt__(self, other: "SequenceNumber") -> bool:
        return self.key < other.key

    def __hash__(self) -> int:
        return hash(self.key)

    def __str__(self) -> str:
        return f"{self.number}.{self.sub}" if self.sub else self.number


Position = SequenceNumber | Sentinel

_RANKS = {Sentinel.AT_TIMESTAMP: -3, Sentinel.TRIM_HORIZON: -2, Sentinel.LATEST: -1}


def position_key(position: Position) -> tuple[float, int]:
    """Sorts positions as the KCL does: AT_TIMESTAMP, TRIM_HORIZON, LATEST, numbers, SHARD_END."""
    if isinstance(position, SequenceNumber):
        return position.key
    return _RANKS.get(position, float("inf")), 0


@dataclass(frozen=True)
class Record:
    """One user record. `arrived_at` is Kinesis' approximate arrival time; `data` is the producer's bytes."""

    sequence_number: SequenceNumber
    partition_key: str
    arrived_at: datetime
    data: bytes


@dataclass(frozen=True)
class Batch:
    """Records of one shard in stream order; none at all when a read found nothing new.

    `after` is the position that was really read from: every record behind it, up to the last one here, is here.
    """

    stream: str
    shard_id: str
    after: Position
    records: tuple[Record, ...]
    millis_behind_latest: int
