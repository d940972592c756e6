"""What customers choose from on a local stack: the menus of the restaurants that `takeaway restaurants` simulates."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from producers.pages.orders import Menu

# Any market has the same ids of restaurants; this one's names and dishes are shown.
SEED = 7


def market_menu() -> "Menu":
    from producers.load.market import CURRENCY, TIME_ZONE, restaurants
    from producers.pages.orders import Dish, Menu, MenuRestaurant

    return Menu(
        [
            MenuRestaurant(
                one.restaurant_id,
                one.name,
                one.city,
                tuple(Dish(dish.sku, dish.name, dish.category, dish.price) for dish in one.menu),
            )
            for one in restaurants(SEED)
        ],
        CURRENCY,
        TIME_ZONE,
    )
