"""What the orders API answers when it does not do what was asked: problem JSON (RFC 9457), always with a fix."""

import traceback
from http import HTTPStatus
from typing import Any

import msgspec
from botocore.exceptions import BotoCoreError, ClientError
from litestar import Request, Response
from litestar.exceptions import HTTPException
from litestar.types import ExceptionHandlersMap

from foundation.diagnostics import Emit
from producers.commands import KeyReused, Refusal, TotalTooLarge, UnknownOrder, WrongState
from producers.diagnostics import RequestFailed, error_kind
from producers.ordering import Unacknowledged

RETRY_AFTER_SECONDS = 1

_STATUS: dict[type[Refusal], HTTPStatus] = {
    WrongState: HTTPStatus.CONFLICT,
    KeyReused: HTTPStatus.UNPROCESSABLE_ENTITY,
    TotalTooLarge: HTTPStatus.UNPROCESSABLE_ENTITY,
    UnknownOrder: HTTPStatus.NOT_FOUND,
    Unacknowledged: HTTPStatus.SERVICE_UNAVAILABLE,
}
# Litestar's words for a request without a body: the handler's argument `data` is missing.
_NO_BODY = {"message": "'data'", "key": "data", "source": "body"}
_FIXES = {
    HTTPStatus.BAD_REQUEST: "Send a body and headers as /schema/openapi.json describes them.",
    HTTPStatus.NOT_FOUND: "See /schema/openapi.json for the paths there are.",
    HTTPStatus.METHOD_NOT_ALLOWED: "Use a method of the Allow header.",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "Send a smaller body; an order has at most 200 items.",
}


class ProblemBody(msgspec.Struct, frozen=True, kw_only=True):
    """A problem as RFC 9457 writes it down; `fix` says what the sender can do."""

    type: str
    title: str
    status: int
    detail: str
    fix: str


class Problem(Exception):
    """Ends a request with a problem; `name` makes its type."""

    def __init__(
        self, name: str, status: HTTPStatus, detail: str, fix: str, headers: dict[str, str] | None = None
    ) -> None:
        super().__init__(detail)
        self.body = ProblemBody(
            type=f"urn:takeaway:problem:{name}", title=status.phrase, status=status, detail=detail, fix=fix
        )
        self.headers = headers or {}


def refused(refusal: Refusal, headers: dict[str, str] | None = None) -> Problem:
    """The problem that a refused command ends in."""
    status = _STATUS[type(refusal)]
    retry = {"Retry-After": str(RETRY_AFTER_SECONDS)} if status == HTTPStatus.SERVICE_UNAVAILABLE else {}
    name = "".join(f"-{letter.lower()}" if letter.isupper() else letter for letter in type(refusal).__name__)
    return Problem(name.lstrip("-"), status, refusal.detail, refusal.fix, retry | (headers or {}))


def exception_handlers(emit: Emit) -> ExceptionHandlersMap:
    """Turns every way a request can fail into a problem; what is our fault is emitted too."""

    def problem(_: Request[Any, Any, Any], error: Problem) -> Response[ProblemBody]:
        return _response(error)

    def framework(_: Request[Any, Any, Any], error: HTTPException) -> Response[ProblemBody]:
        status = HTTPStatus(error.status_code)
        name = status.phrase.lower().replace(" ", "-")
        fix = _FIXES.get(status, "See /schema/openapi.json for what this API takes.")
        return _response(Problem(name, status, _detail(error), fix, error.headers))

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
        detail = "body: nested too deeply"
        return _response(Problem("bad-request", HTTPStatus.BAD_REQUEST, detail, _FIXES[HTTPStatus.BAD_REQUEST]))

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
        RecursionError: too_deep,
        Exception: defect,
    }
    return handlers


def _response(problem: Problem) -> Response[ProblemBody]:
    return Response(
        problem.body,
        status_code=problem.body.status,
        media_type="application/problem+json",
        headers=problem.headers,
    )


def _detail(error: HTTPException) -> str:
    """Names each field that is wrong, and what was expected there."""
    if not isinstance(error.extra, list):
        return error.detail
    if error.extra == [_NO_BODY]:
        return "body: a JSON object is required, none was sent"
    return "; ".join(f"{_field(entry.get('key'))}: {entry['message']}" for entry in error.extra)


def _field(key: str | None) -> str:
    return "body" if key in {None, "data"} else str(key)


def _request_failed(request: Request[Any, Any, Any], error: Exception) -> RequestFailed:
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return RequestFailed(
        method=str(request.method),
        route=str(request.scope.get("path_template", "")),
        error=error_kind(error),
        where=f"{frame.filename.rsplit('/', 1)[-1]}:{frame.lineno}",
    )
