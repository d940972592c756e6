"""What of an order has to happen by when, and what of that is settled: told, or given to the orders context. Pure."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from events import ANSWERS, EVENT_TYPES, PLACED, OrderTimeline, Upcoming

_MARK = 8
_ANSWERS = frozenset(EVENT_TYPES[event] for event in ANSWERS)


@dataclass(frozen=True)
class Deadline:
    """Something has to happen by `due`: a step, or where that is None, the order's answer, without which it expires."""

    due: datetime
    step: Upcoming | None = None

    @cached_property
    def mark(self) -> bytes:
        """Names it among those of its order: whose step it is, what that tells, and because of which event."""
        name = "\n".join((self.step.heard, self.step.actor, *self.step.tells)) if self.step else "expiry"
        return hashlib.blake2b(name.encode(), digest_size=_MARK).digest()


def deadlines_of(timeline: OrderTimeline) -> tuple[Deadline, ...]:
    """The soonest first. An order's own `accept_by` is one, and not also that of the step that was to answer it."""
    accept_by = timeline.accept_by if timeline.order_state == PLACED else None
    steps = [Deadline(one.due, one) for one in timeline.waits_for if not (one.due == accept_by and _answers(one))]
    expiry = [Deadline(accept_by)] if accept_by else []
    return tuple(sorted((*expiry, *steps), key=lambda one: one.due))


def open_deadlines(timeline: OrderTimeline, settled: bytes) -> tuple[Deadline, ...]:
    """Those that nothing has been done about yet; `settled` holds the marks of all others."""
    marks = _marks(settled)
    return tuple(one for one in deadlines_of(timeline) if one.mark not in marks)


def settling(settled: bytes, done: Iterable[Deadline]) -> bytes:
    return b"".join(sorted(_marks(settled) | {one.mark for one in done}))


def _answers(step: Upcoming) -> bool:
    return not _ANSWERS.isdisjoint(step.tells)


def _marks(settled: bytes) -> set[bytes]:
    return {settled[at : at + _MARK] for at in range(0, len(settled), _MARK)}
