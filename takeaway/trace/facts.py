"""What is known of one order, as values: where each of its events was seen, what failed, and how far one looked."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum

from consumers.steps import Attempts
from events import Header
from foundation.kinesis import SequenceNumber, StreamPosition


class Source(Enum):
    """Where an event was seen. The orders table has what a command stored, before it is on the stream."""

    LAKE = "lake"
    STREAM = "stream"
    ORDERS_TABLE = "orders table"


@dataclass(frozen=True)
class Sighting:
    """An event at one place. `place` and `arrived_at` (Kinesis' time) are None in the orders table.

    `acknowledged`: Kinesis has it; in the orders table that is noted, or not yet. `accept_by` is by when the order
    is to be answered, where the event says so. Shards have the names that the lake
    knows them by.
    """

    header: Header
    source: Source
    place: StreamPosition | None = None
    arrived_at: datetime | None = None
    acknowledged: bool = True
    accept_by: datetime | None = None


@dataclass(frozen=True)
class Unreadable:
    """A record about the order that is no event of any release; `why` quotes nothing of it."""

    place: StreamPosition
    arrived_at: datetime
    why: str


@dataclass(frozen=True)
class SetApart:
    """A dead letter about a record of the order. What only the letter's sealed part tells is None where it is shut.

    `shown_by` is as much of its key as `takeaway dlq show` needs; `kind` is the class of the error.
    """

    consumer: str
    place: StreamPosition
    shown_by: str
    dropped: bool = False
    kind: str | None = None
    failed_at: datetime | None = None
    attempts: int | None = None


@dataclass(frozen=True)
class Remembered:
    """An effect that a consumer had for an event heard, and the event that it tells: from the table of outcomes.

    `told` is None of an effect alone, `attempts` where the first one worked or none were kept.
    """

    consumer: str
    heard: str
    told: Header | None
    channel: str | None = None
    message_id: str | None = None
    attempts: Attempts | None = None


@dataclass(frozen=True)
class ShardRead:
    """How much of a shard was read: what came behind the place that the lake has, and what came since `since`.

    `up_to_tip` and `since_first` say whether each was read whole; `last` is the arrival of the last record read on the
    way to the tip. `since_first` is None where nothing is known of the order that would say since when.
    """

    shard_id: str
    up_to_tip: bool
    last: datetime | None = None
    since: datetime | None = None
    since_first: bool | None = None


@dataclass(frozen=True)
class Looked:
    """Where one looked. `lake_version` is None where there is no lake; `letters_unread` may or may not be the order's.

    `not_looked` says in words what could not be asked, and why.
    """

    lake_version: int | None = None
    shards: tuple[ShardRead, ...] = ()
    letters: int = 0
    letters_unread: int = 0
    not_looked: tuple[str, ...] = ()

    @property
    def is_whole(self) -> bool:
        """Whether the stream was read as far as was meant."""
        return all(one.up_to_tip and one.since_first is not False for one in self.shards)


@dataclass(frozen=True)
class OrderFacts:
    """All that was found of an order. `archived` is, by shard, the last place that the lake accounts for."""

    order_id: str
    sightings: tuple[Sighting, ...] = ()
    unreadable: tuple[Unreadable, ...] = ()
    set_apart: tuple[SetApart, ...] = ()
    remembered: tuple[Remembered, ...] = ()
    archived: Mapping[str, SequenceNumber] = field(default_factory=dict)
    looked: Looked = Looked()

    @property
    def found_nothing(self) -> bool:
        return not (self.sightings or self.unreadable or self.set_apart)
