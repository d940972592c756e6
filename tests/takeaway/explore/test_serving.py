"""takeaway explore as it is served: to who has its token, from this machine, and asking nowhere else."""

import asyncio
import io
import json
import os
import signal
import socket
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from playwright.sync_api import Page
from typer.testing import CliRunner

from analytics import assembly
from producers.load.history.history import sample
from takeaway import cli
from takeaway.commands import explore as explore_command
from takeaway.errors import UserError
from takeaway.explore import local_only, serving
from takeaway.explore.serving import Message
from tests.conftest import LocalAws
from tests.support import ROOT
from tests.support.browser import MOST_MILLISECONDS, a_browser


def headers_of(app: Any) -> dict[str, str]:
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        return {"type": "http.request"}

    asyncio.run(app({"type": "http"}, receive, send))
    return {name.decode(): value.decode() for name, value in sent[0]["headers"]}


def test_a_browser_is_told_to_ask_nowhere_else() -> None:
    async def page(_: Message, __: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/html")]})
        await send({"type": "http.response.body", "body": b""})

    headers = headers_of(local_only(page, 8123))
    assert headers["content-type"] == "text/html"
    policy = dict(one.split(" ", 1) for one in headers["content-security-policy"].split("; "))
    assert policy["default-src"] == "'self'"
    places = {place for sources in policy.values() for place in sources.split() if "'" not in place}
    assert places == {"data:", "blob:", "ws://127.0.0.1:8123", "ws://localhost:8123"}


def test_without_its_libraries_it_says_how_to_get_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving, "find_spec", lambda name: None if name == "quak" else object())
    error = CliRunner().invoke(cli.app, ["explore"]).exception
    assert isinstance(error, UserError)
    assert error.what == "`takeaway explore` needs quak, which this Python does not have"
    assert "pip install 'takeaway[explore]'" in error.fix


def test_a_port_that_is_taken_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def taken(port: int, name: str) -> None:
        raise UserError(f"port {port} is taken", name)

    monkeypatch.setattr(explore_command, "resolved", dict)
    monkeypatch.setattr(explore_command, "require_free", taken)
    assert "port 8123 is taken" in str(CliRunner().invoke(cli.app, ["explore", "--port", "8123"]).exception)


class Elsewhere:
    """A site that a page has no business with: it counts who came."""

    def __init__(self, listening: socket.socket) -> None:
        self._listening = listening
        self.picture = f"http://localhost:{listening.getsockname()[1]}/pixel.png"

    def was_asked(self) -> bool:
        try:
            self._listening.accept()[0].close()
        except BlockingIOError:
            return False
        return True


@pytest.fixture
def elsewhere() -> Iterator[Elsewhere]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.setblocking(False)
        yield Elsewhere(listening)


@pytest.fixture
def served(local_aws: LocalAws, tmp_path: Path, elsewhere: Elsewhere) -> Iterator[str]:
    """The address that `takeaway explore` prints, of a lake with five orders, one of them in a hostile city."""
    bucket = f"lake-{uuid.uuid4()}"
    local_aws.client("s3").create_bucket(Bucket=bucket)
    environ = {**local_aws.environ, "TAKEAWAY_LAKE_BUCKET": bucket}
    lines = [json.loads(line) for line in sample(7, 5)]
    placed = next(line for line in lines if line["event_type"] == "order_placed")
    placed["city"] = elsewhere.picture
    history = io.BytesIO("".join(f"{json.dumps(line)}\n" for line in lines).encode())
    loading = assembly.backfill(environ, lambda _: None, assembly.customer_keys(environ))
    assert loading.load("sample", history, set_apart=lambda _: None, progress=lambda _: None).bad == 0
    with subprocess.Popen(
        [sys.executable, "-m", "takeaway.cli", "explore"],
        cwd=ROOT,
        env={**os.environ, **environ, "TAKEAWAY_HOME": str(tmp_path)},
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline().strip()
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(timeout=60)


@pytest.fixture
def page() -> Iterator[Page]:
    with a_browser() as browser:
        page = browser.new_page(viewport={"width": 1400, "height": 2400})
        page.set_default_timeout(MOST_MILLISECONDS)
        yield page


@pytest.mark.local_aws
@pytest.mark.end_to_end
def test_in_a_browser_no_request_leaves_this_machine(served: str, page: Page, elsewhere: Elsewhere) -> None:
    address = urlsplit(served)
    assert address.hostname == "127.0.0.1"
    without_token = httpx.get(f"http://{address.netloc}/", trust_env=False, follow_redirects=False, timeout=60)
    assert without_token.status_code in {302, 303, 307, 401}
    asked: list[str] = []
    refused: set[str] = set()
    page.on("request", lambda request: asked.append(request.url))
    page.on("websocket", lambda opened: asked.append(opened.url))
    page.on("requestfailed", lambda request: refused.add(request.url))
    page.goto(served, wait_until="commit")
    page.get_by_role("heading", name="Stuck orders").wait_for()
    page.get_by_text("5 rows, all there are").wait_for()
    # marimo takes what looks like the address of a picture for one, and shows the address where it cannot have it.
    page.locator("select").first.select_option("Revenue by city")
    page.get_by_role("link", name=elsewhere.picture).first.wait_for()
    fetched = page.evaluate("url => fetch(url).then(() => 'went', error => error.name)", elsewhere.picture)
    assert fetched == "TypeError"
    assert not elsewhere.was_asked()
    went = {urlsplit(url).netloc for url in asked if url not in refused and not url.startswith(("data:", "blob:"))}
    assert went == {address.netloc}
