"""Which orders come when: a pure function of the seed. The same seed gives the same orders, to the byte."""

import itertools
import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property, lru_cache

import numpy as np
from numpy.typing import NDArray

from producers.load.market.catalogue import CURRENCY, TIME_ZONE, Restaurant, fingerprint, restaurants, seeded
from producers.load.market.demand import Demand, arrivals, poisson
from producers.orders import PlaceOrder, derive_order_id

# A basket has 1 + negative binomial dishes, 3.2 on average.
MEAN_FURTHER_DISHES, FURTHER_DISHES_SHAPE, LARGEST_BASKET = 2.2, 2.0, 20

# Customers who would take their order back, and after how many minutes; for most of them the answer comes first.
CHANGES_MIND_SHARE, CHANGES_MIND_AFTER = 0.025, (0.2, 3.0)

RETURNING_SHARE = 0.6
RETURNING_CUSTOMERS = 4000

# So many are prepared together: enough to be quick, few enough that a live load is not held up.
_AT_ONCE = 128

_FIRST_NAMES = ("Ada", "Bram", "Chidi", "Daan", "Emma", "Fatima", "Grace", "Hugo", "Ines", "Jan", "Kim", "Lena")
_LAST_NAMES = ("Bakker", "de Vries", "Jansen", "Kaya", "Lopez", "Meijer", "Nguyen", "Okafor", "Peters", "Smit")


@dataclass(frozen=True)
class IntendedOrder:
    """An order that is to be placed `offset` after the start.

    Its customer takes it back `cancels_after` the placing, if it is unanswered then; None: never.
    """

    offset: timedelta
    customer_id: str
    idempotency_key: str
    body: PlaceOrder
    cancels_after: timedelta | None = None

    @cached_property
    def order_id(self) -> str:
        return derive_order_id(self.customer_id, self.idempotency_key)


@dataclass(frozen=True)
class Surge:
    """One restaurant that everybody orders from all of a sudden: `factor` times its weight, from minute to minute."""

    restaurant_id: str
    factor: float
    since: float
    until: float


@dataclass(frozen=True)
class Market:
    """Who orders from whom: everything that follows from the seed, and how many orders to expect when."""

    seed: int
    demand: Demand
    restaurants: tuple[Restaurant, ...]
    surge: Surge | None = None

    @cached_property
    def weights(self) -> NDArray[np.float64]:
        return np.array([one.weight for one in self.restaurants])

    @cached_property
    def marks(self) -> NDArray[np.uint64]:
        """Each restaurant's bits, from its name alone."""
        return np.array([fingerprint(self.seed, "choice", one.restaurant_id) for one in self.restaurants], np.uint64)

    @cached_property
    def _opening(self) -> NDArray[np.bool_]:
        """By hour and restaurant. Where nobody is open, the few who order then find all."""
        open_ones = np.array([[one.is_open(hour) for one in self.restaurants] for hour in range(24)])
        return open_ones | ~open_ones.any(axis=1, keepdims=True)

    def weights_at(self, minute: float) -> NDArray[np.float64]:
        """How likely each restaurant is chosen, relative to the others; 0 when it is closed."""
        hour = self.demand.hour(minute)
        weights = self.weights if hour is None else np.where(self._opening[int(hour)], self.weights, 0.0)
        if self.surge and self.surge.since <= minute < self.surge.until:
            return np.where(self._surging, weights * self.surge.factor, weights)
        return weights

    @cached_property
    def _surging(self) -> NDArray[np.bool_]:
        return np.array([self.surge and one.restaurant_id == self.surge.restaurant_id for one in self.restaurants])


def a_market(seed: int, demand: Demand) -> Market:
    """The market of this seed, with its usual restaurants."""
    return Market(seed, demand, restaurants(seed))


def orders(market: Market, count: int | None = None, speed: float = 1.0) -> Iterator[IntendedOrder]:
    """`count` orders, or orders without end; the market's minutes pass `speed` times as fast."""
    return itertools.islice(_orders(market, speed), count)


def _orders(market: Market, speed: float) -> Iterator[IntendedOrder]:
    numbers = itertools.count()
    for slot in arrivals(market.seed, market.demand):
        for start in range(0, len(slot.minutes), _AT_ONCE):
            minutes = slot.minutes[start : start + _AT_ONCE]
            dice = [seeded(market.seed, "order", slot.number, start + place) for place in range(len(minutes))]
            marks = np.array([one.getrandbits(64) for one in dice], np.uint64)
            chosen = choose(marks, market.marks, market.weights_at(minutes[0]))
            for minute, own_dice, place in zip(minutes, dice, chosen, strict=True):
                yield _order(market.seed, own_dice, next(numbers), minute, market.restaurants[place], speed)


def choose(marks: NDArray[np.uint64], places: NDArray[np.uint64], weights: NDArray[np.float64]) -> NDArray[np.intp]:
    """The restaurant of each order: each with the chance of its weight, by weighted rendezvous hashing.

    Whoever joins the market gets orders from all others, and moves none between them.
    """
    # guarantee: another restaurant moves no order between the others
    bits = _mixed(marks[:, None] ^ places[None, :])
    shares = ((bits >> np.uint64(11)).astype(np.float64) + 0.5) / 2**53
    with np.errstate(divide="ignore"):
        chosen: NDArray[np.intp] = np.argmin(-np.log(shares) / weights, axis=1)
    return chosen


def _mixed(bits: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """SplitMix64's finaliser: every bit of the answer depends on all of these."""
    bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return bits ^ (bits >> np.uint64(31))


def _order(seed: int, dice: random.Random, number: int, minute: float, of: Restaurant, speed: float) -> IntendedOrder:
    customer_id = _customer(dice, number)
    name = _name(seed, customer_id)
    return IntendedOrder(
        offset=timedelta(minutes=minute / speed),
        customer_id=customer_id,
        idempotency_key=random_uuid(dice),
        body=PlaceOrder(
            restaurant_id=of.restaurant_id,
            customer_name=name,
            customer_email=f"{name}.{customer_id}@example.com".lower().replace(" ", "-"),
            items=tuple(of.menu[dish].ordered(quantity) for dish, quantity in _basket(dice, of).items()),
            currency=CURRENCY,
            city=of.city,
            restaurant_name=of.name,
            time_zone=TIME_ZONE,
        ),
        # Drawn last: it changes nothing of what is ordered.
        cancels_after=_cancels_after(dice, speed),
    )


def _cancels_after(dice: random.Random, speed: float) -> timedelta | None:
    changes_mind, after = dice.random() < CHANGES_MIND_SHARE, dice.uniform(*CHANGES_MIND_AFTER)
    return timedelta(minutes=after / speed) if changes_mind else None


@lru_cache(maxsize=RETURNING_CUSTOMERS)
def _name(seed: int, customer_id: str) -> str:
    face = seeded(seed, "face", customer_id)
    return f"{face.choice(_FIRST_NAMES)} {face.choice(_LAST_NAMES)}"


def random_uuid(dice: random.Random) -> str:
    """The text of a version 4 UUID."""
    digits = f"{dice.getrandbits(128):032x}"
    variant = "89ab"[int(digits[16], 16) % 4]
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-{variant}{digits[17:20]}-{digits[20:]}"


def _customer(dice: random.Random, number: int) -> str:
    """Someone who comes back, the lower numbers more often, a few of them every day, or someone new."""
    if dice.random() < RETURNING_SHARE:
        return f"customer-{int(RETURNING_CUSTOMERS * dice.random() ** 2.5):05d}"
    return f"customer-{RETURNING_CUSTOMERS + number:05d}"


def _basket(dice: random.Random, of: Restaurant) -> Counter[int]:
    """How often each dish of the menu, by its place. Nobody orders a drink alone: one is a main dish."""
    mean = dice.gammavariate(FURTHER_DISHES_SHAPE, MEAN_FURTHER_DISHES / FURTHER_DISHES_SHAPE)
    further = min(poisson(dice, mean), LARGEST_BASKET - 1)
    return Counter([dice.choice(of.mains), *dice.choices(range(len(of.menu)), k=further)])
