"""Which deadlines were missed, from the timelines of some orders. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from events import OrderTimeline
from producers.deadlines import overdue
from producers.tracking import deadlines_of


@dataclass(frozen=True)
class MissedDeadline:
    """A step that was due and has not come: `actor` was to tell one of `tells`. `owner` answers for it."""

    order_id: str
    actor: str
    owner: str
    tells: tuple[str, ...]
    due: datetime


def missed_deadlines(timelines: Iterable[OrderTimeline], reached: datetime | None) -> tuple[MissedDeadline, ...]:
    """Steps that were due, and have not come as far as the tracker has read: until `reached`. The oldest first.

    Where that is None nothing is said to be missed: the tracker may only not have read it. That an order was not
    answered by its own `accept_by` is told by its expiry, which is a step of its own.
    """
    found = [
        MissedDeadline(timeline.order_id, step.actor, step.owner, step.tells, step.due)
        for timeline in timelines
        for one in overdue([one for one in deadlines_of(timeline) if one.step], reached)
        if (step := one.step)
    ]
    return tuple(sorted(found, key=lambda one: (one.due, one.order_id)))
