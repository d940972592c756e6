"""The stream's own vocabulary: what Kinesis delivers, and positions in a shard."""

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum

import msgspec


class Sentinel(Enum):
    """Positions that are no record, by the names the KCL stores."""

    AT_TIMESTAMP = "AT_TIMESTAMP"
    TRIM_HORIZON = "TRIM_HORIZON"
    LATEST = "LATEST"
    SHARD_END = "SHARD_END"

    def __str__(self) -> str:
        return self.value


class SequenceNumber(
    msgspec.Struct, frozen=True, eq=False, rename={"number": "sequence_number", "sub": "sub_sequence_number"}
):
    """A user record's place in its shard: Kinesis' number, and the index inside an aggregated record (0 when plain).

    Compared as integers; `number` is stored and sent back as the text received, since some services pad it with zeros.
    As JSON it has the long names, by which the lake has always written it.
    """

    number: str
    sub: int = 0

    @property
    def key(self) -> tuple[int, int]:
        return int(self.number), self.sub

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SequenceNumber) and self.key == other.key

    def __ne__(self, other: object) -> bool:
        # A struct has one of its own, which would not ask the above.
        return not self == other

    def __lt__(self, other: "SequenceNumber") -> bool:
        return self.key < other.key

    def __le__(self, other: "SequenceNumber") -> bool:
        return self.key <= other.key

    def __gt__(self, other: "SequenceNumber") -> bool:
        return self.key > other.key

    def __ge__(self, other: "SequenceNumber") -> bool:
        return self.key >= other.key

    def __hash__(self) -> int:
        return hash(self.key)

    def __str__(self) -> str:
        return f"{self.number}.{self.sub}" if self.sub else self.number


Position = SequenceNumber | Sentinel

# Where a user record lies on its stream: the shard's id, and the number in that shard.
StreamPosition = tuple[str, SequenceNumber]

_RANKS = {Sentinel.AT_TIMESTAMP: -3, Sentinel.TRIM_HORIZON: -2, Sentinel.LATEST: -1}


def position_key(position: Position) -> tuple[float, int]:
    """Sorts positions as the KCL does: AT_TIMESTAMP, TRIM_HORIZON, LATEST, numbers, SHARD_END."""
    if isinstance(position, SequenceNumber):
        return position.key
    return _RANKS.get(position, float("inf")), 0


class Record(msgspec.Struct, frozen=True, gc=False):
    """One user record. Its fields carry the names that GetRecords gives them, so that an answer is decoded into it.

    `number` is the text received; `sub` is the place inside an aggregated record. `arrived` is Kinesis' approximate
    arrival time, in seconds since 1970; `data` is the producer's bytes. A stream that distributes records by itself
    takes them without a partition key.
    """

    number: str = msgspec.field(name="SequenceNumber")
    partition_key: str | None = msgspec.field(name="PartitionKey")
    data: bytes = msgspec.field(name="Data")
    arrived: float = msgspec.field(name="ApproximateArrivalTimestamp")
    sub: int = 0

    @property
    def sequence_number(self) -> SequenceNumber:
        return SequenceNumber(self.number, self.sub)

    @property
    def arrived_at(self) -> datetime:
        return datetime.fromtimestamp(self.arrived, UTC)


@dataclass(frozen=True)
class Batch:
    """Records of one shard in stream order; none at all when a read found nothing new.

    `after` is the position that was really read from: every record behind it, up to the last one here, is here.
    `asked_at` is when it was asked for, by the reader's clock; None where the engine does not tell.
    """

    stream: str
    shard_id: str
    after: Position
    records: tuple[Record, ...]
    millis_behind_latest: int
    asked_at: datetime | None = None
