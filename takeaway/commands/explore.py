"""explore: the lake by sight, in a browser on this machine."""

import secrets
import sys
from typing import Annotated

import typer

from takeaway.local import free_port, require_free
from takeaway.stack import resolved
from takeaway.terminal import say


def explore(
    port: Annotated[
        int | None, typer.Option(min=1, max=65535, help="On 127.0.0.1.", show_default="one that is free")
    ] = None,
) -> None:
    """Look at the lake in a browser: questions with their SQL, a table to filter by sight, stuck orders.

    Until Ctrl-C. It prints its address, with a token that is good until then; no request leaves this machine. Needs the
    extra `explore`: pip install 'takeaway[explore]'. docs/explore.md shows it.

    Example: takeaway explore
    """
    from takeaway.explore import require_installed, serve

    require_installed()
    environ = resolved()
    if port is not None:
        require_free(port, "--port")
    listen_on, token = port or free_port(), secrets.token_urlsafe(24)
    url = f"http://127.0.0.1:{listen_on}/?access_token={token}"
    serve(environ, port=listen_on, token=token, ready=lambda: _told(url))


def _told(url: str) -> None:
    say(f"{url}\nCtrl-C ends it")
    sys.stdout.flush()
