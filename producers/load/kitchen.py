"""What a simulated kitchen does with a ticket. It follows from seed, order and restaurant: nobody needs to be told."""

import math
from dataclasses import dataclass
from datetime import timedelta

from events.orders import RejectionReason
from producers.commands import AcceptOrder, RejectOrder
from producers.load.catalogue import mean_preparation_minutes, seeded

REJECTED_SHARE = 0.03
REASONS: tuple[RejectionReason, ...] = ("too_busy", "too_busy", "out_of_stock", "closed")

# Minutes: half of the tickets are answered within 1.5, and all before they would expire after 10.
MEDIAN_ANSWER, ANSWER_SIGMA, LONGEST_ANSWER = 1.5, 0.8, 9.5
PREPARATION_SHAPE, SHORTEST_PREPARATION, LONGEST_PREPARATION = 2.5, 2.0, 120.0


@dataclass(frozen=True)
class KitchenPlan:
    """Answers after `answer_after`; when that was a yes, completes `preparation` later."""

    answer: AcceptOrder | RejectOrder
    answer_after: timedelta
    preparation: timedelta

    @property
    def accepts(self) -> bool:
        return isinstance(self.answer, AcceptOrder)


def kitchen_plan(seed: int, restaurant_id: str, order_id: str, speed: float = 1.0) -> KitchenPlan:
    """The plan for one ticket; `speed` 60 turns minutes into seconds."""
    dice = seeded(seed, "ticket", order_id)
    rejects = dice.random() < REJECTED_SHARE
    reason = dice.choice(REASONS)
    answer_after = min(dice.lognormvariate(math.log(MEDIAN_ANSWER), ANSWER_SIGMA), LONGEST_ANSWER)
    mean = mean_preparation_minutes(seed, restaurant_id)
    cooking = dice.gammavariate(PREPARATION_SHAPE, mean / PREPARATION_SHAPE)
    preparation = min(max(cooking, SHORTEST_PREPARATION), LONGEST_PREPARATION)
    # People promise in fives.
    promised = 5 * math.ceil(mean / 5)
    return KitchenPlan(
        answer=RejectOrder(reason=reason)
        if rejects
        else AcceptOrder(ready_in_minutes=max(1, math.ceil(promised / speed))),
        answer_after=timedelta(minutes=answer_after / speed),
        preparation=timedelta(minutes=preparation / speed),
    )


def longest_ticket(speed: float = 1.0) -> timedelta:
    """How long any ticket can keep a kitchen busy, from arrival to completion."""
    return timedelta(minutes=(LONGEST_ANSWER + LONGEST_PREPARATION) / speed)
