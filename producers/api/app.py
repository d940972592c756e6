"""The orders API over HTTP and JSON, put together from its routes, and what else is served beside it."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from http import HTTPStatus
from typing import Any

from litestar import Litestar, Router, get
from litestar.datastructures import State
from litestar.di import NamedDependency, Provide
from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin
from litestar.openapi.spec import Components, SecurityScheme
from litestar.types import ControllerRouterHandler

from events import ACCEPT_WITHIN
from foundation.clock import Clock
from foundation.diagnostics import Emit
from producers.api.access import Doorkeeper
from producers.api.asgi import body_within, head_as_get, logged, with_safety
from producers.api.bodies import OrdersRequest
from producers.api.commands import COMMANDS
from producers.api.following import follow_order
from producers.api.problems import Problem, documented, exception_handlers
from producers.api.streams import STREAM_LIMITS, OrderStreams, StreamLimits
from producers.api.viewing import list_orders, see_order
from producers.orders import AcceptOrder, Order, Ordering, OrderItem, Orders, PlaceOrder, RejectOrder, TokenKey
from producers.publishing import EventPublisher
from producers.tracking import TrackedOrders

# A DynamoDB item has at most 400 KB, and it holds the order beside the events that follow.
MAX_BODY_BYTES = 128 * 1024
BODY_TIME = timedelta(seconds=10)


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


def _nothing(_: Order) -> None:
    """For additions that do not care."""


@dataclass(frozen=True)
class Addition:
    """What is served beside the orders API.

    `dependencies` are values by the names that handlers ask for them, beside the API's own `ordering`, `tracked`
    and `streams`.
    `state` is what guards find in the application's state. `carried_out` is told each order that a command of this
    process has led on, on the request's thread, once its event is on the stream.
    """

    route_handlers: tuple[ControllerRouterHandler, ...]
    dependencies: Mapping[str, Any] = field(default_factory=dict)
    state: Mapping[str, Any] = field(default_factory=dict)
    on_startup: tuple[Callable[[], Awaitable[None]], ...] = ()
    on_shutdown: tuple[Callable[[], Awaitable[None]], ...] = ()
    carried_out: Callable[[Order], None] = _nothing


def create_app(
    orders: Orders,
    tracked: TrackedOrders,
    publisher: EventPublisher,
    token_key: TokenKey,
    clock: Clock,
    emit: Emit,
    *,
    answer_within: timedelta = timedelta(seconds=10),
    accept_within: timedelta = ACCEPT_WITHIN,
    body_time: timedelta = BODY_TIME,
    stream_limits: StreamLimits = STREAM_LIMITS,
    additions: Sequence[Addition] = (),
    log_requests: bool = False,
) -> Litestar:
    """The API as an ASGI application, with what is added to it. Whoever made `publisher` closes it.

    `log_requests` has each answer told, as `Answered`.
    """
    streams = OrderStreams(tracked, stream_limits, emit)

    def carried_out(order: Order) -> None:
        streams.carried_out(order)
        for addition in additions:
            addition.carried_out(order)

    ordering = Ordering(
        orders,
        publisher,
        clock=clock,
        emit=emit,
        answer_within=answer_within,
        accept_within=accept_within,
        carried_out=carried_out,
    )
    app = Litestar(
        # By a router of their own: Litestar wraps a handler twice when another is added to its path later.
        [
            Router("/", route_handlers=[*COMMANDS, see_order, list_orders, follow_order, health]),
            *(handler for addition in additions for handler in addition.route_handlers),
        ],
        dependencies=_provided(
            {
                "ordering": ordering,
                "tracked": tracked,
                "streams": streams,
                "emit": emit,
                "publisher": publisher,
                **{name: value for addition in additions for name, value in addition.dependencies.items()},
            }
        ),
        state=State(
            {
                "doorkeeper": Doorkeeper(token_key, clock),
                **{name: value for addition in additions for name, value in addition.state.items()},
            }
        ),
        exception_handlers=exception_handlers(emit),
        on_startup=[streams.start, *(start for addition in additions for start in addition.on_startup)],
        on_shutdown=[streams.stop, *(stop for addition in additions for stop in addition.on_shutdown)],
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
    if log_requests:
        app.asgi_handler = logged(app.asgi_handler, emit, clock)
    app.asgi_handler = with_safety(head_as_get(body_within(app.asgi_handler, body_time)))
    return app


def _provided(values: Mapping[str, Any]) -> dict[str, Provide]:
    return {name: _provided_one(value) for name, value in values.items()}


def _provided_one(value: Any) -> Provide:
    # Litestar would read the value of a function's default, or of a partial, from the query.
    return Provide(lambda: value, sync_to_thread=False)


def _tell_what_is_closed(app: Litestar) -> None:
    """The document says of a request that it takes no unknown field; Litestar leaves that out."""
    schemas = app.openapi_schema.components.schemas or {}
    for request in (PlaceOrder, OrderItem, AcceptOrder, RejectOrder):
        schemas[request.__name__].additional_properties = False
