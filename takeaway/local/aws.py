"""A local AWS: know its endpoint from the real thing, ask for its health, make clients for either."""

import socket
from collections.abc import Mapping
from http import HTTPStatus
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

import boto3
from localstack_client.session import Session as LocalSession

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


def is_local(endpoint: str) -> bool:
    """Whether this endpoint is this machine, or a neighbour container: no mail or load leaves for real AWS."""
    host = urlsplit(endpoint).hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return "." not in host or host.endswith((".localhost", ".localstack.cloud", ".docker.internal"))


def reaches_only_local(environ: Mapping[str, str]) -> bool:
    """Whether every endpoint that boto3 would use with these variables is local."""
    endpoints = [url for name, url in environ.items() if name.startswith("AWS_ENDPOINT_URL") and url]
    return bool(environ.get("AWS_ENDPOINT_URL")) and all(is_local(endpoint) for endpoint in endpoints)


def client(service: str, environ: Mapping[str, str]) -> Any:
    """A boto3 client for these variables: through localstack-client for a local endpoint, plain boto3 for AWS."""
    endpoint = environ.get("AWS_ENDPOINT_URL", "")
    region = environ.get("AWS_REGION") or environ.get("AWS_DEFAULT_REGION")
    if not endpoint or not is_local(endpoint):
        # Without a region in the variables boto3 looks into the profile, as it does in the consumers.
        return boto3.client(service, region_name=region)  # type: ignore[call-overload]
    host = urlsplit(endpoint)
    session = LocalSession(
        aws_access_key_id=environ.get("AWS_ACCESS_KEY_ID", "test"),
        aws_secret_access_key=environ.get("AWS_SECRET_ACCESS_KEY", "test"),
        region_name=region or REGION,
        localstack_host=f"{host.hostname}:{host.port or DEFAULT_PORT}",
    )
    return session.client(service)


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
