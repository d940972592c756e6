"""Asks the tracker which orders are open, what they wait for, and how long steps took lately."""

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from events import FINAL, OrderTimeline
from producers.tracking import OPEN_KEYS, OpenOrder, ReadShards, TrackedOrders
from takeaway.overview import facts
from takeaway.overview.facts import MissedDeadlines, OpenOrders, Orders
from takeaway.overview.steps import missed_deadlines, step_times

# One request gives a hundred items: the oldest that are open, where something waits, and others, where it flows.
_OLDEST, _LATELY = 60, 40
_MISSED_SHOWN = 10


@dataclass(frozen=True)
class FoundOpen:
    """All orders that are open, the oldest first; whether there are `more`."""

    orders: tuple[OpenOrder, ...]
    more: bool


@dataclass(frozen=True)
class OrdersLook:
    """`open_shards` names those that take records now. `speed` is that of simulated people."""

    tracked: TrackedOrders
    read_shards: ReadShards
    open_shards: Callable[[], Collection[str]]
    speed: float

    def open(self) -> FoundOpen:
        """A query for each part of all orders. Raises what DynamoDB answers."""
        found: list[OpenOrder] = []
        more = False
        for key in OPEN_KEYS:
            orders, others = self.tracked.open(key)
            found += orders
            more = more or others
        return FoundOpen(tuple(sorted(found, key=lambda one: (one.placed_at, one.order_id))), more)

    def told(self, found: FoundOpen, lately: Sequence[str], now: datetime) -> Orders:
        """With the oldest of them, and with orders of which something happened `lately`. Two requests, and a listing.

        Raises what DynamoDB and Kinesis answer.
        """
        oldest = [one.order_id for one in found.orders[:_OLDEST]]
        # Before the orders: one that was read earlier would lack what the tracker has read since.
        reached = self.read_shards.until(self.open_shards())
        read = self.tracked.get_many([*oldest, *lately[:_LATELY]])
        timelines = [one.timeline for one in read.values()]
        return orders_told(found.orders, timelines, oldest, now, reached=reached, more=found.more, speed=self.speed)


def orders_told(
    found: Sequence[OpenOrder],
    timelines: Sequence[OrderTimeline],
    oldest: Collection[str],
    now: datetime,
    *,
    reached: datetime | None,
    more: bool,
    speed: float,
) -> Orders:
    """`found` are all that are open, the oldest first, of which those named `oldest` are among the timelines. Pure."""
    some = [one for one in timelines if one.order_id in oldest]
    missed = missed_deadlines(some, min(now, reached) if reached else None)
    return Orders(
        open_orders(found, more=more),
        MissedDeadlines(len(missed), more or len(found) > len(some), len(some), missed[:_MISSED_SHOWN]),
        step_times(timelines, now, speed=speed),
    )


def open_orders(found: Iterable[OpenOrder], *, more: bool) -> OpenOrders:
    """Those in no final state; of the others only a step is still to come."""
    counts: dict[str, int] = {}
    oldest: dict[str, facts.OpenOrder] = {}
    for one in found:
        if one.state in FINAL:
            continue
        counts[one.state] = counts.get(one.state, 0) + 1
        there = oldest.get(one.state)
        if there is None or one.placed_at < there.placed_at:
            oldest[one.state] = facts.OpenOrder(one.order_id, one.state, one.placed_at)
    return OpenOrders(counts, oldest, more)
