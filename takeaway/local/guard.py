"""Who may speak to the embedded local AWS: the programs that were given its key, on this machine, and no web page.

An emulator asks nobody for credentials, and some of its services run what they are told as the user who started it. So
a page in a browser, or another user of the machine, must not get as far as its first line. The access key id of a stack
is therefore a secret of its own. Signatures are not looked at: what is on 127.0.0.1 is read by its two ends alone.
"""

import hmac
import json
import re
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from http import HTTPStatus
from ipaddress import ip_address
from typing import Any, NamedTuple
from urllib.parse import parse_qs, unquote

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]
Headers = Iterable[tuple[bytes, bytes]]

# Whether it is up, and no more; LocalStack's own path for its scripts, which is not there.
OPEN_PATHS = frozenset({"/_localstack/health", "/_localstack/init/ready"})
# Browsers send one of these with everything that a page can make them send to another origin.
_BROWSERS = (b"origin", b"sec-fetch-site", b"sec-fetch-mode", b"sec-fetch-dest")
_HOST = re.compile(r"(?:\[([^\]]+)\]|([^:\[\]]+))(?::\d+)?")
# As AWS takes it: Signature Version 4 or 4A, or Version 2; in a header, or in the query of a presigned URL.
_SIGNED = re.compile(r"AWS4-[A-Z0-9-]+\s(?:.*[\s,])?Credential=([^/,\s]+)/|AWS ([^:\s]+):")
_FIX = 'fix: eval "$(takeaway env)" in the folder of `takeaway up`'


class Refusal(NamedTuple):
    """Why a request goes no further; `code` is AWS' own for it."""

    code: str
    message: str


def refusal(method: str, path: str, query: bytes, headers: Headers, key: str) -> Refusal | None:
    """None when the request may pass."""
    headers = [(name.lower(), value) for name, value in headers]
    # guarantee: no web page reaches the local AWS
    if any(name in _BROWSERS for name, _ in headers):
        return Refusal("AccessDenied", "this local AWS takes no request of a web page")
    hosts = [value for name, value in headers if name == b"host"]
    # guarantee: the local AWS answers under a loopback name alone
    if len(hosts) != 1 or not is_loopback(hosts[0].decode("latin-1")):
        return Refusal("AccessDenied", "this local AWS answers under 127.0.0.1, localhost and [::1] alone")
    if method in {"GET", "HEAD"} and path in OPEN_PATHS:
        return None
    # guarantee: the local AWS asks for its key
    if not any(hmac.compare_digest(one.encode(), key.encode()) for one in keys_in(query, headers)):
        return Refusal("InvalidClientTokenId", f"the access key id is not that of this local AWS. {_FIX}")
    return None


def is_loopback(host: str) -> bool:
    """Whether the value of a Host header names this machine to itself: no name that a DNS server could lead here."""
    read = _HOST.fullmatch(host.lower())
    if read is None:
        return False
    v6, name = read[1], read[2].removesuffix(".") if read[2] else ""
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ip_address(v6 or name).is_loopback
    except ValueError:
        return False


def keys_in(query: bytes, headers: Headers) -> list[str]:
    """Every access key id that a request gives, wherever AWS would take one from; a form's body is not looked into."""
    found = [
        match[1] or match[2]
        for name, value in headers
        if name == b"authorization" and (match := _SIGNED.match(value.decode("latin-1")))
    ]
    asked = parse_qs(query.decode("latin-1"))
    found += [unquote(one).partition("/")[0] for one in asked.get("X-Amz-Credential", [])]
    # A Lambda function of the emulator signs with its account's number; ours is its session's token.
    tokens = [value.decode("latin-1") for name, value in headers if name == b"x-amz-security-token"]
    return found + asked.get("AWSAccessKeyId", []) + tokens


def authorization(key: str) -> dict[str, str]:
    """The header of a request for what is MiniStack's own, such as the mail it took, for which no SDK signs."""
    return {"Authorization": f"AWS4-HMAC-SHA256 Credential={key}/"}


def guarded(app: App, key: str) -> App:
    """The application behind the guard. Web sockets, which nothing here speaks, are closed."""

    async def answer(scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await app(scope, receive, send)
        elif scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1008})
        elif refused := refusal(scope["method"], scope["path"], scope["query_string"], scope["headers"], key):
            await _say(refused, dict(scope["headers"]).get(b"content-type", b""), send)
        else:
            await app(scope, receive, send)

    return answer


async def _say(refused: Refusal, content_type: bytes, send: Send) -> None:
    """In the words of the protocol that was spoken, so that every SDK tells them: JSON, a query's XML, or S3's."""
    code, message = refused
    if b"json" in content_type or b"cbor" in content_type:
        kind, body = b"application/x-amz-json-1.1", json.dumps({"__type": code, "message": message})
    else:
        told = f"<Error><Code>{code}</Code><Message>{message}</Message></Error>"
        is_query = content_type.startswith(b"application/x-www-form-urlencoded")
        kind, body = b"text/xml", f"<ErrorResponse>{told}</ErrorResponse>" if is_query else told
    headers = [(b"content-type", kind), (b"x-amzn-errortype", code.encode()), (b"connection", b"close")]
    await send({"type": "http.response.start", "status": HTTPStatus.FORBIDDEN.value, "headers": headers})
    await send({"type": "http.response.body", "body": body.encode()})
