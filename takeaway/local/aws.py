"""A local AWS: its port, the variables that lead to it, and its health."""

import socket
from http import HTTPStatus

from takeaway.errors import UserError

REGION = "us-east-1"
DEFAULT_PORT = 4566


def local_environ(endpoint: str) -> dict[str, str]:
    """What boto3 and its friends need in order to reach a local AWS, whatever the user's own AWS settings say."""
    return {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_EC2_METADATA_DISABLED": "true",
    }


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
