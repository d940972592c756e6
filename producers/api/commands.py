"""Routes that are commands: customers place and cancel, restaurants accept, reject and complete orders."""

import uuid
from http import HTTPStatus

from litestar import Response, post
from litestar.datastructures import ResponseHeader
from litestar.di import NamedDependency
from litestar.params import JSONBody

from producers.api.access import only
from producers.api.parameters import GUARDED, WITH_BODY, Authenticated, IdempotencyKey, OrderId, TraceParent
from producers.api.problems import documented, refused
from producers.orders import (
    DEFAULT_KEYS,
    AcceptOrder,
    CancelOrder,
    Command,
    CompleteOrder,
    Done,
    Ordering,
    PlaceOrder,
    Refusal,
    RejectOrder,
)

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


@post(
    "/orders",
    guards=only("customer"),
    sync_to_thread=True,
    summary="Place an order",
    response_headers=_TELLS_ITS_KEY,
    responses=documented(*WITH_BODY, HTTPStatus.UNPROCESSABLE_ENTITY),
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


@post(
    "/orders/{order_id:str}/accept",
    guards=only("restaurant"),
    sync_to_thread=True,
    status_code=HTTPStatus.OK,
    summary="Accept an order",
    response_headers=_TELLS_ITS_KEY,
    responses=documented(*WITH_BODY, *_OF_AN_ORDER, HTTPStatus.UNPROCESSABLE_ENTITY),
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
    responses=documented(*WITH_BODY, *_OF_AN_ORDER, HTTPStatus.UNPROCESSABLE_ENTITY),
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
    responses=documented(*GUARDED, *_OF_AN_ORDER),
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
    responses=documented(*GUARDED, *_OF_AN_ORDER),
)
def cancel_order(
    order_id: OrderId,
    ordering: NamedDependency[Ordering],
    request: Authenticated,
    idempotency_key: IdempotencyKey = None,
) -> Response[Done]:
    return _perform(CancelOrder(), order_id, ordering, request, idempotency_key)


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


COMMANDS = (place_order, accept_order, reject_order, complete_order, cancel_order)
