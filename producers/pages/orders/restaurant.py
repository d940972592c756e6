"""The restaurant's page: tickets as they come, the most urgent first; accept with a time, reject, complete."""

from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import TypeVar

import msgspec
from litestar import Response, get, post
from litestar.di import NamedDependency

from events import ACCEPTED, PLACED
from foundation.diagnostics import Emit
from producers.api import Authenticated, OrderId, OrderStreams, mismatched
from producers.orders import AcceptOrder, CompleteOrder, Ordering, Principal, Refusal, RejectOrder, RestaurantCommand
from producers.pages.frame import Form, Pages, seen_by, written_by
from producers.pages.marks import OpenedRestaurants
from producers.pages.orders.customer import if_read, stream_for
from producers.pages.orders.menu import Menu
from producers.pages.orders.recent import RecentOrders
from producers.pages.orders.views import Board, board
from producers.pages.orders.words import in_words
from producers.tracking import TrackedOrders

MOST_OPEN = 50
MOST_NEWEST = 20
_SEEN, _WRITTEN = seen_by("restaurant"), written_by("restaurant")
CommandT = TypeVar("CommandT", bound=RestaurantCommand)


@dataclass(frozen=True)
class Presence:
    """Where it is noted that a person runs a restaurant, so that nobody simulates it."""

    opened: OpenedRestaurants


@get("/restaurant", guards=_SEEN, sync_to_thread=True)
def see_board(
    request: Authenticated,
    pages: NamedDependency[Pages],
    menu: NamedDependency[Menu],
    presence: NamedDependency[Presence],
    ordering: NamedDependency[Ordering],
    tracked: NamedDependency[TrackedOrders],
    recent: NamedDependency[RecentOrders],
    emit: NamedDependency[Emit],
) -> Response[str]:
    presence.opened.open(request.user.subject, request.auth)
    own = _board(request.user, pages, ordering, tracked, recent, emit)
    return pages.page(request, "restaurant.html", board=own, restaurant=menu.find(request.user.subject))


@get("/restaurant/board-part", guards=_SEEN, sync_to_thread=True)
def board_part(
    request: Authenticated,
    pages: NamedDependency[Pages],
    ordering: NamedDependency[Ordering],
    tracked: NamedDependency[TrackedOrders],
    recent: NamedDependency[RecentOrders],
    emit: NamedDependency[Emit],
) -> Response[str]:
    return pages.part("board.html", board=_board(request.user, pages, ordering, tracked, recent, emit))


@post("/restaurant/orders/{order_id:str}/accept", guards=_WRITTEN, status_code=HTTPStatus.OK, sync_to_thread=True)
def accept(
    order_id: OrderId, data: Form, request: Authenticated, ordering: NamedDependency[Ordering]
) -> dict[str, str]:
    command = _command(AcceptOrder, data)
    _perform(command, order_id, request, ordering)
    return {"told": f"Accepted: ready in {command.ready_in_minutes} minutes."}


@post("/restaurant/orders/{order_id:str}/reject", guards=_WRITTEN, status_code=HTTPStatus.OK, sync_to_thread=True)
def reject(
    order_id: OrderId, data: Form, request: Authenticated, ordering: NamedDependency[Ordering]
) -> dict[str, str]:
    _perform(_command(RejectOrder, data), order_id, request, ordering)
    return {"told": "Rejected. The customer is told why."}


@post("/restaurant/orders/{order_id:str}/complete", guards=_WRITTEN, status_code=HTTPStatus.OK, sync_to_thread=True)
def complete(order_id: OrderId, request: Authenticated, ordering: NamedDependency[Ordering]) -> dict[str, str]:
    _perform(CompleteOrder(), order_id, request, ordering)
    return {"told": "Completed. The customer is told that it is ready."}


@get("/restaurant/events", guards=_SEEN)
async def changes_of_restaurant(request: Authenticated, streams: NamedDependency[OrderStreams]) -> Response[str]:
    return stream_for(request, streams)


def _command(kind: type[CommandT], form: Mapping[str, str]) -> CommandT:
    """Raises a 400 `Problem` that names the field."""
    try:
        return msgspec.convert(form, kind, strict=False)
    except msgspec.ValidationError as error:
        raise mismatched(error) from error


def _perform(command: RestaurantCommand, order_id: str, request: Authenticated, ordering: Ordering) -> None:
    done = ordering.perform(command, order_id=order_id, subject=request.user.subject, idempotency_key=None)
    if isinstance(done, Refusal):
        raise in_words(done, "restaurant")


def _board(
    who: Principal, pages: Pages, ordering: Ordering, tracked: TrackedOrders, recent: RecentOrders, emit: Emit
) -> Board | None:
    """None when the list cannot be read. Where each order stands is as the orders context has it, never behind."""

    def listed() -> set[str]:
        lists = (
            tracked.of_restaurant(who.subject, limit=MOST_OPEN, state=PLACED),
            tracked.of_restaurant(who.subject, limit=MOST_OPEN, state=ACCEPTED),
            tracked.of_restaurant(who.subject, limit=MOST_NEWEST),
        )
        return {order.order_id for page in lists for order in page.orders}

    found: set[str] | None = if_read(listed, emit)
    if found is None:
        return None
    return board(ordering.find_many({*found, *recent.of(who)}).values(), pages.clock.now())


RESTAURANTS = (see_board, board_part, accept, reject, complete, changes_of_restaurant)
