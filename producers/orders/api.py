"""The orders API over HTTP and JSON: customers place and cancel, restaurants accept, reject and complete orders."""

import re
import uuid
from collections.abc import Sequence
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Annotated, Any

import msgspec
from litestar import Litestar, Request, Response, get, post
from litestar.datastructures import ResponseHeader, State
from litestar.di import NamedDependency, Provide
from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin
from litestar.openapi.spec import Components, SecurityScheme
from litestar.params import HeaderParameter, JSONBody, PathParameter

from events import ACCEPT_WITHIN, Item, OrderAccepted, OrderRejected, OrderState
from foundation.clock import Clock
from foundation.diagnostics import Emit
from producers.orders.access import Doorkeeper, may_see, only
from producers.orders.asgi import body_within, head_as_get
from producers.orders.commands import Order, Refusal, unknown_order
from producers.orders.ordering import Done, Ordering
from producers.orders.problems import (
    Problem,
    documented,
    exception_handlers,
    mismatched,
    not_json,
    refused,
    unreadable,
)
from producers.orders.requests import (
    DEFAULT_KEYS,
    AcceptOrder,
    CancelOrder,
    Command,
    CompleteOrder,
    OrderItem,
    PlaceOrder,
    RejectOrder,
)
from producers.orders.table import Orders
from producers.orders.tokens import Principal, TokenKey
from producers.publishing import EventPublisher

# A DynamoDB item has at most 400 KB, and it holds the order beside the events that follow.
MAX_BODY_BYTES = 128 * 1024
BODY_TIME = timedelta(seconds=10)

IdempotencyKey = Annotated[
    str | None,
    HeaderParameter(
        name="Idempotency-Key",
        min_length=1,
        max_length=128,
        description=(
            "Repeats of a request under one key are one request. Without one, a placing gets a new key and any other "
            "command its own name, which another body never reuses; a success tells the key in this header."
        ),
    ),
]
TraceParent = Annotated[
    str | None, HeaderParameter(name="traceparent", description="W3C trace context; a valid one is continued.")
]
OrderId = Annotated[str, PathParameter(min_length=1, max_length=128)]
Authenticated = Request[Principal, None, State]

_GUARDED = (HTTPStatus.BAD_REQUEST, HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.SERVICE_UNAVAILABLE)
_WITH_BODY = (
    *_GUARDED,
    HTTPStatus.REQUEST_TIMEOUT,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
)
_JSON = "application/json"
# RFC 8259 knows no other, and defines no parameter; many clients send this one.
_IS_UTF8 = re.compile(r'\s*(charset\s*=\s*"?utf-?8"?\s*;?\s*)?', re.IGNORECASE)
_OF_AN_ORDER = (HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT)
# Set in `_answer`.
_TELLS_ITS_KEY = [
    ResponseHeader(
        name="Idempotency-Key",
        description="The key that this request was carried out under: send it with a repeat.",
        required=True,
        documentation_only=True,
    )
]


def _whole(number: str) -> int | float:
    """2.0 and 2e0 are integers to JSON Schema, which the document is written in."""
    value = float(number)
    return int(value) if value.is_integer() else value


_BODY = msgspec.json.Decoder(float_hook=_whole)


class OrdersRequest(Request[Any, Any, Any]):
    """A request whose body is taken as the document describes it; Litestar's own reading would take "2" for 2."""

    async def json(self) -> Any:
        """The command in the body. Raises a 400 `Problem` that names the byte or the field that is wrong, or a 415."""
        kind, _, parameters = self.headers.get("content-type", _JSON).partition(";")
        if kind.strip().lower() != _JSON or not _IS_UTF8.fullmatch(parameters):
            raise not_json(self.headers["content-type"])
        try:
            said = _BODY.decode(await self.body())
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise unreadable(error, await self.body()) from error
        command = self.route_handler.parsed_data_field
        assert command is not None  # noqa: S101 - only a handler that takes a body reads one
        try:
            return msgspec.convert(said, command.annotation)
        except msgspec.ValidationError as error:
            raise mismatched(error) from error


class OrderView(msgspec.Struct, frozen=True, kw_only=True):
    """An order as those it concerns may see it; `total` and prices in minor units."""

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


@post(
    "/orders",
    guards=only("customer"),
    sync_to_thread=True,
    summary="Place an order",
    response_headers=_TELLS_ITS_KEY,
    responses=documented(*_WITH_BODY, HTTPStatus.UNPROCESSABLE_ENTITY),
)
def place_order(
    data: JSONBody[PlaceOrder],
    ordering: NamedDependency[Ordering],
    request: Authenticated,
    idempotency_key: IdempotencyKey = None,
    traceparent: TraceParent = None,
) -> Response[Done]:
    key = idempotency_key or uuid.uuid4().hex
    done = ordering.place(data, customer_id=request.user.subject, idempotency_key=key, traceparent=traceparent)
    return _answer(done, key, HTTPStatus.CREATED)


@get(
    "/orders/{order_id:str}",
    guards=only("customer", "restaurant", "operator"),
    sync_to_thread=True,
    summary="See an order",
    # No 403: every role may look.
    responses=documented(
        HTTPStatus.BAD_REQUEST, HTTPStatus.UNAUTHORIZED, HTTPStatus.NOT_FOUND, HTTPStatus.SERVICE_UNAVAILABLE
    ),
)
def see_order(order_id: OrderId, ordering: NamedDependency[Ordering], request: Authenticated) -> OrderView:
    order = ordering.find(order_id)
    if order is None or not may_see(request.user, order):
        raise refused(unknown_order())
    return _view(order)


@post(
    "/orders/{order_id:str}/accept",
    guards=only("restaurant"),
    sync_to_thread=True,
    status_code=HTTPStatus.OK,
    summary="Accept an order",
    response_headers=_TELLS_ITS_KEY,
    responses=documented(*_WITH_BODY, *_OF_AN_ORDER, HTTPStatus.UNPROCESSABLE_ENTITY),
)
def accept_order(
    order_id: OrderId,
    data: JSONBody[AcceptOrder],
    ordering: NamedDependency[Ordering],
    request: Authenticated,
    idempotency_key: IdempotencyKey = None,
) -> Response[Done]:
    return _perform(data, order_id, ordering, request, idempotency_key)


@post(
    "/orders/{order_id:str}/reject",
    guards=only("restaurant"),
    sync_to_thread=True,
    status_code=HTTPStatus.OK,
    summary="Reject an order",
    response_headers=_TELLS_ITS_KEY,
    responses=documented(*_WITH_BODY, *_OF_AN_ORDER, HTTPStatus.UNPROCESSABLE_ENTITY),
)
def reject_order(
    order_id: OrderId,
    data: JSONBody[RejectOrder],
    ordering: NamedDependency[Ordering],
    request: Authenticated,
    idempotency_key: IdempotencyKey = None,
) -> Response[Done]:
    return _perform(data, order_id, ordering, request, idempotency_key)


@post(
    "/orders/{order_id:str}/complete",
    guards=only("restaurant"),
    sync_to_thread=True,
    status_code=HTTPStatus.OK,
    summary="Complete an order",
    response_headers=_TELLS_ITS_KEY,
    # No 413 and no 422: no body is read, so none is too large and none differs from another.
    responses=documented(*_GUARDED, *_OF_AN_ORDER),
)
def complete_order(
    order_id: OrderId,
    ordering: NamedDependency[Ordering],
    request: Authenticated,
    idempotency_key: IdempotencyKey = None,
) -> Response[Done]:
    return _perform(CompleteOrder(), order_id, ordering, request, idempotency_key)


@post(
    "/orders/{order_id:str}/cancel",
    guards=only("customer"),
    sync_to_thread=True,
    status_code=HTTPStatus.OK,
    summary="Cancel an order that no restaurant has answered",
    response_headers=_TELLS_ITS_KEY,
    responses=documented(*_GUARDED, *_OF_AN_ORDER),
)
def cancel_order(
    order_id: OrderId,
    ordering: NamedDependency[Ordering],
    request: Authenticated,
    idempotency_key: IdempotencyKey = None,
) -> Response[Done]:
    return _perform(CancelOrder(), order_id, ordering, request, idempotency_key)


@get(
    "/health",
    sync_to_thread=False,
    summary="Whether this process can publish",
    # Of the document's securities, none: an empty list would mean all of them to Litestar.
    security=[{}],
    responses=documented(HTTPStatus.SERVICE_UNAVAILABLE),
)
def health(publisher: NamedDependency[EventPublisher]) -> dict[str, str]:
    if not publisher.alive:
        raise Problem(
            "publisher-stopped",
            HTTPStatus.SERVICE_UNAVAILABLE,
            "The publisher has stopped: no command can be answered.",
            "Restart this process; its diagnostics say what happened.",
        )
    return {"status": "ok"}


def create_app(
    orders: Orders,
    publisher: EventPublisher,
    token_key: TokenKey,
    clock: Clock,
    emit: Emit,
    *,
    answer_within: timedelta = timedelta(seconds=10),
    accept_within: timedelta = ACCEPT_WITHIN,
    body_time: timedelta = BODY_TIME,
) -> Litestar:
    """The API as an ASGI application. Whoever made `publisher` closes it."""
    ordering = Ordering(
        orders, publisher, clock=clock, emit=emit, answer_within=answer_within, accept_within=accept_within
    )
    app = Litestar(
        [place_order, see_order, accept_order, reject_order, complete_order, cancel_order, health],
        dependencies={
            "ordering": Provide(lambda: ordering, sync_to_thread=False),
            "publisher": Provide(lambda: publisher, sync_to_thread=False),
        },
        state=State({"doorkeeper": Doorkeeper(token_key, clock)}),
        exception_handlers=exception_handlers(emit),
        request_class=OrdersRequest,
        request_max_body_size=MAX_BODY_BYTES,
        # What an operator may know is emitted; the framework's own log would be a second, chattier channel.
        logging_config=None,
        openapi_config=OpenAPIConfig(
            title="takeaway orders",
            version="1.0.0",
            description="Place an order, follow it, and run it as a restaurant. Errors are problem JSON with a `fix`.",
            path="/schema",
            # Only the document: the pages that show it would load scripts from elsewhere.
            render_plugins=[JsonRenderPlugin()],
            components=Components(security_schemes={"token": SecurityScheme(type="http", scheme="bearer")}),
            security=[{"token": []}],
        ),
    )
    _tell_what_is_closed(app)
    app.asgi_handler = head_as_get(body_within(app.asgi_handler, body_time))
    return app


def _tell_what_is_closed(app: Litestar) -> None:
    """The document says of a request that it takes no unknown field; Litestar leaves that out."""
    schemas = app.openapi_schema.components.schemas or {}
    for request in (PlaceOrder, OrderItem, AcceptOrder, RejectOrder):
        schemas[request.__name__].additional_properties = False


def _perform(
    command: Command,
    order_id: str,
    ordering: Ordering,
    request: Authenticated,
    idempotency_key: str | None,
) -> Response[Done]:
    done = ordering.perform(command, order_id=order_id, subject=request.user.subject, idempotency_key=idempotency_key)
    return _answer(done, idempotency_key or DEFAULT_KEYS[type(command)], HTTPStatus.OK)


def _answer(done: Done | Refusal, idempotency_key: str, status: HTTPStatus) -> Response[Done]:
    """Tells the key too: a client that sent none needs it to repeat the request."""
    headers = {"Idempotency-Key": idempotency_key}
    if isinstance(done, Refusal):
        raise refused(done, headers)
    return Response(done, status_code=status, headers=headers)


def _view(order: Order) -> OrderView:
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
    )
