"""The order tracker's store: what was seen of each order, joined write by write; lists of orders, and what is due."""

from producers.tracking.item import TimelineFull, TrackedOrder
from producers.tracking.pages import BadCursor, ListedOrder, Page
from producers.tracking.table import DUE_KEYS, Contested, DueOrder, TrackedOrders

__all__ = [
    "DUE_KEYS",
    "BadCursor",
    "Contested",
    "DueOrder",
    "ListedOrder",
    "Page",
    "TimelineFull",
    "TrackedOrder",
    "TrackedOrders",
]
