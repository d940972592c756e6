"""People's minutes shrink with the speed; whether an answer comes in time stays as the kitchen planned it."""

import math
from datetime import timedelta

import pytest

from producers.load.live.pace import LAST_MOMENT, LONGEST_DELAY, TOO_LATE, answer_seconds, completion_seconds
from producers.load.live.restaurants import longest_ticket
from producers.load.market.kitchen import ANSWER_DEADLINE, KitchenPlan
from producers.orders.requests import AcceptOrder


def plan(answer_after: float, *, forgets: bool = False) -> KitchenPlan:
    return KitchenPlan(
        AcceptOrder(ready_in_minutes=10), answer_after, preparation=12.0, turned_away=False, forgets=forgets
    )


@pytest.mark.parametrize("speed", [1.0, 60.0, 400.0, 1e6])
@pytest.mark.parametrize("left", [0.01, 8.5, 600.0])
def test_who_means_to_answer_in_time_does_and_who_does_not_is_late(speed: float, left: float) -> None:
    for minutes in (0.0, 1.5, 9.99):
        in_time = answer_seconds(plan(minutes), speed, left)
        assert in_time is not None
        assert in_time <= min(minutes * 60 / speed, left * LAST_MOMENT)
    for minutes in (ANSWER_DEADLINE, 11.0, 1000.0):
        late = answer_seconds(plan(minutes), speed, left)
        assert late is not None
        assert left + TOO_LATE <= late <= left + max(LONGEST_DELAY * 60 / speed, TOO_LATE)
    assert answer_seconds(plan(math.inf), speed, left) is None


def test_a_ticket_that_comes_when_time_is_over_is_answered_at_once() -> None:
    assert answer_seconds(plan(3.0), 60.0, -5.0) == 0.0
    assert answer_seconds(plan(11.0), 60.0, -5.0) == 1.0


def test_a_ticket_ends_within_the_longest() -> None:
    for speed in (1.0, 60.0):
        late = answer_seconds(plan(1000.0), speed, 600.0 / speed)
        assert late is not None
        for forgets in (False, True):
            whole = late + completion_seconds(plan(1.0, forgets=forgets), speed)
            assert timedelta(seconds=whole) < longest_ticket(speed)
    assert completion_seconds(plan(1.0, forgets=True), 60.0) == completion_seconds(plan(1.0), 60.0) + 30
