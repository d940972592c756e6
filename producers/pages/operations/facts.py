"""What the operations page shows, as values that are handed in: no name and no address of a customer is among them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True)
class ShardRow:
    """What a shard takes in a second; `share` is of its limit that is nearer. None where it is not known."""

    shard_id: str
    records: float | None
    kibibytes: float | None
    share: float | None
    is_hot: bool = False


@dataclass(frozen=True)
class ConsumerRow:
    """`lag` is records in words, as `≥50,000`; `waiting` counts those that wait for it by event type, None if unknown.

    `is_well`: it moves, or has nothing to do. `order_id` is the oldest order that waits for it.
    """

    name: str
    is_well: bool
    lag: str
    waits: str
    letters: str
    owner: str
    waiting: Mapping[str, int] | None = None
    order_id: str | None = None


@dataclass(frozen=True)
class OldestOrder:
    """How many orders are in a state, in words, and the first placed of them."""

    state: str
    count: str
    order_id: str
    placed_at: datetime


@dataclass(frozen=True)
class LateStep:
    """A step that was due: `actor` was to tell `tells`; `owner` answers for it."""

    order_id: str
    actor: str
    tells: str
    owner: str
    due: datetime


@dataclass(frozen=True)
class Operations:
    """One look. `counts` are events by type since `since`, `rates` a second now. `unknown` says what was not told, why.

    `missed` is how many deadlines were, in words.
    """

    at: datetime
    since: datetime
    problems: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()
    counts: Mapping[str, int] = field(default_factory=dict)
    rates: Mapping[str, float] = field(default_factory=dict)
    shards: tuple[ShardRow, ...] = ()
    consumers: tuple[ConsumerRow, ...] = ()
    orders: tuple[OldestOrder, ...] = ()
    missed: str = "0"
    late: tuple[LateStep, ...] = ()
    slowest: str = ""
