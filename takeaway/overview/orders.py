"""Asks the tracker which orders are open, what they wait for, and how long steps took lately."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from events import FINAL, OrderTimeline
from producers.tracking import OpenOrder
from takeaway.overdue import FoundOpen, OpenLook, missed_deadlines
from takeaway.overview import facts
from takeaway.overview.facts import MissedDeadlines, OpenOrders, Orders
from takeaway.overview.steps import step_times

# One request gives a hundred items: the oldest that are open, where something waits, and others, where it flows.
_OLDEST, _LATELY = 60, 40
_MISSED_SHOWN = 10


@dataclass(frozen=True)
class OrdersLook:
    look: OpenLook

    def told(self, found: FoundOpen, lately: Sequence[str], now: datetime) -> Orders:
        """With the oldest of them, and with orders of which something happened `lately`. Two requests, and a listing.

        Raises what DynamoDB and Kinesis answer.
        """
        oldest = [one.order_id for one in found.orders[:_OLDEST]]
        read = self.look.read([*oldest, *lately[:_LATELY]], now)
        return orders_told(
            found.orders, read.timelines, oldest, now, reached=read.reached, more=found.more, speed=self.look.speed
        )


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
    """`found` are all that are open, the oldest first, of which those named `oldest` are among the timelines. Pure.

    The tracker has read until `reached`.
    """
    some = [one for one in timelines if one.order_id in oldest]
    missed = missed_deadlines(some, reached)
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
