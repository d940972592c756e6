"""What mining finds: edges, variants, and orders that deviate."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import Enum

from events import Step


class Kind(Enum):
    """How an order can deviate from the declared flow; the worst first."""

    NEVER_PLACED = "never placed"
    WRONG_ORDER = "wrong order"
    CONTRADICTORY = "contradictory"
    MISSING = "missing"
    TWICE = "twice"
    LATE = "late"
    OVERDUE = "overdue"


@dataclass(frozen=True)
class Edge:
    """How often a step told an event, and the seconds from the event heard to the one told; by `occurred_at`.

    `p50` and `p95` are None for a step that hears nothing, and where `count` is 0. Of events that come before what they
    answer none is counted. `late` are those after the step's deadline, which is `deadline` seconds; None for no end.
    Of an answer it is that of orders without an `accept_by`.
    """

    step: Step
    told: str
    count: int
    p50: float | None
    p95: float | None
    late: int
    deadline: float | None


@dataclass(frozen=True)
class Variant:
    """One sequence of event types, and the orders that went so."""

    events: tuple[str, ...]
    orders: int


@dataclass(frozen=True)
class Deviation:
    """What one order does otherwise than declared.

    - never placed: `events` is its first event.
    - wrong order: `events` is the event, and `seconds` how long it comes before what `step` hears; None for both when
      nothing that it may answer is there.
    - contradictory: `events` exclude each other.
    - missing, overdue: `step` heard, `seconds` before the newest event, and has told nothing.
    - twice: `events` is there `times` times.
    - late: `step` told `events` `seconds` after it heard.

    `times` counts alike ones of the order; `seconds` is of the worst. `deadline` is how many seconds after what it
    heard a late, missing or overdue step was due: below 0 where the order's `accept_by` was over by then.
    """

    kind: Kind
    order_id: str
    events: tuple[str, ...]
    step: Step | None
    seconds: float | None
    times: int
    deadline: float | None = None


@dataclass(frozen=True)
class Mined:
    """The flow as it ran.

    `newest` is what "now" is for the events: the newest `occurred_at`, where an event counts as no newer than it
    arrived; None without events. `variants` are the most frequent ones, `other_variants` counts the rest and
    `other_orders` their orders. `deviating` counts orders, `kinds` orders by kind, an order of two kinds under both;
    `deviations` has some orders of each kind, those that began last first.
    """

    events: int
    orders: int
    newest: datetime | None
    edges: tuple[Edge, ...]
    variants: tuple[Variant, ...]
    other_variants: int
    other_orders: int
    deviating: int
    kinds: Mapping[Kind, int]
    deviations: tuple[Deviation, ...]
