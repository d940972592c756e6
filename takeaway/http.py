"""One GET over HTTP, to an emulator or to our own API. Importing this takes a moment."""

import ssl
from collections.abc import Mapping

import httpx

# The system's, made once: a client would make one of its own, at some cost, for plain HTTP too.
_TRUST = ssl.create_default_context()


def get(endpoint: str, path: str, *, seconds: float, headers: Mapping[str, str] | None = None) -> httpx.Response:
    """The answer, whatever its status. Connecting and each wait may take so long. Raises `OSError` for no answer."""
    try:
        # A user's proxy is not meant for this machine.
        return httpx.get(endpoint.rstrip("/") + path, headers=headers, timeout=seconds, trust_env=False, verify=_TRUST)
    except (httpx.TransportError, httpx.DecodingError, httpx.InvalidURL) as error:
        raise OSError(str(error) or type(error).__name__) from error
