"""The watcher: has orders expire that are unanswered in time, and tells of steps that are overdue.

It reads no stream and holds nothing: what is due it asks the tracker's table, and what it did is noted there. So one
that starts again, or later, goes on where any other stopped, and two at once are harmless.
"""

import random
from collections.abc import Callable, Sequence
from datetime import datetime

from events import Upcoming
from foundation.clock import Clock, Wait
from foundation.diagnostics import Diagnostic, Emit
from foundation.dynamodb import Outcome, Rounds
from producers.deadlines.diagnostics import ExpiryRefused, NotWatched, OrderGivenUp, StepOverdue, WatcherStands
from producers.deadlines.judging import due, overdue
from producers.orders import Done, Ordering, Refusal, TooEarly, Unacknowledged, WrongState, error_kind
from producers.tracking import DUE_KEYS, Deadline, TrackedOrders


class Watcher:
    """`read_until` answers up to when the tracker has read the stream; None where that is unknown."""

    def __init__(
        self,
        tracked: TrackedOrders,
        ordering: Ordering,
        read_until: Callable[[], datetime | None],
        *,
        clock: Clock,
        wait: Wait,
        emit: Emit,
        jitter: random.Random,
    ) -> None:
        self._tracked = tracked
        self._ordering = ordering
        self._read_until = read_until
        self._clock = clock
        self._emit = emit
        self._rounds = Rounds(DUE_KEYS, self._find, self._see_to, self._stands, clock=clock, wait=wait, jitter=jitter)

    def run(self) -> None:
        """Until `wait` says that the process stops."""
        self._rounds.run()

    def look(self) -> bool:
        """One look at every part of the index; False when it was given up for want of a service."""
        return self._rounds.round()

    def _find(self, part: int, limit: int) -> Sequence[str]:
        return [one.order_id for one in self._tracked.due(part, self._clock.now(), limit)]

    def _see_to(self, order_id: str) -> Outcome:
        try:
            return self._seen_to(order_id)
        except Exception as error:  # noqa: BLE001 - of this order, or of all: that the next ones fail too will tell
            return self._failed(order_id, error_kind(error))

    def _seen_to(self, order_id: str) -> Outcome:
        order, now = self._tracked.get(order_id), self._clock.now()
        if order is None:
            return Outcome.DONE
        told: dict[Deadline, Diagnostic] = {}
        expiry, steps = due(order.deadlines, now)
        if expiry:
            # guarantee: an order that is unanswered in time expires though nobody asks
            answer = self._ordering.expire(order_id)
            # What is stored and not published yet, or due by another clock than ours, is asked for again.
            if isinstance(answer, Unacknowledged | TooEarly):
                return self._failed(order_id, type(answer).__name__)
            told[expiry] = _given_up(order_id, expiry, answer, now)
        late: tuple[Deadline, ...] = ()
        if steps:
            read_until = self._read_until()
            # guarantee: a step is judged by an order that is read behind how far the tracker was
            order = self._tracked.get(order_id) or order
            steps = due(order.deadlines, now)[1]
            late = overdue(steps, read_until)
        told |= {one: _step_overdue(order_id, one.step) for one in late if one.step}
        # guarantee: what is due is seen to once
        for news in self._tracked.settle(order, tuple(told)):
            self._emit(told[news])
        # Steps that may have been done, if the tracker only had read so far.
        return Outcome.DONE if len(late) == len(steps) else Outcome.LATER

    def _failed(self, order_id: str, error: str) -> Outcome:
        self._emit(NotWatched(order_id, error))
        return Outcome.FAILED

    def _stands(self, error: Exception) -> None:
        self._emit(WatcherStands(error_kind(error)))


def _given_up(order_id: str, expiry: Deadline, answer: Done | Refusal, now: datetime) -> Diagnostic:
    if isinstance(answer, Refusal):
        return ExpiryRefused(order_id, answer.state if isinstance(answer, WrongState) else type(answer).__name__)
    return OrderGivenUp(order_id, expiry.due, round((now - expiry.due).total_seconds(), 3))


def _step_overdue(order_id: str, step: Upcoming) -> Diagnostic:
    return StepOverdue(
        order_id,
        step.actor,
        step.owner,
        " or ".join(step.tells),
        step.because_of,
        step.heard,
        step.since,
        step.due,
    )
