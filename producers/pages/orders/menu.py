"""What there is to order: a value that is handed in, and what a customer's form makes of it."""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from itertools import groupby
from typing import Annotated

import msgspec
from msgspec import Meta

from producers.api import Problem, mismatched
from producers.orders import OrderItem, PlaceOrder

# A form's field for a dish is named by this and its sku.
QUANTITY = "quantity:"
_Quantity = Annotated[int, Meta(ge=0, le=99)]


class Dish(msgspec.Struct, frozen=True):
    """`price` is in minor units."""

    sku: str
    name: str
    category: str
    price: int


class MenuRestaurant(msgspec.Struct, frozen=True):
    """A restaurant and its dishes, those of a category together."""

    restaurant_id: str
    name: str
    city: str
    dishes: tuple[Dish, ...]

    @property
    def courses(self) -> list[tuple[str, list[Dish]]]:
        return [(category, list(dishes)) for category, dishes in groupby(self.dishes, lambda dish: dish.category)]


class Menu(msgspec.Struct, frozen=True):
    """All restaurants. `time_zone` is theirs, and their customers'; prices are in `currency`."""

    restaurants: Sequence[MenuRestaurant]
    currency: str
    time_zone: str

    def find(self, restaurant_id: str) -> MenuRestaurant | None:
        return next((one for one in self.restaurants if one.restaurant_id == restaurant_id), None)

    def restaurant(self, restaurant_id: str) -> MenuRestaurant:
        """Raises a 404 `Problem` where there is none."""
        if found := self.find(restaurant_id):
            return found
        raise Problem("no-such-restaurant", HTTPStatus.NOT_FOUND, "There is no such restaurant.", "Choose another one.")

    def order(self, form: Mapping[str, str]) -> PlaceOrder:
        """What a customer's form orders, at the prices of the menu. Raises a `Problem` that names the field."""
        restaurant = self.restaurant(form.get("restaurant_id", ""))
        items = [
            OrderItem(sku=dish.sku, name=dish.name, quantity=quantity, unit_price=dish.price)
            for dish in restaurant.dishes
            if (quantity := _quantity(form, dish))
        ]
        if not items:
            raise Problem(
                "nothing-chosen", HTTPStatus.BAD_REQUEST, "Nothing is chosen yet.", "Choose at least one dish."
            )
        try:
            return msgspec.convert(
                {
                    "restaurant_id": restaurant.restaurant_id,
                    "customer_name": form.get("customer_name", ""),
                    "customer_email": form.get("customer_email", ""),
                    "items": msgspec.to_builtins(items),
                    "currency": self.currency,
                    "city": restaurant.city,
                    "restaurant_name": restaurant.name,
                    "time_zone": self.time_zone,
                },
                PlaceOrder,
            )
        except msgspec.ValidationError as error:
            raise mismatched(error) from error


def _quantity(form: Mapping[str, str], dish: Dish) -> int:
    told = form.get(f"{QUANTITY}{dish.sku}", "").strip()
    try:
        return msgspec.convert(told or "0", _Quantity, strict=False)
    except msgspec.ValidationError as error:
        raise Problem(
            "wrong-quantity",
            HTTPStatus.BAD_REQUEST,
            f"{dish.name}: {told!r} is no quantity.",
            "Write a whole number up to 99, or nothing.",
        ) from error
