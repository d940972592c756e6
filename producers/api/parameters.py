"""What requests have in common: their parameters, and the problems that any of a kind may end in."""

from datetime import datetime
from http import HTTPStatus
from typing import Annotated

from litestar import Request
from litestar.datastructures import State
from litestar.params import HeaderParameter, PathParameter

from producers.orders import Principal

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
# Who is asking, and until when that may be.
Authenticated = Request[Principal, datetime, State]

GUARDED = (HTTPStatus.BAD_REQUEST, HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.SERVICE_UNAVAILABLE)
WITH_BODY = (
    *GUARDED,
    HTTPStatus.REQUEST_TIMEOUT,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
)
