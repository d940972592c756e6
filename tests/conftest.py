"""Fixtures of the whole suite: a local AWS, started once, with our stack on it."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from takeaway import deployment, local_aws, processes


def pytest_configure() -> None:
    """The tests' AWS is their own: nothing of the user's accounts, profiles or settings may leak in."""
    for name in list(os.environ):
        if name.startswith(("AWS_", "TAKEAWAY_")):
            del os.environ[name]


@dataclass(frozen=True)
class LocalAws:
    """A running local AWS. The stack is shared by all tests: use fresh ids, streams, tables and prefixes."""

    endpoint: str
    environ: dict[str, str]

    def client(self, service: str) -> Any:
        return local_aws.client(service, self.environ)


@pytest.fixture(scope="session")
def local_aws_endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    logs = tmp_path_factory.mktemp("local-aws")
    running, endpoint = local_aws.start_embedded(local_aws.free_port(), logs, following=True)
    yield endpoint
    processes.stop([running], grace=5)


@pytest.fixture(scope="session", name="local_aws")
def deployed_local_aws(local_aws_endpoint: str) -> LocalAws:
    environ = {**os.environ, **local_aws.local_environ(local_aws_endpoint)}
    return LocalAws(local_aws_endpoint, {**environ, **deployment.deploy(environ)})
