"""The route that streams what becomes of an order, and what it sends."""

import asyncio
from datetime import timedelta
from http import HTTPStatus
from typing import Annotated

from litestar import Response, get
from litestar.di import NamedDependency
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import HeaderParameter

from producers.api.access import may_see, only
from producers.api.parameters import Authenticated, OrderId
from producers.api.problems import documented, refused
from producers.api.server_sent import MEDIA_TYPE, Why, end, is_over, told
from producers.api.streams import OrderStreams, Stream
from producers.orders import Order, Ordering, Principal, unknown_order
from producers.tracking import TrackedOrder, TrackedOrders

_DESCRIPTION = """\
Server-sent events: one for each event of the order that the tracker has seen, the first ones at once, later ones as
they come, with its id and type and the order's state by now, and nothing else. A client that comes back with `Last-
Event-ID`, as an EventSource does by itself, is told what it has missed; one that missed nothing of an order that is
over gets 204, and an EventSource stops. An event may be told again, under its `event_id`.

The last event is called `end` and has a `reason`: `over`, when the order is; `replaced`, by a newer stream of the
same client, which has one; or `idle`, after ten minutes without an event, an hour in all, or when the token has
expired. Behind the first two a client is to close its side."""

LastEventId = Annotated[
    str | None, HeaderParameter(name="Last-Event-ID", max_length=128, description="The `id` of the last event told.")
]


class Follower(Stream):
    """The stream of one order. What it has not sent yet is never more than the order as it is now.

    `after`: the `id` of the last event that its client was told, by this stream or an earlier one.
    """

    def __init__(
        self, principal: Principal, order: TrackedOrder, admitted_for: timedelta, after: str | None = None
    ) -> None:
        super().__init__(principal, admitted_for, order.order_id)
        self.order = order
        self._after = after

    def show(self, order: TrackedOrder) -> None:
        # What was read from another replica may be older.
        if order.version > self.order.version:
            self.order = order
            self.changed.set()

    def hear(self, order: Order) -> None:
        """What it tells has ids and a version that only the tracker knows."""

    def take(self) -> bytes:
        parts, self._after = told(self.order, self._after)
        return b"".join(parts)

    def end(self, why: Why) -> bytes:
        return end(self.order, why)

    def why_over(self) -> Why | None:
        return Why.OVER if is_over(self.order) else self.closed_for


@get(
    "/orders/{order_id:str}/events",
    guards=only("customer", "restaurant", "operator"),
    media_type=MEDIA_TYPE,
    summary="Follow an order",
    description=_DESCRIPTION,
    responses={
        HTTPStatus.NO_CONTENT.value: ResponseSpec(
            None, generate_examples=False, description="The order is over, and nothing was missed."
        ),
        # No 403: every role may look.
        **documented(
            HTTPStatus.BAD_REQUEST, HTTPStatus.UNAUTHORIZED, HTTPStatus.NOT_FOUND, HTTPStatus.SERVICE_UNAVAILABLE
        ),
    },
)
async def follow_order(
    order_id: OrderId,
    ordering: NamedDependency[Ordering],
    tracked: NamedDependency[TrackedOrders],
    streams: NamedDependency[OrderStreams],
    request: Authenticated,
    last_event_id: LastEventId = None,
) -> Response[str]:
    order = await asyncio.to_thread(ordering.find, order_id)
    if order is None or not may_see(request.user, order):
        raise refused(unknown_order())
    known = await asyncio.to_thread(tracked.get, order_id) or TrackedOrder(order_id)
    if is_over(known) and not told(known, last_event_id)[0]:
        return Response("", status_code=HTTPStatus.NO_CONTENT)
    # guarantee: a stream ends with the token that opened it
    admitted_for = request.auth - request.app.state.doorkeeper.clock.now()
    return streams.answer(Follower(request.user, known, admitted_for, last_event_id))
