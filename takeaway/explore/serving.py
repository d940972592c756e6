"""Serves the app on 127.0.0.1 behind a token, under a policy that lets no page of it ask anywhere else."""

import os
import sys
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from takeaway.errors import UserError

APP = Path(__file__).with_name("app.py")
# Those of the extra `explore`.
_NEEDED = ("marimo", "quak")

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]


def require_installed() -> None:
    """Raises `UserError` where the libraries are missing that only this needs."""
    if missing := [name for name in _NEEDED if find_spec(name) is None]:
        raise UserError(
            f"`takeaway explore` needs {' and '.join(missing)}, which this Python does not have",
            "pip install 'takeaway[explore]'; in a checkout `make install` has all of it",
        )


def serve(environ: Mapping[str, str], *, port: int, token: str, ready: Callable[[], None]) -> None:
    """Serves until SIGTERM or Ctrl-C; `environ` leads to the lake, and `ready` is called when it answers."""
    import marimo
    import uvicorn

    # The app is a notebook, and finds its lake as any other does.
    os.environ.update(environ)
    os.environ.pop("MARIMO_TRACING", None)
    built = marimo.create_asgi_app(quiet=True, token=token).with_app(path="/", root=str(APP)).build()

    class Server(uvicorn.Server):
        async def startup(self, *arguments: Any, **named: Any) -> None:
            await super().startup(*arguments, **named)
            ready()

    config = uvicorn.Config(
        local_only(built, port),
        host="127.0.0.1",
        port=port,
        log_level="warning",
        # A page that is open is no reason to stay.
        timeout_graceful_shutdown=2,
    )
    server = Server(config)
    # uvicorn ends what is open, and then gives the signal that it heard again.
    with suppress(KeyboardInterrupt):
        server.run()
    if not server.started:
        sys.exit(1)
    # What is left are threads of marimo's sessions, which wait for pages that have gone.
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


def local_only(app: App, port: int) -> App:
    """The app with headers by which a browser loads from it and sends to it, and to nothing else.

    What data say may look like the address of a picture, and marimo's own pages know a few addresses elsewhere.
    """
    policy = "; ".join(
        (
            "default-src 'self'",
            "script-src 'self' 'unsafe-inline' 'unsafe-eval' blob: data:",
            "style-src 'self' 'unsafe-inline'",
            "img-src 'self' data: blob:",
            "font-src 'self' data:",
            f"connect-src 'self' data: blob: ws://127.0.0.1:{port} ws://localhost:{port}",
            "worker-src 'self' blob:",
            "object-src 'none'",
            "base-uri 'self'",
            "form-action 'self'",
            "frame-ancestors 'none'",
        )
    )
    headers = [
        (b"content-security-policy", policy.encode()),
        (b"referrer-policy", b"no-referrer"),
        (b"x-content-type-options", b"nosniff"),
    ]

    async def answer(scope: Message, receive: Receive, send: Send) -> None:
        async def with_policy(message: Message) -> None:
            if message["type"] == "http.response.start":
                # guarantee: no page of explore asks anywhere but here
                message["headers"] = [*message.get("headers", ()), *headers]
            await send(message)

        await app(scope, receive, with_policy if scope["type"] == "http" else send)

    return answer
