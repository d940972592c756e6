"""The route that streams what becomes of an order."""

import asyncio
from http import HTTPStatus
from typing import Annotated, Any

from litestar import Response, get
from litestar.di import NamedDependency
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import HeaderParameter
from litestar.types import Receive, Scope, Send

from producers.api.access import may_see, only
from producers.api.parameters import Authenticated, OrderId
from producers.api.problems import documented, refused
from producers.api.server_sent import MEDIA_TYPE, Why, is_over, told
from producers.api.streams import Follower, OrderStreams
from producers.orders import Ordering, unknown_order
from producers.tracking import TrackedOrder, TrackedOrders

_HEADERS = [(b"content-type", MEDIA_TYPE.encode()), (b"cache-control", b"no-store"), (b"x-accel-buffering", b"no")]
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


class EventStream(Response[str]):
    """The parts of a stream. It holds no thread, and its follower leaves when it ends, however it does."""

    def __init__(self, streams: OrderStreams, follower: Follower, after: str | None) -> None:
        super().__init__("", media_type=MEDIA_TYPE)
        self._sent = _Sent(streams, follower, after)

    def to_asgi_response(self, *_: Any, **__: Any) -> Any:
        return self._sent


class _Sent:
    """The stream as an ASGI application."""

    def __init__(self, streams: OrderStreams, follower: Follower, after: str | None) -> None:
        self._streams = streams
        self._follower = follower
        self._after = after

    async def __call__(self, _: Scope, receive: Receive, send: Send) -> None:
        gone = asyncio.ensure_future(self._close_when_gone(receive))
        try:
            await send({"type": "http.response.start", "status": HTTPStatus.OK, "headers": _HEADERS})
            async for part in self._streams.parts(self._follower, self._after):
                await send({"type": "http.response.body", "body": part, "more_body": True})
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        finally:
            # guarantee: a stream that ends is one less, however it ends
            self._streams.leave(self._follower)
            gone.cancel()

    async def _close_when_gone(self, receive: Receive) -> None:
        try:
            while (await receive())["type"] != "http.disconnect":
                pass
        except Exception:  # noqa: BLE001, S110 - as a body that does not come: an answer has begun, and now it ends
            pass
        self._follower.close(Why.IDLE)


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
    return EventStream(streams, streams.follow(request.user, known, admitted_for), last_event_id)
