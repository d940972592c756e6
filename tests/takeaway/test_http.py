"""One GET: any answer is one, and everything else is an `OSError` that quotes no URL."""

import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from takeaway.http import get

pytestmark = pytest.mark.slow

pytestmark = pytest.mark.slow


class Answering(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(503 if self.path == "/api/ill" else 200)
        self.send_header("Content-Length", str(len(self.path)))
        self.end_headers()
        self.wfile.write(self.path.encode())

    def log_message(self, *_: object) -> None:
        """Tests read no logs."""


@pytest.fixture
def server() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Answering) as there:
        threading.Thread(target=there.serve_forever, kwargs={"poll_interval": 0.01}).start()
        yield f"http://127.0.0.1:{there.server_address[1]}"
        there.shutdown()


@pytest.fixture
def silent() -> Iterator[str]:
    """Takes connections, and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as there:
        yield f"http://127.0.0.1:{there.getsockname()[1]}"


@pytest.mark.parametrize("endpoint", ["{}/api", "{}/api/"])
def test_an_answer_is_an_answer_whatever_its_status(server: str, endpoint: str) -> None:
    well, ill = (get(endpoint.format(server), path, seconds=5) for path in ("/health", "/ill"))
    assert (well.status_code, well.text, ill.status_code) == (200, "/api/health", 503)


def test_a_proxy_of_the_user_is_not_asked(server: str, silent: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", silent)
    assert get(server, "/health", seconds=5).text == "/health"


@pytest.mark.parametrize(
    ("endpoint", "told"),
    [
        ("http://someone:swordfish@127.0.0.1:9", "refused"),
        ("localhost:4566", "protocol"),
        ("http://127.0.0.1:no-port", "port"),
    ],
)
def test_no_answer_is_an_error_of_the_system(endpoint: str, told: str) -> None:
    with pytest.raises(OSError, match=told) as error:
        get(endpoint, "/health", seconds=5)
    assert "swordfish" not in str(error.value)


def test_silence_ends(silent: str) -> None:
    with pytest.raises(OSError, match="timed out"):
        get(silent, "/health", seconds=0.1)
