"""Serves the orders API over HTTP/1.1 and holds every connection to limits, of which uvicorn has none.

Half-open and slow requests cannot keep an honest one waiting: each is given a time, and when there are as many
connections as there may be, the one that has been waited for the longest makes room for a new one.
"""

import asyncio
import resource
import sys
from dataclasses import dataclass
from functools import partial
from typing import Any, cast

import uvicorn
from litestar.types import ASGIApp, HTTPReceiveMessage, Message, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

HOST = "127.0.0.1"
MAX_CONNECTIONS = 512
_STREAM = b"text/event-stream"
_NO_ROOM = b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


@dataclass(frozen=True)
class Limits:
    """`header_seconds`: until a request's headers are whole, counted from the connection or the answer before it.

    `request_seconds`: from then on until it is answered and the answer sent, whatever happens; of a stream of events,
    until the next part of it is sent. The body's own limit is the API's (`producers.api.app`), since it is told in an
    answer.
    """

    connections: int
    header_seconds: float = 10.0
    request_seconds: float = 60.0


class Connections:
    """Those of one server. The waiting ones, for which the other side has to act, are ordered by since when."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self._open: set[LimitedConnection] = set()
        self._waiting: dict[LimitedConnection, None] = {}

    def enter(self, connection: "LimitedConnection") -> bool:
        """Makes room for it; False when every connection has a request that we are working on."""
        if len(self._open) >= self.limits.connections:
            # guarantee: a slow connection makes room for a new one
            oldest = next(iter(self._waiting), None)
            if oldest is None:
                return False
            self.leave(oldest)
            oldest.transport.abort()
        self._open.add(connection)
        self._waiting[connection] = None
        return True

    def leave(self, connection: "LimitedConnection") -> None:
        self._open.discard(connection)
        self._waiting.pop(connection, None)

    def wait_for(self, connection: "LimitedConnection") -> None:
        if connection in self._open:
            self._waiting.setdefault(connection)

    def work_on(self, connection: "LimitedConnection") -> None:
        self._waiting.pop(connection, None)


class LimitedConnection(H11Protocol):
    """uvicorn's connection, held to the limits of `connections`; `uvicorns` are its own arguments."""

    def __init__(self, connections: Connections, **uvicorns: Any) -> None:
        super().__init__(**uvicorns)
        self._connections = connections
        self._limits = connections.limits
        self._requests = 0
        self._streams = False
        self._timer: asyncio.TimerHandle | None = None
        self._answer: ASGIApp = cast("ASGIApp", self.app)
        self.app = cast("Any", self._answer_in_time)

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn has it
        super().connection_made(transport)
        if self._connections.enter(self):
            self._close_in(self._limits.header_seconds)
        else:
            transport.write(_NO_ROOM)
            transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self._connections.leave(self)
        if self._timer:
            self._timer.cancel()
        super().connection_lost(exc)

    async def _answer_in_time(self, scope: Scope, receive: Receive, send: Send) -> None:
        more_body = True

        async def receive_and_give_way() -> HTTPReceiveMessage:
            """While the client is to send more, its connection is one that makes room."""
            nonlocal more_body
            if more_body:
                self._connections.wait_for(self)
            try:
                message = cast("HTTPReceiveMessage", await receive())
            finally:
                # guarantee: a stream makes room for a new connection
                if not self._streams:
                    self._connections.work_on(self)
            more_body = bool(message.get("more_body"))
            return message

        async def send_on(message: Message) -> None:
            """A stream lasts as long as the client takes its parts, and it, too, makes room."""
            if message["type"] == "http.response.start":
                self._streams = any(name == b"content-type" and _STREAM in value for name, value in message["headers"])
            await send(message)
            if self._streams:
                # guarantee: a stream lasts as long as its client takes what comes
                self._close_in(self._limits.request_seconds)
                self._connections.wait_for(self)

        self._requests += 1
        self._connections.work_on(self)
        self._close_in(self._limits.request_seconds)
        try:
            await self._answer(scope, cast("Receive", receive_and_give_way), send_on)
        finally:
            self._streams = False
            self._requests -= 1
            # Of requests sent one behind the other the next may have begun.
            if not self._requests:
                self._connections.wait_for(self)
                self._close_in(self._limits.header_seconds)

    def shutdown(self) -> None:
        """A stream is cut off: its client comes back to another process, and goes on where it was."""
        super().shutdown()
        # guarantee: no stream keeps its process from ending
        if self._streams:
            self.transport.close()

    def _close_in(self, seconds: float) -> None:
        if self._timer:
            self._timer.cancel()
        # guarantee: a connection ends when its time is up
        self._timer = self.loop.call_later(seconds, self.transport.abort)


def server(app: ASGIApp, *, port: int, limits: Limits) -> uvicorn.Server:
    """A server of the application on 127.0.0.1, to be run."""
    config = uvicorn.Config(
        cast("Any", app),
        host=HOST,
        port=port,
        http=cast("Any", partial(LimitedConnection, Connections(limits))),
        # No other protocol over this port, and no word of a client about who it is.
        ws="none",
        proxy_headers=False,
        backlog=limits.connections,
        log_level="warning",
        access_log=False,
        # Behind the API's own time for an answer.
        timeout_graceful_shutdown=20,
    )
    return uvicorn.Server(config)


def serve(app: ASGIApp, *, port: int) -> None:
    """Serves on 127.0.0.1 until SIGTERM or Ctrl-C; what is being answered is then finished first.

    Raises the limit of this process' descriptors where it may. Exits with 1 when the application does not start.
    """
    one = server(app, port=port, limits=Limits(_connections_allowed()))
    one.run()
    if not one.started:
        sys.exit(1)


def _connections_allowed() -> int:
    """A quarter of the descriptors that this process may have, which it asks for first.

    asyncio accepts a whole backlog at a time, and what makes room is closed a round later: in a flood there are three
    times as many open as there are connections. Without a descriptor left asyncio accepts nothing for a second.
    """
    wanted = 4 * MAX_CONNECTIONS
    allowed, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if allowed == resource.RLIM_INFINITY:
        return MAX_CONNECTIONS
    if allowed < wanted:
        allowed = wanted if most == resource.RLIM_INFINITY else min(wanted, most)
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, most))
    return min(MAX_CONNECTIONS, allowed // 4)
