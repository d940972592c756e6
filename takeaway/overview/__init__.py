"""A running stack at one moment: gathered with a time limit for each part, as one value, and told on a terminal."""

from takeaway.overview.facts import (
    ConsumerFlow,
    ConsumerOnShard,
    EventFlow,
    Lag,
    MissedDeadlines,
    OpenOrder,
    OpenOrders,
    Orders,
    Overview,
    ShardFlow,
    StepTime,
    Unknown,
    WaitingOrder,
)
from takeaway.overview.facts_told import as_facts
from takeaway.overview.findings import problems
from takeaway.overview.gathering import Gatherer
from takeaway.overview.screen import lines, order_ids

__all__ = [
    "ConsumerFlow",
    "ConsumerOnShard",
    "EventFlow",
    "Gatherer",
    "Lag",
    "MissedDeadlines",
    "OpenOrder",
    "OpenOrders",
    "Orders",
    "Overview",
    "ShardFlow",
    "StepTime",
    "Unknown",
    "WaitingOrder",
    "as_facts",
    "lines",
    "order_ids",
    "problems",
]
