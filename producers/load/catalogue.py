"""The restaurants of the synthetic market: how popular each is, what is on its menu, how fast it cooks.

All of it follows from the seed, and each restaurant from its own name, so that another one reshuffles none.
"""

import hashlib
import random
from dataclasses import dataclass
from functools import lru_cache

from events.orders import Item

RESTAURANTS = 20
CURRENCY = "EUR"
CITIES = ("Amsterdam", "Utrecht", "Rotterdam", "Haarlem", "Leiden")

# Popularity is lognormal: with this sigma the top tenth of the restaurants has a bit over a third of the orders.
POPULARITY_SIGMA = 0.95
MEAN_PREPARATION_MINUTES = 17.7

# Category: dishes, and cheapest and dearest price in euros.
_DISHES: dict[str, tuple[tuple[str, ...], float, float]] = {
    "starter": (("Bruschetta", "Spring rolls", "Soup of the day", "Samosa", "Edamame"), 3.5, 7.5),
    "main": (
        ("Margherita", "Pad Thai", "Butter chicken", "Ramen", "Burger", "Lasagne", "Falafel plate", "Poke bowl"),
        8.0,
        16.5,
    ),
    "side": (("Fries", "Garlic bread", "Naan", "Rice", "Salad"), 2.5, 5.0),
    "drink": (("Cola", "Mango lassi", "Ice tea", "Water"), 2.0, 4.5),
    "dessert": (("Tiramisu", "Baklava", "Mochi", "Brownie"), 3.5, 6.5),
}


@dataclass(frozen=True)
class Dish:
    """One line of a menu; the price in minor units."""

    sku: str
    name: str
    category: str
    price: int

    def ordered(self, quantity: int) -> Item:
        return Item(sku=self.sku, name=self.name, quantity=quantity, unit_price=self.price)


@dataclass(frozen=True)
class Restaurant:
    """One restaurant; `weight` is its share of the orders relative to the others'."""

    restaurant_id: str
    city: str
    weight: float
    menu: tuple[Dish, ...]


def seeded(seed: int, *names: object) -> random.Random:
    """A generator of its own for whatever is named so."""
    digest = hashlib.sha256("\n".join(map(str, (seed, *names))).encode()).digest()
    return random.Random(int.from_bytes(digest[:8]))


@lru_cache(maxsize=8)
def restaurants(seed: int, number: int = RESTAURANTS) -> tuple[Restaurant, ...]:
    """The market's restaurants: `restaurant-01` and so on."""
    return tuple(_restaurant(seed, f"restaurant-{place:02d}") for place in range(1, number + 1))


def mean_preparation_minutes(seed: int, restaurant_id: str) -> float:
    """How long this kitchen takes on average; known for any restaurant, also one that is not of the market."""
    return seeded(seed, "kitchen", restaurant_id).gammavariate(9, MEAN_PREPARATION_MINUTES / 9)


def _restaurant(seed: int, restaurant_id: str) -> Restaurant:
    dice = seeded(seed, "restaurant", restaurant_id)
    menu = [
        Dish(sku=f"{restaurant_id}-{category}-{number}", name=name, category=category, price=_price(dice, least, most))
        for category, (names, least, most) in _DISHES.items()
        for number, name in enumerate(dice.sample(names, dice.randint(2, len(names))), start=1)
    ]
    return Restaurant(
        restaurant_id=restaurant_id,
        city=dice.choice(CITIES),
        weight=dice.lognormvariate(0, POPULARITY_SIGMA),
        menu=tuple(menu),
    )


def _price(dice: random.Random, least: float, most: float) -> int:
    """Menus are priced in half euros, some of them five cents below."""
    return round(dice.uniform(least, most) * 2) * 50 - dice.choice((0, 0, 5))
