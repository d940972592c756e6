"""What Litestar leaves out of HTTP, around the whole application: HEAD, a time limit for bodies, headers of safety.

And around one answer: a stream, which goes on for as long as there are parts and a client that takes them.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import timedelta
from http import HTTPStatus
from typing import Any

from litestar import Response
from litestar.enums import ScopeType
from litestar.types import ASGIApp, HTTPReceiveMessage, HTTPScope, Message, Receive, Scope, Send

from foundation.clock import Clock
from foundation.diagnostics import Diagnostic, Emit
from producers.api.problems import Problem
from producers.api.server_sent import MEDIA_TYPE

# What a browser may do with an answer, whatever is in it: run and load what comes from here, and nothing inline.
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
SAFETY = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
}
_OF_A_STREAM = [(b"content-type", MEDIA_TYPE.encode()), (b"cache-control", b"no-store"), (b"x-accel-buffering", b"no")]
_SAFETY = [(name.lower().encode(), value.encode()) for name, value in SAFETY.items()]


def with_safety(app: ASGIApp) -> ASGIApp:
    """Puts the headers of `SAFETY` on every answer, a problem or a stream as well as a page."""

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        async def send_safely(message: Message) -> None:
            if message["type"] == "http.response.start":
                # guarantee: every answer has the headers of safety
                message = {**message, "headers": [*message["headers"], *_SAFETY]}
            await send(message)

        await app(scope, receive, send_safely)

    return answer


@dataclass(frozen=True)
class Answered(Diagnostic):
    """A request was answered. `route` is its template, without ids; `status` is 0 when the answer never began.

    `role` is that of the token or session, none without one. Of a stream this is told when it ends.
    """

    method: str
    route: str
    status: int
    milliseconds: float
    role: str


def logged(app: ASGIApp, emit: Emit, clock: Clock) -> ASGIApp:
    """Tells every request, around the application that finds its route."""

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != ScopeType.HTTP:
            await app(scope, receive, send)
            return
        status, began = 0, clock.monotonic()

        async def send_and_note(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await app(scope, receive, send_and_note)
        finally:
            took, who = clock.monotonic() - began, scope.get("user")
            route = str(scope.get("path_template", ""))
            emit(Answered(scope["method"], route, int(status), round(1000 * took, 1), who.role if who else ""))

    return answer


def head_as_get(app: ASGIApp) -> ASGIApp:
    """Answers HEAD as GET without the body (RFC 9110, 9.3.2), and names it wherever GET is allowed."""

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != ScopeType.HTTP:
            await app(scope, receive, send)
            return
        is_head = scope["method"] == "HEAD"
        as_get: HTTPScope = {**scope, "method": "GET"} if is_head else scope

        is_told = False

        async def send_without_body(message: Message) -> None:
            nonlocal is_told
            if message["type"] == "http.response.start":
                message = {**message, "headers": [_with_head(name, value) for name, value in message["headers"]]}
            elif is_head and message["type"] == "http.response.body":
                # Of a stream, too, which then finds that its client is gone.
                if is_told:
                    return
                is_told, message = True, {**message, "body": b"", "more_body": False}
            await send(message)

        await app(as_get, receive, send_without_body)

    return answer


def body_within(app: ASGIApp, limit: timedelta) -> ASGIApp:
    """A body that is not whole in time, counted from its request's headers, is a 408 and the connection's end."""

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        give_up_at = asyncio.get_running_loop().time() + limit.total_seconds()
        more_body = True

        async def receive_in_time() -> HTTPReceiveMessage:
            nonlocal more_body
            # guarantee: a body that is not whole in time is given up
            if not more_body:
                return await receive()  # type: ignore[return-value] # of HTTP alone
            try:
                async with asyncio.timeout_at(give_up_at):
                    message = await receive()
            except TimeoutError as error:
                raise _too_slow(limit) from error
            more_body = bool(message.get("more_body"))
            return message  # type: ignore[return-value]

        await app(scope, receive_in_time if scope["type"] == ScopeType.HTTP else receive, send)

    return answer


class EventStream(Response[str]):
    """The parts of a stream. It holds no thread.

    `gone` is called when the client has left, and ends the parts; `over` when the stream ends, however it does.
    """

    def __init__(self, parts: AsyncIterator[bytes], *, gone: Callable[[], None], over: Callable[[], None]) -> None:
        super().__init__("", media_type=MEDIA_TYPE)
        self._sent = _Sent(parts, gone, over)

    def to_asgi_response(self, *_: Any, **__: Any) -> Any:
        return self._sent


class _Sent:
    """The stream as an ASGI application."""

    def __init__(self, parts: AsyncIterator[bytes], gone: Callable[[], None], over: Callable[[], None]) -> None:
        self._parts = parts
        self._gone = gone
        self._over = over

    async def __call__(self, _: Scope, receive: Receive, send: Send) -> None:
        leaving = asyncio.ensure_future(self._end_when_gone(receive))
        try:
            await send({"type": "http.response.start", "status": HTTPStatus.OK, "headers": _OF_A_STREAM})
            async for part in self._parts:
                await send({"type": "http.response.body", "body": part, "more_body": True})
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        finally:
            # guarantee: a stream that ends is one less, however it ends
            self._over()
            leaving.cancel()

    async def _end_when_gone(self, receive: Receive) -> None:
        try:
            while (await receive())["type"] != "http.disconnect":
                pass
        except Exception:  # noqa: BLE001, S110 - as a body that does not come: an answer has begun, and now it ends
            pass
        self._gone()


def _too_slow(limit: timedelta) -> Problem:
    return Problem(
        "request-timeout",
        HTTPStatus.REQUEST_TIMEOUT,
        f"The body was not whole within {limit.total_seconds():g} s.",
        "Send the same request again over a connection that is fast enough.",
        {"Connection": "close"},
    )


def _with_head(name: bytes, value: bytes) -> tuple[bytes, bytes]:
    if name.lower() != b"allow":
        return name, value
    methods = [method.strip() for method in value.split(b",")]
    if b"GET" in methods and b"HEAD" not in methods:
        methods.insert(methods.index(b"GET") + 1, b"HEAD")
    return name, b", ".join(methods)
