"""The customer's and the restaurant's pages as an addition to the orders API."""

from collections.abc import Callable
from datetime import datetime
from zoneinfo import ZoneInfo

from markupsafe import Markup

from foundation.diagnostics import Emit
from producers.api.app import Addition
from producers.orders import Principal
from producers.pages.frame import Pages, page_routes
from producers.pages.marks import OpenedRestaurants
from producers.pages.orders.customer import CUSTOMERS
from producers.pages.orders.menu import Menu
from producers.pages.orders.recent import RecentOrders
from producers.pages.orders.restaurant import RESTAURANTS, Presence
from producers.pages.orders.words import BAD, GOOD, REASONS, STATES


def order_pages(menu: Menu, opened: OpenedRestaurants) -> Callable[[Pages, Emit], Addition]:
    """The room, to be made with what all pages share."""

    def room(pages: Pages, emit: Emit) -> Addition:
        own = pages.with_templates(
            __package__,
            filters={"money": _money, "clock": _clock(ZoneInfo(menu.time_zone)), "state": STATES.__getitem__},
            facts={"REASONS": REASONS, "GOOD": GOOD, "BAD": BAD},
        )
        recent = RecentOrders()
        return Addition(
            (page_routes((*CUSTOMERS, *RESTAURANTS), own, emit),),
            dependencies={"menu": menu, "recent": recent, "presence": Presence(opened)},
            carried_out=recent.carried_out,
        )

    return room


def left(opened: OpenedRestaurants) -> Callable[[Principal], None]:
    """What is done when somebody signs out: a restaurant that nobody runs may be simulated again."""

    def leaving(principal: Principal) -> None:
        if principal.role == "restaurant":
            opened.close(principal.subject)

    return leaving


def _money(minor: int, currency: str) -> str:
    return f"{minor / 100:,.2f} {currency}"


def _clock(zone: ZoneInfo) -> Callable[[datetime], Markup]:
    """A time of day in that zone, to the minute; the page has all of it as an attribute."""

    def shown(moment: datetime) -> Markup:
        return Markup('<time datetime="{}">{:%H:%M}</time>').format(moment.isoformat(), moment.astimezone(zone))

    return shown
