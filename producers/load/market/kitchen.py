"""What a simulated kitchen does with its tickets: it cooks a few at a time, the others queue, and people answer slower.

A ticket's own luck follows from seed and order; what lies before it in the kitchen is what came before.
"""

import heapq
import math
from dataclasses import dataclass

from events import ACCEPT_WITHIN, RejectionReason
from producers.load.market.catalogue import Restaurant, restaurant, seeded
from producers.orders import AcceptOrder, RejectOrder

REASONS: tuple[RejectionReason, ...] = ("too_busy", "out_of_stock", "closed", "other")

# Minutes. An order that is not answered for this long has expired.
ANSWER_DEADLINE = ACCEPT_WITHIN.total_seconds() / 60
ANSWER_SIGMA = 0.8
# Tickets that are never answered: mislaid, or not looked at.
SILENT_SHARE = 0.003
COOKING_SHAPE, SHORTEST_COOKING, LONGEST_COOKING = 4.7, 1.0, 90.0
# A kitchen that would only begin after so long takes no more orders.
LONGEST_QUEUE = 40.0
# Answers come twice as slowly when a quarter of an hour of tickets is waiting.
SLOWED_BY_QUEUE = 15.0

FORGOTTEN_SHARE = 0.02


@dataclass(frozen=True)
class KitchenPlan:
    """Answers `answer_after` minutes, infinity: never; when that was a yes, the food is ready `preparation` later.

    `answer` is the same whenever this ticket is taken, so that it can be repeated; only when `turned_away`, by a
    kitchen with too long a queue, another one may be given. `forgets`: Complete is not tapped when the food is ready.
    """

    answer: AcceptOrder | RejectOrder
    answer_after: float
    preparation: float
    turned_away: bool
    forgets: bool

    @property
    def silent(self) -> bool:
        return math.isinf(self.answer_after)


class Kitchen:
    """One restaurant's. Tickets are taken in the order in which they come."""

    def __init__(self, seed: int, of: Restaurant, capacity: int) -> None:
        self._seed = seed
        self._of = of
        self._free_at = [0.0] * capacity

    def take(
        self, order_id: str, at: float, *, wanted_until: float | None = None, slowness: float = 1.0
    ) -> KitchenPlan:
        """The plan for a ticket that comes `at` minutes; `slowness` 3 is a kitchen that takes three times as long.

        What is not answered before the minute `wanted_until` (None: the usual time for an answer) is not cooked.
        """
        dice = seeded(self._seed, "ticket", order_id)
        rejects = dice.random() < self._of.rejected_share
        reason = dice.choice(REASONS)
        answer_after = dice.lognormvariate(math.log(self._of.median_answer), ANSWER_SIGMA)
        # guarantee: a simulated restaurant that died gives the same answer again
        promise = _in_fives(dice.gauss(1, 0.15) * self._of.mean_cooking + 1)
        mean = self._of.mean_cooking * slowness
        cooking = min(max(dice.gammavariate(COOKING_SHAPE, mean / COOKING_SHAPE), SHORTEST_COOKING), LONGEST_COOKING)
        forgets = dice.random() < FORGOTTEN_SHARE
        silent = dice.random() < SILENT_SHARE

        queue = max(0.0, self._free_at[0] - at)
        turned_away = queue > LONGEST_QUEUE
        answer_after = math.inf if silent else answer_after * (1 + min(queue, LONGEST_QUEUE) / SLOWED_BY_QUEUE)
        preparation = max(0.0, min(queue, LONGEST_QUEUE) - answer_after) + cooking
        in_time = at + answer_after < (at + ANSWER_DEADLINE if wanted_until is None else wanted_until)
        if in_time and not rejects and not turned_away:
            heapq.heapreplace(self._free_at, at + answer_after + preparation)
        return KitchenPlan(
            answer=RejectOrder(reason=reason) if rejects else AcceptOrder(ready_in_minutes=promise),
            answer_after=answer_after,
            preparation=preparation,
            turned_away=turned_away,
            forgets=forgets,
        )


class Kitchens:
    """All kitchens of a market, each made for its share of `orders_per_hour` at the peak of the day."""

    def __init__(self, seed: int, orders_per_hour: float, market: tuple[Restaurant, ...]) -> None:
        self._seed = seed
        self._orders_per_weight = orders_per_hour / sum(one.weight for one in market)
        self._known = {one.restaurant_id: one for one in market}
        self._kitchens: dict[str, Kitchen] = {}

    def of(self, restaurant_id: str) -> Kitchen:
        """Also of a restaurant that is not of the market."""
        if restaurant_id not in self._kitchens:
            one = self._known.get(restaurant_id) or restaurant(self._seed, restaurant_id)
            self._kitchens[restaurant_id] = Kitchen(self._seed, one, self._capacity(one))
        return self._kitchens[restaurant_id]

    def _capacity(self, one: Restaurant) -> int:
        """How many tickets are cooked at once: the usual dinner's, and some room for chance."""
        usual = self._orders_per_weight * one.weight * one.mean_cooking / 60
        return math.ceil(usual + one.roominess * math.sqrt(usual))


def _in_fives(minutes: float) -> int:
    """People promise their usual time, in fives, and rather late than early."""
    return max(5, 5 * math.ceil(minutes / 5))
