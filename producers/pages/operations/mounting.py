"""The operations page as an addition to the orders API, for operators alone."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from typing import Annotated

from litestar import Response, get
from litestar.di import NamedDependency
from litestar.params import QueryParameter
from markupsafe import Markup

from foundation.diagnostics import Emit
from producers.api import Authenticated, OrderId, Problem
from producers.api.app import Addition
from producers.pages.frame import Pages, page_routes, seen_by
from producers.pages.operations.drawing import drawing
from producers.pages.operations.facts import Operations
from producers.tracking import TrackedOrders

_SEEN = seen_by("operator")
Wanted = Annotated[str, QueryParameter(name="order_id", max_length=128)]


@dataclass(frozen=True)
class Lookout:
    """`look` answers with the latest look at the stack; the same one for all who ask within a moment."""

    look: Callable[[], Operations]


@get("/operations", guards=_SEEN, sync_to_thread=True)
def see_operations(
    request: Authenticated, pages: NamedDependency[Pages], lookout: NamedDependency[Lookout]
) -> Response[str]:
    look = lookout.look()
    return pages.page(request, "operations.html", look=look, drawing=drawing(look))


@get("/operations/look", guards=_SEEN, sync_to_thread=True)
def look_part(pages: NamedDependency[Pages], lookout: NamedDependency[Lookout]) -> Response[str]:
    look = lookout.look()
    return pages.part("look.html", look=look, drawing=drawing(look))


@get("/operations/orders", guards=_SEEN, sync_to_thread=True)
def find_order(
    request: Authenticated,
    pages: NamedDependency[Pages],
    tracked: NamedDependency[TrackedOrders],
    order_id: Wanted = "",
) -> Response[str]:
    """What the form of the page asks for: an address with the order in its path would need a script."""
    return _journey(request, pages, tracked, order_id.strip())


@get("/operations/orders/{order_id:str}", guards=_SEEN, sync_to_thread=True)
def see_journey(
    order_id: OrderId, request: Authenticated, pages: NamedDependency[Pages], tracked: NamedDependency[TrackedOrders]
) -> Response[str]:
    return _journey(request, pages, tracked, order_id)


@get("/operations/orders/{order_id:str}/journey", guards=_SEEN, sync_to_thread=True)
def journey_part(
    order_id: OrderId, pages: NamedDependency[Pages], tracked: NamedDependency[TrackedOrders]
) -> Response[str]:
    return pages.part("journey_part.html", order=_timeline(tracked, order_id), now=pages.clock.now())


def operations_pages(look: Callable[[], Operations]) -> Callable[[Pages, Emit], Addition]:
    """The room, to be made with what all pages share."""

    def room(pages: Pages, emit: Emit) -> Addition:
        own = pages.with_templates(__package__, filters={"moment": _moment}, facts={})
        return Addition((page_routes(OPERATIONS, own, emit),), dependencies={"lookout": Lookout(look)})

    return room


def _journey(request: Authenticated, pages: Pages, tracked: TrackedOrders, order_id: str) -> Response[str]:
    return pages.page(request, "journey.html", order=_timeline(tracked, order_id), now=pages.clock.now())


def _timeline(tracked: TrackedOrders, order_id: str) -> object:
    order = tracked.get(order_id) if order_id else None
    if order is None:
        raise Problem(
            "unknown-order",
            HTTPStatus.NOT_FOUND,
            "No event of such an order was seen.",
            "Name an order as its id is; `takeaway trace` also looks in the lake and on the stream.",
        )
    return order.timeline


def _moment(moment: datetime) -> Markup:
    """To the second, in UTC; the page has all of it as an attribute."""
    return Markup('<time datetime="{}">{:%H:%M:%S}</time>').format(moment.isoformat(), moment)


OPERATIONS = (see_operations, look_part, find_order, see_journey, journey_part)
