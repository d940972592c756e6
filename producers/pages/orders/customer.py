"""The customer's pages: choose from the menu, order, follow the order's line, cancel while one may."""

import uuid
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath

from events import PLACED, OrderTimeline
from foundation.diagnostics import Emit
from producers.api import Authenticated, OrderId, OrderStreams, may_see, refused
from producers.orders import CancelOrder, Order, Ordering, Principal, Refusal, TrackerUnread, error_kind, unknown_order
from producers.pages.frame import Form, Pages, seen_by, written_by
from producers.pages.orders.changes import Changes
from producers.pages.orders.menu import Menu
from producers.pages.orders.recent import RecentOrders
from producers.pages.orders.views import line, mails, voucher_at
from producers.pages.orders.words import in_words
from producers.tracking import TrackedOrders

MOST_SHOWN = 20
_SEEN, _WRITTEN = seen_by("customer"), written_by("customer")


@get("/customer", guards=_SEEN, sync_to_thread=True)
def choose_restaurant(
    request: Authenticated,
    pages: NamedDependency[Pages],
    menu: NamedDependency[Menu],
    ordering: NamedDependency[Ordering],
    tracked: NamedDependency[TrackedOrders],
    recent: NamedDependency[RecentOrders],
    emit: NamedDependency[Emit],
) -> Response[str]:
    own = _own_orders(request.user, ordering, tracked, recent, emit)
    return pages.page(request, "customer.html", menu=menu, orders=own)


@get("/customer/orders-part", guards=_SEEN, sync_to_thread=True)
def own_orders(
    request: Authenticated,
    pages: NamedDependency[Pages],
    ordering: NamedDependency[Ordering],
    tracked: NamedDependency[TrackedOrders],
    recent: NamedDependency[RecentOrders],
    emit: NamedDependency[Emit],
) -> Response[str]:
    return pages.part("own_orders.html", orders=_own_orders(request.user, ordering, tracked, recent, emit))


@get("/customer/restaurants/{restaurant_id:str}", guards=_SEEN, sync_to_thread=False)
def choose_dishes(
    restaurant_id: FromPath[str], request: Authenticated, pages: NamedDependency[Pages], menu: NamedDependency[Menu]
) -> Response[str]:
    restaurant = menu.restaurant(restaurant_id)
    # Sent with the form: what is sent again, for want of an answer or by a second click, is the same order.
    return pages.page(request, "dishes.html", restaurant=restaurant, menu=menu, key=uuid.uuid4().hex)


@post("/customer/orders", guards=_WRITTEN, status_code=HTTPStatus.OK, sync_to_thread=True)
def place(
    data: Form, request: Authenticated, menu: NamedDependency[Menu], ordering: NamedDependency[Ordering]
) -> dict[str, str]:
    key = data.get("idempotency_key", "")[:128] or uuid.uuid4().hex
    done = ordering.place(menu.order(data), customer_id=request.user.subject, idempotency_key=key, traceparent=None)
    if isinstance(done, Refusal):
        raise in_words(done, "customer")
    return {"go": f"/customer/orders/{done.order_id}"}


@get("/customer/orders/{order_id:str}", guards=_SEEN, sync_to_thread=True)
def one_order(
    order_id: OrderId,
    request: Authenticated,
    pages: NamedDependency[Pages],
    ordering: NamedDependency[Ordering],
    tracked: NamedDependency[TrackedOrders],
    emit: NamedDependency[Emit],
) -> Response[str]:
    order = _own(order_id, request, ordering)
    return pages.page(request, "order.html", **_facts(order, _timeline(order_id, tracked, emit)))


@get("/customer/orders/{order_id:str}/part", guards=_SEEN, sync_to_thread=True)
def one_orders_line(
    order_id: OrderId,
    request: Authenticated,
    pages: NamedDependency[Pages],
    ordering: NamedDependency[Ordering],
    tracked: NamedDependency[TrackedOrders],
    emit: NamedDependency[Emit],
) -> Response[str]:
    order = _own(order_id, request, ordering)
    return pages.part("order_part.html", **_facts(order, _timeline(order_id, tracked, emit)))


@post("/customer/orders/{order_id:str}/cancel", guards=_WRITTEN, status_code=HTTPStatus.OK, sync_to_thread=True)
def cancel(order_id: OrderId, request: Authenticated, ordering: NamedDependency[Ordering]) -> dict[str, str]:
    done = ordering.perform(CancelOrder(), order_id=order_id, subject=request.user.subject, idempotency_key=None)
    if isinstance(done, Refusal):
        raise in_words(done, "customer")
    return {"told": "The order is cancelled."}


@get("/customer/events", guards=_SEEN)
async def changes_of_customer(request: Authenticated, streams: NamedDependency[OrderStreams]) -> Response[str]:
    return stream_for(request, streams)


def stream_for(request: Authenticated, streams: OrderStreams) -> Response[str]:
    """Says which of this principal's orders has changed, for as long as its session lasts."""
    return streams.answer(Changes(request.user, request.auth - request.app.state.pages.clock.now()))


def if_read(read: Callable[[], Any], emit: Emit) -> Any:
    """None while the tracker's table cannot be asked: a page then shows what the orders context knows itself."""
    try:
        return read()
    except (ClientError, BotoCoreError) as error:
        emit(TrackerUnread(error_kind(error)))
        return None


def _own(order_id: str, request: Authenticated, ordering: Ordering) -> Order:
    order = ordering.find(order_id)
    # guarantee: a page shows its own orders alone
    if order is None or not may_see(request.user, order):
        raise refused(unknown_order())
    return order


def _timeline(order_id: str, tracked: TrackedOrders, emit: Emit) -> OrderTimeline | None:
    known = if_read(lambda: tracked.get(order_id), emit)
    return known.timeline if known else None


def _facts(order: Order, timeline: OrderTimeline | None) -> dict[str, Any]:
    return {
        "order": order,
        "line": line(order, timeline),
        "mails": mails(timeline),
        "voucher_at": voucher_at(timeline),
        "may_cancel": order.state == PLACED,
    }


def _own_orders(
    who: Principal, ordering: Ordering, tracked: TrackedOrders, recent: RecentOrders, emit: Emit
) -> list[tuple[Order, Any]] | None:
    """The customer's newest orders, each with when it earned a voucher; None when the list cannot be read."""
    page = if_read(lambda: tracked.of_customer(who.subject, limit=MOST_SHOWN), emit)
    if page is None:
        return None
    ids = list({one.order_id: None for one in page.orders} | dict.fromkeys(recent.of(who)))
    seen = if_read(lambda: tracked.get_many(ids, consistent=False), emit) or {}
    # The tracker is seconds behind: what it does not know yet is the newest.
    newest = sorted(ordering.find_many(ids).values(), key=lambda one: one.placing.envelope.occurred_at, reverse=True)
    return [(one, voucher_at(seen[one.order_id].timeline) if one.order_id in seen else None) for one in newest]


CUSTOMERS = (
    choose_restaurant,
    own_orders,
    choose_dishes,
    place,
    one_order,
    one_orders_line,
    cancel,
    changes_of_customer,
)
