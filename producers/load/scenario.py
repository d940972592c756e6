"""Which orders come when: a pure function of the seed. The same seed gives the same orders, to the byte."""

import itertools
import math
import random
import uuid
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

from producers.commands import PlaceOrder, derive_order_id
from producers.load.catalogue import CURRENCY, Dish, Restaurant, restaurants, seeded
from producers.load.kitchen import KitchenPlan, kitchen_plan

# Demand drifts: in each slot of five minutes the rate is multiplied with Gamma(10, 1/10), so counts are over-dispersed.
SLOT = timedelta(minutes=5)
DRIFT_SHAPE = 10.0

# A basket has 1 + negative binomial dishes, 3.2 on average.
MEAN_FURTHER_DISHES, FURTHER_DISHES_SHAPE, LARGEST_BASKET = 2.2, 2.0, 20

RETURNING_SHARE = 0.6
RETURNING_CUSTOMERS = 400

_FIRST_NAMES = ("Ada", "Bram", "Chidi", "Daan", "Emma", "Fatima", "Grace", "Hugo", "Ines", "Jan", "Kim", "Lena")
_LAST_NAMES = ("Bakker", "de Vries", "Jansen", "Kaya", "Lopez", "Meijer", "Nguyen", "Okafor", "Peters", "Smit")


@dataclass(frozen=True)
class IntendedOrder:
    """An order that somebody means to place `offset` after the start; `kitchen` is what will become of it."""

    offset: timedelta
    customer_id: str
    idempotency_key: str
    body: PlaceOrder
    kitchen: KitchenPlan

    @property
    def order_id(self) -> str:
        return derive_order_id(self.customer_id, self.idempotency_key)


def orders(seed: int, rate: float, count: int | None = None, speed: float = 1.0) -> Iterator[IntendedOrder]:
    """`count` orders, or orders without end, at `rate` a second; `speed` shortens kitchens and drift, not the rate."""
    market = restaurants(seed)
    shares = list(itertools.accumulate(restaurant.weight for restaurant in market))
    arriving = _arrivals(seed, rate, SLOT.total_seconds() / speed)
    for number, offset in enumerate(arriving if count is None else itertools.islice(arriving, count)):
        dice = seeded(seed, "order", number)
        restaurant = dice.choices(market, cum_weights=shares)[0]
        yield _order(seed, dice, number, offset, restaurant, speed)


def _arrivals(seed: int, rate: float, slot: float) -> Iterator[timedelta]:
    """Poisson inside a slot, each slot with a rate of its own. A gap that crosses a slot's end starts over there."""
    dice = seeded(seed, "arrivals")
    for number in itertools.count():
        drifted = rate * dice.gammavariate(DRIFT_SHAPE, 1 / DRIFT_SHAPE)
        moment = dice.expovariate(drifted)
        while moment < slot:
            yield timedelta(seconds=number * slot + moment)
            moment += dice.expovariate(drifted)


def _order(
    seed: int, dice: random.Random, number: int, offset: timedelta, restaurant: Restaurant, speed: float
) -> IntendedOrder:
    customer_id = _customer(dice, number)
    idempotency_key = str(uuid.UUID(int=dice.getrandbits(128), version=4))
    face = seeded(seed, "face", customer_id)
    first_name, last_name = face.choice(_FIRST_NAMES), face.choice(_LAST_NAMES)
    body = PlaceOrder(
        restaurant_id=restaurant.restaurant_id,
        customer_name=f"{first_name} {last_name}",
        customer_email=f"{first_name}.{last_name}.{customer_id}@example.com".lower().replace(" ", "-"),
        items=tuple(dish.ordered(quantity) for dish, quantity in _basket(dice, restaurant.menu).items()),
        currency=CURRENCY,
        city=restaurant.city,
    )
    order_id = derive_order_id(customer_id, idempotency_key)
    return IntendedOrder(
        offset=offset,
        customer_id=customer_id,
        idempotency_key=idempotency_key,
        body=body,
        kitchen=kitchen_plan(seed, restaurant.restaurant_id, order_id, speed),
    )


def _customer(dice: random.Random, number: int) -> str:
    """Someone who comes back, the lower numbers more often, or someone new."""
    if dice.random() < RETURNING_SHARE:
        return f"customer-{int(RETURNING_CUSTOMERS ** dice.random()):05d}"
    return f"customer-{RETURNING_CUSTOMERS + number:05d}"


def _basket(dice: random.Random, menu: tuple[Dish, ...]) -> Counter[Dish]:
    mean = dice.gammavariate(FURTHER_DISHES_SHAPE, MEAN_FURTHER_DISHES / FURTHER_DISHES_SHAPE)
    dishes = min(1 + _poisson(dice, mean), LARGEST_BASKET)
    return Counter(dice.choices(menu, k=dishes))


def _poisson(dice: random.Random, mean: float) -> int:
    """Knuth's way, for small means."""
    limit, product, count = math.exp(-mean), dice.random(), 0
    while product > limit:
        product *= dice.random()
        count += 1
    return count
