"""A local AWS: its port, the variables that lead to it, and its health."""

import secrets
import socket
from collections.abc import Mapping
from http import HTTPStatus
from pathlib import Path

from takeaway.errors import UserError
from takeaway.terminal import write

REGION = "us-east-1"
DEFAULT_AWS_PORT = 4566


# What a local AWS takes that asks for no key in particular: LocalStack, for one.
ANY_KEY = "test"


def new_key() -> str:
    """An access key id that only its stack's processes know."""
    return f"TAKEAWAY{secrets.token_hex(16).upper()}"


def local_environ(endpoint: str, key: str = ANY_KEY) -> dict[str, str]:
    """What boto3 and its friends need in order to reach a local AWS, whatever the user's own AWS settings say."""
    return {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ACCESS_KEY_ID": key,
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_EC2_METADATA_DISABLED": "true",
    }


def save_environ(home: Path, environ: Mapping[str, str]) -> None:
    """Keeps where the local AWS of this home is, and its key, for later commands."""
    write(home / "endpoint", environ["AWS_ENDPOINT_URL"])
    write(home / "access_key", environ["AWS_ACCESS_KEY_ID"])


def saved_environ(home: Path) -> dict[str, str]:
    """The variables that lead to the local AWS of this home, as `save_environ` kept them."""
    key = home / "access_key"
    return local_environ((home / "endpoint").read_text(), key.read_text() if key.exists() else ANY_KEY)


def free_port() -> int:
    """A port that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def require_free(port: int, variable: str) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise UserError(
                f"port {port} on 127.0.0.1 is taken",
                f"`takeaway down` if it is ours, or choose another port with {variable}",
            ) from error


def healthy(endpoint: str) -> bool:
    """Whether a local AWS answers there and has run its own start-up scripts, which LocalStack in Docker has."""
    from takeaway.http import get

    try:
        if get(endpoint, "/_localstack/health", seconds=2).status_code != HTTPStatus.OK:
            return False
        ready = get(endpoint, "/_localstack/init/ready", seconds=2)
    except OSError:
        return False
    # MiniStack has no such scripts, and so no such path.
    return ready.status_code == HTTPStatus.NOT_FOUND or (ready.is_success and ready.json()["completed"])
