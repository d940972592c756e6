"""The restaurants of the synthetic market: how popular each is, what is on its menu, when it is open, how it works.

All of it follows from the seed, and each restaurant from its own name, so that another one reshuffles none.
"""

import hashlib
import random
from dataclasses import dataclass
from functools import cached_property, lru_cache

from producers.orders import OrderItem

RESTAURANTS = 20
CURRENCY = "EUR"
TIME_ZONE = "Europe/Amsterdam"
CITIES = ("Amsterdam", "Utrecht", "Rotterdam", "Haarlem", "Leiden")

# Popularity is lognormal: with this sigma the top tenth of the restaurants has a bit over a third of the orders.
POPULARITY_SIGMA = 1.0
# With what customers wait for an answer, food is ready 17.7 minutes after it was ordered; half of the variance lies
# between restaurants. Both are Grubhub's (see `realism_card`).
MEAN_COOKING_MINUTES, COOKING_SHAPE = 15.3, 3.6
# Half of the tickets are answered within this time; some restaurants are quicker, some slower.
MEDIAN_ANSWER_MINUTES = 1.35
REJECTED_SHARE = 0.029

_NAMES = (
    ("Casa", "Chez", "De Gouden", "Golden", "Little", "Mama", "Old", "Royal", "Taste of", "Villa"),
    ("Basil", "Bazaar", "Dragon", "Garden", "Lantern", "Lepel", "Napoli", "Orchid", "Saffron", "Spice"),
)

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

    def ordered(self, quantity: int) -> OrderItem:
        return OrderItem(sku=self.sku, name=self.name, quantity=quantity, unit_price=self.price)


@dataclass(frozen=True)
class Restaurant:
    """One restaurant. `weight` is its share of the orders relative to the others'; it is open from hour to hour.

    `roominess` is how many more tickets than usual it has room for; times are in minutes.
    """

    restaurant_id: str
    name: str
    city: str
    weight: float
    menu: tuple[Dish, ...]
    mean_cooking: float
    median_answer: float
    rejected_share: float
    opens: int
    closes: int
    roominess: float

    def is_open(self, hour: float) -> bool:
        return self.opens <= hour < self.closes

    @cached_property
    def mains(self) -> range:
        """The places of the main dishes on the menu."""
        places = [place for place, dish in enumerate(self.menu) if dish.category == "main"]
        return range(places[0], places[-1] + 1)


def seeded(seed: int, *names: object) -> random.Random:
    """A generator of its own for whatever is named so."""
    return random.Random(fingerprint(seed, *names))


def fingerprint(seed: int, *names: object) -> int:
    """64 bits that stand for whatever is named so."""
    return int.from_bytes(hashlib.sha256("\n".join(map(str, (seed, *names))).encode()).digest()[:8])


@lru_cache(maxsize=64)
def restaurants(seed: int, number: int = RESTAURANTS) -> tuple[Restaurant, ...]:
    """The market's restaurants: `restaurant-01` and so on."""
    return tuple(restaurant(seed, f"restaurant-{place:02d}") for place in range(1, number + 1))


@lru_cache(maxsize=4096)
def restaurant(seed: int, restaurant_id: str) -> Restaurant:
    """Any restaurant, also one that is not of the market, as orders placed by hand have."""
    dice = seeded(seed, "restaurant", restaurant_id)
    menu = [
        Dish(sku=f"{restaurant_id}-{category}-{number}", name=name, category=category, price=_price(dice, least, most))
        for category, (names, least, most) in _DISHES.items()
        for number, name in enumerate(dice.sample(names, dice.randint(2, len(names))), start=1)
    ]
    return Restaurant(
        restaurant_id=restaurant_id,
        name=_name(seeded(seed, "name", restaurant_id)),
        city=dice.choice(CITIES),
        weight=dice.lognormvariate(0, POPULARITY_SIGMA),
        menu=tuple(menu),
        mean_cooking=dice.gammavariate(COOKING_SHAPE, MEAN_COOKING_MINUTES / COOKING_SHAPE),
        median_answer=MEDIAN_ANSWER_MINUTES * dice.lognormvariate(0, 0.15),
        rejected_share=min(dice.gammavariate(3, REJECTED_SHARE / 3), 0.2),
        opens=dice.choice((10, 11, 11, 11, 12)),
        closes=dice.choice((22, 23, 23, 23)),
        roominess=dice.uniform(0.7, 1.6),
    )


def _name(dice: random.Random) -> str:
    return " ".join(dice.choice(words) for words in _NAMES)


def _price(dice: random.Random, least: float, most: float) -> int:
    """Menus are priced in half euros, some of them five cents below."""
    return round(dice.uniform(least, most) * 2) * 50 - dice.choice((0, 0, 5))
