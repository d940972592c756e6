"""The order tracker's store: what was seen of each order, joined write by write; lists of orders, and what is due."""

from producers.tracking.deadlines import Deadline, deadlines_of
from producers.tracking.item import OrderUnreadable, TimelineFull, TrackedOrder
from producers.tracking.pages import BadCursor, ListedOrder, Page
from producers.tracking.read_shards import ReadShards
from producers.tracking.table import DUE_KEYS, OPEN_KEYS, Contested, DueOrder, OpenOrder, TrackedOrders

__all__ = [
    "DUE_KEYS",
    "OPEN_KEYS",
    "BadCursor",
    "Contested",
    "Deadline",
    "DueOrder",
    "ListedOrder",
    "OpenOrder",
    "OrderUnreadable",
    "Page",
    "ReadShards",
    "TimelineFull",
    "TrackedOrder",
    "TrackedOrders",
    "deadlines_of",
]
