"""What Litestar leaves out of HTTP, around the whole application: HEAD, and a time limit for bodies."""

import asyncio
from datetime import timedelta
from http import HTTPStatus

from litestar.enums import ScopeType
from litestar.types import ASGIApp, HTTPReceiveMessage, HTTPScope, Message, Receive, Scope, Send

from producers.api.problems import Problem


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
