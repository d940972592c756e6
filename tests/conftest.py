"""Fixtures of the whole suite: a local AWS, started once, with our stack on it."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import hypothesis
import pytest

from foundation import aws
from takeaway.local import aws as local_aws
from takeaway.local import backends, processes
from takeaway.local.backends import Backend
from takeaway.stack import deployment
from tests.support.tables import write_tables
from tests.support.tiers import Quick, note_tier, write_tiers

# The one that the local_aws and end_to_end tests run on.
BACKEND_NAME = os.environ.get("TAKEAWAY_TEST_BACKEND", backends.EMBEDDED.name)

# How many examples a property is tried with, but for those that say so themselves. No deadline: no test fails by time.
hypothesis.settings.register_profile("quick", max_examples=10, deadline=None)
hypothesis.settings.register_profile("usual", max_examples=100, deadline=None)
hypothesis.settings.register_profile("nightly", max_examples=1000, deadline=None)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--quick", action="store_true", help="the pure tests alone, each held to 50 ms of CPU")
    parser.addoption("--examples", default="", metavar="PROFILE", help="hypothesis': quick, usual or nightly")


def pytest_configure(config: pytest.Config) -> None:
    """The tests' AWS is their own: nothing of the user's accounts, profiles or settings may leak in."""
    for name in list(os.environ):
        if name.startswith(("AWS_", "TAKEAWAY_")):
            del os.environ[name]
    # Else whatever has no credentials asks the network for those of a machine at Amazon.
    os.environ["AWS_EC2_METADATA_DISABLED"] = "true"
    if BACKEND_NAME not in backends.BACKENDS:
        raise pytest.UsageError(f"TAKEAWAY_TEST_BACKEND={BACKEND_NAME} is none of: {', '.join(backends.BACKENDS)}")
    if why := the_backend().unusable():
        raise pytest.UsageError(why)
    is_quick = bool(config.getoption("--quick"))
    hypothesis.settings.load_profile(config.getoption("--examples") or ("quick" if is_quick else "usual"))
    if is_quick:
        config.pluginmanager.register(Quick())
    else:
        # Now, since it may take longer than a test may.
        the_backend().install()
    # What the tests start as a user does, `takeaway demo`, runs on it too; and so do the processes of pytest-xdist.
    os.environ["TAKEAWAY_BACKEND"] = os.environ["TAKEAWAY_TEST_BACKEND"] = BACKEND_NAME


@pytest.fixture(autouse=True)
def same_environment() -> Iterator[None]:
    """What a test makes of this process' variables ends with it: boto3 of the next test would go elsewhere."""
    before = dict(os.environ)
    yield
    after = dict(os.environ)
    for name in (after.keys() | before.keys()) - {"PYTEST_CURRENT_TEST"}:
        if name not in before:
            del os.environ[name]
        elif after.get(name) != before[name]:
            os.environ[name] = before[name]


def pytest_itemcollected(item: pytest.Item) -> None:
    note_tier(item)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The files that take minutes come first: at the end one worker would wait for the other's."""
    long = {item.path for item in items if item.get_closest_marker("end_to_end")}
    items.sort(key=lambda item: item.path not in long)


def the_backend() -> Backend:
    return backends.BACKENDS[BACKEND_NAME]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """The last word: which tiers ran, on what, and which did not, and why. A green run must not hide the latter."""
    write_tables(terminalreporter)
    write_tiers(terminalreporter, BACKEND_NAME)
    if terminalreporter.config.getoption("--quick"):
        return
    for name, backend in backends.BACKENDS.items():
        if name != BACKEND_NAME:
            why = backend.unusable()
            told = why.partition("\n")[0].removeprefix("error: ") if why else f"`make test BACKEND={name}` does"
            terminalreporter.write_line(f"{'any on ' + name:26} NOT RUN HERE: {told}")


@dataclass(frozen=True)
class LocalAws:
    """A running local AWS. The stack is shared by all tests: use fresh ids, streams, tables and prefixes."""

    endpoint: str
    environ: dict[str, str]

    @property
    def reached(self) -> dict[str, str]:
        """The variables that lead to it, without those of the stack."""
        return {name: value for name, value in self.environ.items() if name.startswith("AWS_")}

    def client(self, service: str) -> Any:
        return aws.client(service, self.environ)


@pytest.fixture(scope="session")
def local_aws_reached(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The variables that lead to a local AWS with nothing on it."""
    logs = tmp_path_factory.mktemp("local-aws")
    running, reached = the_backend().start(local_aws.free_port(), logs, following=True)
    yield reached
    processes.stop_processes([running], grace=15)


@pytest.fixture(scope="session", name="local_aws")
def deployed_local_aws(local_aws_reached: dict[str, str]) -> LocalAws:
    environ = {**os.environ, **local_aws_reached}
    return LocalAws(local_aws_reached["AWS_ENDPOINT_URL"], {**environ, **deployment.deploy(environ)})
