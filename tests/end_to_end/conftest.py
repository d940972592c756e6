"""Fixtures of the tests that run `takeaway` as a user does."""

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from takeaway.local import aws as local_aws
from takeaway.local import processes
from takeaway.stack.flow import at_speed
from tests.conftest import the_backend
from tests.support.browser import a_browser
from tests.support.command_line import Takeaway, run_takeaway
from tests.support.flow import BACKEND, Flow
from tests.support.pages import CONSUMERS, Site
from tests.support.tables import Tables


@pytest.fixture
def takeaway(tmp_path: Path) -> Takeaway:
    def run(*arguments: str, **variables: str) -> "subprocess.CompletedProcess[str]":
        return run_takeaway(*arguments, home=tmp_path, **variables)

    return run


@pytest.fixture
def tables(record_property: Callable[[str, object], None]) -> Tables:
    return Tables(record_property)


@pytest.fixture
def flow(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Flow]:
    """A stack on an AWS of its own, with as many shards as the module's SHARDS says; two otherwise."""
    backend, reached = the_backend().start(local_aws.free_port(), tmp_path / "logs", following=True)
    flow = Flow.deployed(tmp_path, reached, shards=getattr(request.module, "SHARDS", 2))
    yield flow
    flow.stop_all()
    processes.stop_processes([backend], grace=5)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The pages of an API process with consumers beside it, and a browser; one for all tests of a module."""
    home = tmp_path_factory.mktemp("pages")
    with a_browser() as browser:
        backend, reached = the_backend().start(local_aws.free_port(), home / "logs", following=True)
        flow = Flow.deployed(home, reached, shards=1)
        # People answer here.
        flow.environ |= at_speed(1, BACKEND)
        try:
            flow.start_api()
            for consumer in CONSUMERS:
                flow.start_consumer(consumer)
            yield Site(flow, browser)
        finally:
            flow.stop_all()
            processes.stop_processes([backend], grace=5)
