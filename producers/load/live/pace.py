"""When a live restaurant does what its kitchen plans: people's minutes shrink with the speed, the deadline may not."""

import math

from producers.load.market import ANSWER_DEADLINE, LONGEST_COOKING, LONGEST_QUEUE, KitchenPlan
from producers.orders import AcceptOrder, RejectOrder

# Minutes. An answer that comes too late comes at most so late.
LONGEST_DELAY = 5.0
# A live market never closes, so a forgotten tap is noticed after so long.
FORGOTTEN_FOR = 30.0
LONGEST_TICKET = ANSWER_DEADLINE + LONGEST_DELAY + LONGEST_QUEUE + LONGEST_COOKING + FORGOTTEN_FOR

# An answer that is to come in time comes when this share of the time that was left has passed, at the latest.
LAST_MOMENT = 0.8
# Seconds. An answer that is to come too late does so by any clock.
TOO_LATE = 0.2


def answer_seconds(plan: KitchenPlan, speed: float, time_left: float) -> float | None:
    """After how many seconds the ticket is answered; None: never. `time_left` is how long the order waits for that.

    Whether the answer comes in time is the plan's, however long the ticket was under way: only where no time is left
    do all answers come too late.
    """
    if plan.silent:
        return None
    if plan.answer_after < ANSWER_DEADLINE:
        return min(seconds(plan.answer_after, speed), max(0.0, time_left) * LAST_MOMENT)
    delay = min(plan.answer_after - ANSWER_DEADLINE, LONGEST_DELAY)
    return max(0.0, time_left) + max(seconds(delay, speed), TOO_LATE)


def live_answer(plan: KitchenPlan, speed: float) -> AcceptOrder | RejectOrder:
    """The same for every delivery of a ticket, so no order is turned away here. A promise is a minute at the least."""
    if isinstance(plan.answer, RejectOrder):
        return plan.answer
    return AcceptOrder(ready_in_minutes=math.ceil(plan.answer.ready_in_minutes / speed))


def completion_seconds(plan: KitchenPlan, speed: float) -> float:
    """From the acceptance on."""
    return seconds(plan.preparation + (FORGOTTEN_FOR if plan.forgets else 0.0), speed)


def seconds(minutes: float, speed: float) -> float:
    return minutes * 60 / speed
