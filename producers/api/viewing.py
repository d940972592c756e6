"""Routes that show orders: one, with its timeline and what it waits for; and lists of them."""

from collections.abc import Sequence
from datetime import datetime
from http import HTTPStatus
from typing import Annotated

import msgspec
from botocore.exceptions import BotoCoreError, ClientError
from litestar import get
from litestar.di import NamedDependency
from litestar.params import QueryParameter

from events import Item, OrderAccepted, OrderRejected, OrderState, OrderTimeline, TimelineEvent
from foundation.diagnostics import Emit
from producers.api.access import may_see, only
from producers.api.parameters import Authenticated, OrderId
from producers.api.problems import Problem, documented, refused
from producers.orders import Order, Ordering, TrackerUnread, error_kind, unknown_order
from producers.tracking import BadCursor, OrderUnreadable, Page, TrackedOrder, TrackedOrders

MOST_LISTED = 100
_LISTED = 20

InState = Annotated[OrderState | None, QueryParameter(name="state", description="Only orders that stand there.")]
Limit = Annotated[int, QueryParameter(name="limit", ge=1, le=MOST_LISTED, description="Orders of a page, at most.")]
Cursor = Annotated[
    str | None,
    QueryParameter(name="cursor", min_length=1, max_length=1024, description="`next` of the page before this one."),
]
# No 403: every role may look.
_SEEN_BY_ALL = (HTTPStatus.BAD_REQUEST, HTTPStatus.UNAUTHORIZED, HTTPStatus.SERVICE_UNAVAILABLE)


class WaitsFor(msgspec.Struct, frozen=True, kw_only=True):
    """`actor` is to tell one of `tells` by `by`, because of what came at `since`; the team `owner` answers for it."""

    actor: str
    owner: str
    tells: Sequence[str]
    since: datetime
    by: datetime


class OrderView(msgspec.Struct, frozen=True, kw_only=True):
    """An order as those it concerns may see it; `total` and prices in minor units.

    `timeline` and `waits_for` are what the order tracker has seen on the stream: a moment behind `state`, empty when it
    has seen nothing yet, and null when it cannot be asked. Of a long timeline the first events are shown; `event_count`
    counts all.
    """

    order_id: str
    state: OrderState
    customer_id: str
    restaurant_id: str
    items: Sequence[Item]
    total: int
    currency: str
    city: str
    placed_at: datetime
    accept_by: datetime | None = None
    ready_at: datetime | None = None
    rejection_reason: str | None = None
    event_count: int | None = None
    timeline: Sequence[TimelineEvent] | None = None
    waits_for: Sequence[WaitsFor] | None = None


class OrderInList(msgspec.Struct, frozen=True, kw_only=True):
    """An order of a list. One that nobody placed, as far as was seen, has no customer or no restaurant."""

    order_id: str
    state: OrderState
    placed_at: datetime
    customer_id: str | None
    restaurant_id: str | None


class OrderList(msgspec.Struct, frozen=True, kw_only=True):
    """Orders, the newest first, as the order tracker knows them: seconds behind, at times. `next` is the cursor of the
    page behind this one, null behind the last; a page may be short, or empty, and still have one behind it.
    """

    orders: Sequence[OrderInList]
    next: str | None


@get(
    "/orders/{order_id:str}",
    guards=only("customer", "restaurant", "operator"),
    sync_to_thread=True,
    summary="See an order",
    responses=documented(*_SEEN_BY_ALL, HTTPStatus.NOT_FOUND),
)
def see_order(
    order_id: OrderId,
    ordering: NamedDependency[Ordering],
    tracked: NamedDependency[TrackedOrders],
    emit: NamedDependency[Emit],
    request: Authenticated,
) -> OrderView:
    order = ordering.find(order_id)
    if order is None or not may_see(request.user, order):
        raise refused(unknown_order())
    try:
        known = tracked.get(order_id) or TrackedOrder(order_id)
    # guarantee: an order is shown while the tracker's table cannot be asked
    except (ClientError, BotoCoreError, OrderUnreadable) as error:
        emit(TrackerUnread(error_kind(error)))
        return _view(order, None)
    return _view(order, known.timeline)


@get(
    "/orders",
    guards=only("customer", "restaurant", "operator"),
    sync_to_thread=True,
    summary="List orders: a customer's or a restaurant's own, or for an operator all",
    description="Eventually consistent: an order of the last seconds may be missing, or be shown as it was.",
    responses=documented(*_SEEN_BY_ALL),
)
def list_orders(
    tracked: NamedDependency[TrackedOrders],
    request: Authenticated,
    in_state: InState = None,
    limit: Limit = _LISTED,
    cursor: Cursor = None,
) -> OrderList:
    try:
        page = _page(tracked, request, in_state, limit, cursor)
    except BadCursor as error:
        raise Problem(
            "bad-cursor",
            HTTPStatus.BAD_REQUEST,
            "cursor: not one of this list.",
            "Send `next` of an answer as it was, or leave it out to begin with the newest order.",
        ) from error
    orders = [
        OrderInList(
            order_id=one.order_id,
            state=one.state,
            placed_at=one.placed_at,
            customer_id=one.customer_id,
            restaurant_id=one.restaurant_id,
        )
        for one in page.orders
    ]
    return OrderList(orders=orders, next=page.cursor)


def _page(
    tracked: TrackedOrders, request: Authenticated, state: OrderState | None, limit: int, cursor: str | None
) -> Page:
    """What the principal may see."""
    principal = request.user
    match principal.role:
        case "customer":
            return tracked.of_customer(principal.subject, limit=limit, state=state, cursor=cursor)
        case "restaurant":
            return tracked.of_restaurant(principal.subject, limit=limit, state=state, cursor=cursor)
        case "operator":
            return tracked.all(limit=limit, state=state, cursor=cursor)


def _view(order: Order, timeline: OrderTimeline | None) -> OrderView:
    placed = order.placed
    events = [performed.envelope.event for performed in order.later]
    return OrderView(
        order_id=order.order_id,
        state=order.state,
        customer_id=placed.customer_id,
        restaurant_id=placed.restaurant_id,
        items=placed.items,
        total=placed.total,
        currency=placed.currency,
        city=placed.city,
        placed_at=order.placing.envelope.occurred_at,
        accept_by=placed.accept_by,
        ready_at=next((event.ready_at for event in events if isinstance(event, OrderAccepted)), None),
        rejection_reason=next((event.reason for event in events if isinstance(event, OrderRejected)), None),
        event_count=timeline.count if timeline else None,
        timeline=timeline.events if timeline else None,
        waits_for=_waits_for(timeline) if timeline else None,
    )


def _waits_for(timeline: OrderTimeline) -> list[WaitsFor]:
    return [
        WaitsFor(actor=one.actor, owner=one.owner, tells=one.tells, since=one.since, by=one.due)
        for one in timeline.waits_for
    ]
