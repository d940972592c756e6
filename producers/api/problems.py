"""What the orders API answers when it does not do what was asked: problem JSON (RFC 9457), always with a fix."""

import re
import traceback
from http import HTTPStatus
from typing import Any

import msgspec
from botocore.exceptions import BotoCoreError, ClientError
from litestar import Request, Response
from litestar.exceptions import HTTPException
from litestar.openapi.datastructures import ResponseSpec
from litestar.types import ExceptionHandlersMap

from events import OrderState
from foundation.diagnostics import Emit
from foundation.dynamodb import LeftUnread
from producers.orders import (
    KeyReused,
    Refusal,
    RequestFailed,
    TooEarly,
    TotalTooLarge,
    Unacknowledged,
    UnknownOrder,
    WrongState,
    error_kind,
)

RETRY_AFTER_SECONDS = 1
MEDIA_TYPE = "application/problem+json"

_STATUS: dict[type[Refusal], HTTPStatus] = {
    WrongState: HTTPStatus.CONFLICT,
    TooEarly: HTTPStatus.CONFLICT,
    KeyReused: HTTPStatus.UNPROCESSABLE_ENTITY,
    TotalTooLarge: HTTPStatus.UNPROCESSABLE_ENTITY,
    UnknownOrder: HTTPStatus.NOT_FOUND,
    Unacknowledged: HTTPStatus.SERVICE_UNAVAILABLE,
}
# Litestar's words for a request without a body: the handler's argument `data` is missing.
_NO_BODY = {"message": "'data'", "key": "data", "source": "body"}
# A pattern tells a program what was expected; these tell its author.
_NO_MATCH = "Expected `str` matching regex"
_MISMATCHES = {
    "customer_email": "not an e-mail address that mail can carry: one address in ASCII, as in ada@example.com",
    "currency": "not a currency's code of three capital letters, as in EUR",
    "time_zone": "Expected the name of a time zone, as Europe/Amsterdam",
}
_NOT_PLAIN = "has a character that controls a line or its direction"
# msgspec's words for where a value is wrong, as `$.items[0].name`.
_PLACED = re.compile(r"(?P<what>.*) - at `\$\.?(?P<where>.*)`", re.DOTALL)
# msgspec's words for a body that is not JSON.
_TRUNCATED = "Input data was truncated"
_MALFORMED = re.compile(r"JSON is malformed: (?P<what>.+) \(byte (?P<index>\d+)\)")
_MEANINGS = {
    HTTPStatus.BAD_REQUEST: "The body, a header or an id in the path is not as described here.",
    HTTPStatus.UNAUTHORIZED: "There is no token, or it is no good, or not any more.",
    HTTPStatus.FORBIDDEN: "The token is of a role that this is not for.",
    HTTPStatus.NOT_FOUND: "There is no such order, or it is somebody else's.",
    HTTPStatus.CONFLICT: "The order has gone another way already, or not far enough.",
    HTTPStatus.REQUEST_TIMEOUT: "The body was not whole in time.",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "The body is too large.",
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE: "The body is of another type than application/json.",
    HTTPStatus.UNPROCESSABLE_ENTITY: "The Idempotency-Key stands for another body, or an order's total is too large.",
    HTTPStatus.SERVICE_UNAVAILABLE: "This cannot be answered now.",
}
_FIXES = {
    HTTPStatus.BAD_REQUEST: "Send a body and headers as /schema/openapi.json describes them.",
    HTTPStatus.NOT_FOUND: "See /schema/openapi.json for the paths there are.",
    HTTPStatus.METHOD_NOT_ALLOWED: "Use a method of the Allow header.",
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE: "Send JSON in UTF-8 with the header `Content-Type: application/json`.",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "Send a smaller body; an order has at most 200 items.",
}


class ProblemBody(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A problem as RFC 9457 writes it down; `fix` says what the sender can do.

    `state` is the order's, where that is why a command is not carried out: what came first has brought it there.
    """

    type: str
    title: str
    status: int
    detail: str
    fix: str
    state: OrderState | None = None


class Problem(Exception):
    """Ends a request with a problem; `name` makes its type."""

    def __init__(
        self,
        name: str,
        status: HTTPStatus,
        detail: str,
        fix: str,
        headers: dict[str, str] | None = None,
        state: OrderState | None = None,
    ) -> None:
        super().__init__(detail)
        self.body = ProblemBody(
            type=f"urn:takeaway:problem:{name}", title=status.phrase, status=status, detail=detail, fix=fix, state=state
        )
        self.headers = headers or {}


def refused(refusal: Refusal, headers: dict[str, str] | None = None) -> Problem:
    """The problem that a refused command ends in."""
    status = _STATUS[type(refusal)]
    retry = {"Retry-After": str(RETRY_AFTER_SECONDS)} if status == HTTPStatus.SERVICE_UNAVAILABLE else {}
    name = "".join(f"-{letter.lower()}" if letter.isupper() else letter for letter in type(refusal).__name__)
    state = refusal.state if isinstance(refusal, WrongState) else None
    return Problem(name.lstrip("-"), status, refusal.detail, refusal.fix, retry | (headers or {}), state)


def documented(*statuses: HTTPStatus) -> dict[int, ResponseSpec]:
    """The problems a route may answer with, as the OpenAPI document lists them."""
    return {
        status.value: ResponseSpec(
            ProblemBody, generate_examples=False, description=_MEANINGS[status], media_type=MEDIA_TYPE
        )
        for status in statuses
    }


def unreadable(error: msgspec.DecodeError | UnicodeDecodeError, body: bytes) -> Problem:
    """The problem of a body that does not decode; tells where it stops being JSON. Bytes are counted from 1."""
    if isinstance(error, UnicodeDecodeError):
        # It counts from the start of one string; that string is somewhere in the body.
        at = body.find(error.object) + error.start + 1
        return _bad_request(f"body: not JSON: not UTF-8, at byte {at} of {len(body)}")
    reason = str(error)
    if reason == _TRUNCATED:
        return _bad_request(f"body: not JSON: it breaks off after byte {len(body)}")
    if malformed := _MALFORMED.fullmatch(reason):
        # Sometimes the byte that is wrong, sometimes the one after it.
        near = min(int(malformed["index"]) + 1, len(body))
        return _bad_request(f"body: not JSON: {malformed['what']}, near byte {near} of {len(body)}")
    return _bad_request(f"body: {reason.split(' - ', maxsplit=1)[0]}")


def mismatched(error: msgspec.ValidationError) -> Problem:
    """The problem of a body that is JSON and not what is described; names the field and what was expected there."""
    placed = _PLACED.fullmatch(str(error))
    if not placed:
        return _bad_request(f"body: {error}")
    return _bad_request(_complaint(placed["where"] or "body", placed["what"]))


def not_json(content_type: str) -> Problem:
    """The problem of a body that calls itself something else."""
    status = HTTPStatus.UNSUPPORTED_MEDIA_TYPE
    return Problem(
        "unsupported-media-type", status, f"The body is {content_type!r}, not JSON in UTF-8.", _FIXES[status]
    )


def exception_handlers(emit: Emit) -> ExceptionHandlersMap:
    """Turns every way a request can fail into a problem; what is our fault is emitted too."""

    def problem(_: Request[Any, Any, Any], error: Problem) -> Response[ProblemBody]:
        return _response(error)

    def framework(request: Request[Any, Any, Any], error: HTTPException) -> Response[ProblemBody]:
        status = HTTPStatus(error.status_code)
        name = status.phrase.lower().replace(" ", "-")
        fix = _FIXES.get(status, "See /schema/openapi.json for what this API takes.")
        return _response(Problem(name, status, _detail(request, error), fix, error.headers))

    def aws(request: Request[Any, Any, Any], error: Exception) -> Response[ProblemBody]:
        emit(_request_failed(request, error))
        return _response(
            Problem(
                "store-unavailable",
                HTTPStatus.SERVICE_UNAVAILABLE,
                "The orders' store does not answer.",
                "Send the same request again a little later, with the same Idempotency-Key if it had one.",
                {"Retry-After": str(RETRY_AFTER_SECONDS)},
            )
        )

    def too_deep(_: Request[Any, Any, Any], __: RecursionError) -> Response[ProblemBody]:
        # The JSON decoder's answer to a body of nothing but brackets; our own code does not recurse.
        return _response(_bad_request("body: nested too deeply"))

    def defect(request: Request[Any, Any, Any], error: Exception) -> Response[ProblemBody]:
        emit(_request_failed(request, error))
        return _response(
            Problem(
                "defect",
                HTTPStatus.INTERNAL_SERVER_ERROR,
                "The orders API failed; its operators have been told.",
                "Send the same request again with the same Idempotency-Key; if it fails again, report it.",
            )
        )

    handlers: ExceptionHandlersMap = {
        Problem: problem,
        HTTPException: framework,
        BotoCoreError: aws,
        ClientError: aws,
        LeftUnread: aws,
        RecursionError: too_deep,
        Exception: defect,
    }
    return handlers


def _response(problem: Problem) -> Response[ProblemBody]:
    return Response(
        problem.body,
        status_code=problem.body.status,
        media_type=MEDIA_TYPE,
        headers=problem.headers,
    )


def _bad_request(detail: str) -> Problem:
    return Problem("bad-request", HTTPStatus.BAD_REQUEST, detail, _FIXES[HTTPStatus.BAD_REQUEST])


def _detail(request: Request[Any, Any, Any], error: HTTPException) -> str:
    """Names each field that is wrong, and what was expected there."""
    if not isinstance(error.extra, list):
        return error.detail
    if error.extra == [_NO_BODY]:
        return "body: a JSON object is required, none was sent"
    return "; ".join(_complaint(_field(request, entry.get("key")), entry["message"]) for entry in error.extra)


def _complaint(field: str, message: str) -> str:
    if message.startswith(_NO_MATCH):
        message = _MISMATCHES.get(field, _NOT_PLAIN)
    return f"{field}: {message}"


def _field(request: Request[Any, Any, Any], key: str | None) -> str:
    """As the client calls it: Litestar tells the name of the handler's argument."""
    if key is None or key == "data":
        return "body"
    argument = request.route_handler.parsed_fn_signature.parameters.get(key)
    name: str | None = getattr(argument and argument.kwarg_definition, "name", None)
    return name or key


def _request_failed(request: Request[Any, Any, Any], error: Exception) -> RequestFailed:
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return RequestFailed(
        method=str(request.method),
        route=str(request.scope.get("path_template", "")),
        error=error_kind(error),
        where=f"{frame.filename.rsplit('/', 1)[-1]}:{frame.lineno}",
    )
