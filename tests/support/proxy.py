"""A reverse proxy between a process and its AWS, at whose mercy every request is: answered, changed, refused, lost."""

import http.client
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

_HOP_BY_HOP = {"content-length", "transfer-encoding", "connection", "x-amz-crc32"}


@dataclass(frozen=True)
class Request:
    """`target` is the X-Amz-Target header, which names the operation of JSON services; `host` is of no interest."""

    method: str
    path: str
    target: str
    body: bytes


@dataclass(frozen=True)
class Answer:
    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def with_body(self, body: bytes) -> "Answer":
        return replace(self, body=body)


# What happens to a request: `forward` passes it on, once; None leaves the client without an answer.
Behaviour = Callable[[Request, Callable[[], Answer]], Answer | None]

INTERNAL_ERROR = Answer(500, (("Content-Type", "application/json"),), b'{"__type": "InternalFailure"}')


def faithful(_: Request, forward: Callable[[], Answer]) -> Answer | None:
    return forward()


@contextmanager
def proxy(upstream: str, behave: Behaviour) -> Iterator[str]:
    """Serves on 127.0.0.1 and gives its URL."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _serve(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            request = Request(self.command, self.path, self.headers.get("X-Amz-Target", ""), body)
            answer = behave(request, lambda: self._forward(body))
            if answer is None:
                self.close_connection = True
                return
            # Without headers of its own: a second Date beside the one that comes from above is no date.
            self.send_response_only(answer.status)
            length = str(len(answer.body))
            for name, value in answer.headers:
                if name.lower() == "content-length" and self.command == "HEAD":
                    length = value
                if name.lower() not in _HOP_BY_HOP:
                    self.send_header(name, value)
            self.send_header("Content-Length", length)
            self.end_headers()
            self.wfile.write(answer.body)

        def _forward(self, body: bytes) -> Answer:
            connection = http.client.HTTPConnection(urlsplit(upstream).netloc, timeout=60)
            try:
                connection.request(self.command, self.path, body, dict(self.headers))
                answer = connection.getresponse()
                return Answer(answer.status, tuple(answer.getheaders()), answer.read())
            finally:
                connection.close()

        do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = _serve  # noqa: N815 - http.server's names

        def log_message(self, *_: object) -> None:
            """Quiet."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_: object) -> None:
            """A client that was killed in the middle of a request is what these tests are about."""

    server = Server(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
