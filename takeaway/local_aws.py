"""A local AWS: start the embedded one, know a local endpoint from the real thing, make clients for either."""

import http.client
import os
import socket
from collections.abc import Mapping
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import boto3
from localstack_client.session import Session as LocalSession

from foundation.clock import SYSTEM_CLOCK, Clock, Wait, uninterrupted_wait
from takeaway import processes
from takeaway.errors import UserError
from takeaway.processes import Running, Service

REGION = "us-east-1"
DEFAULT_PORT = 4566
START_SECONDS = 30.0
# MiniStack starts every service it knows unless told which; SFTP would open a port of its own.
_SERVICES = "cloudformation,dynamodb,iam,kinesis,kms,s3,ses,sns,sqs,sts"


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
    region = environ.get("AWS_REGION") or environ.get("AWS_DEFAULT_REGION") or REGION
    if not endpoint or not is_local(endpoint):
        return boto3.client(service, region_name=region)  # type: ignore[call-overload]
    host = urlsplit(endpoint)
    session = LocalSession(
        aws_access_key_id=environ.get("AWS_ACCESS_KEY_ID", "test"),
        aws_secret_access_key=environ.get("AWS_SECRET_ACCESS_KEY", "test"),
        region_name=region,
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


def start_embedded(
    port: int, logs: Path, *, following: bool, clock: Clock = SYSTEM_CLOCK, wait: Wait | None = None
) -> tuple[Running, str]:
    """Starts MiniStack on 127.0.0.1 and answers with its process and endpoint once it is healthy."""
    wait = wait or uninterrupted_wait()
    endpoint = f"http://127.0.0.1:{port}"
    environ = {
        **{name: value for name, value in os.environ.items() if not name.startswith("AWS_")},
        "BIND_HOST": "127.0.0.1",
        "GATEWAY_PORT": str(port),
        "MINISTACK_HOST": "127.0.0.1",
        "MINISTACK_REGION": REGION,
        "SERVICES": _SERVICES,
        "SFTP_ENABLED": "0",
        "IOT_MTLS_ENABLED": "0",
        "PERSIST_STATE": "0",
        "LOG_LEVEL": "WARNING",
    }
    running = processes.start(Service("local-aws", "ministack", following=following), environ=environ, logs=logs)
    deadline = clock.monotonic() + START_SECONDS
    while not healthy(endpoint):
        if running.process() is None or clock.monotonic() > deadline:
            processes.stop([running], grace=1)
            raise UserError(
                f"the embedded AWS did not start on port {port}",
                f"read {running.log}:\n{processes.last_words(running)}",
            )
        wait(0.1)
    return running, endpoint


def healthy(endpoint: str) -> bool:
    """Whether a local AWS answers there; MiniStack and LocalStack share this path."""
    host = urlsplit(endpoint)
    connection = http.client.HTTPConnection(host.hostname or "", host.port, timeout=2)
    try:
        connection.request("GET", "/_localstack/health")
        return connection.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
