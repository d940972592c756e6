"""What a person sees who does something wrong: an `error:`, a `fix:`, exit code 2, and no traceback."""

import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import LocalAws
from tests.end_to_end.conftest import Takeaway, run_takeaway

# Almost every test here runs a process.
pytestmark = pytest.mark.end_to_end


@pytest.fixture
def takeaway(tmp_path: Path) -> Takeaway:
    def run(*arguments: str, **variables: str) -> "subprocess.CompletedProcess[str]":
        return run_takeaway(*arguments, home=tmp_path, **variables)

    return run


def expect(done: "subprocess.CompletedProcess[str]", error: str, fix: str) -> None:
    assert done.returncode == 2, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    assert error in done.stderr
    assert fix in done.stderr.partition("fix:")[2]


NOWHERE = {"AWS_ENDPOINT_URL": "http://127.0.0.1:9", "AWS_MAX_ATTEMPTS": "1"}


def test_without_any_endpoint_it_says_how_to_get_one(takeaway: Takeaway) -> None:
    expect(takeaway("lake", "sql", "select 1", AWS_EC2_METADATA_DISABLED="true"), "error:", "takeaway up")


def test_an_endpoint_where_nobody_answers(takeaway: Takeaway) -> None:
    expect(takeaway("work", "archiver", **NOWHERE), "cannot reach http://127.0.0.1:9", "takeaway up")


def test_an_unknown_consumer_names_the_known_ones(takeaway: Takeaway) -> None:
    expect(takeaway("work", "cook", **NOWHERE), "no consumer is called 'cook'", "restaurant_notifier")


def test_a_port_that_is_none(takeaway: Takeaway) -> None:
    expect(takeaway("up", TAKEAWAY_AWS_PORT="http"), "TAKEAWAY_AWS_PORT is 'http'", "1 to 65535")


def test_a_port_already_taken(takeaway: Takeaway) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        expect(
            takeaway("up", "--aws-only", TAKEAWAY_AWS_PORT=port),
            f"port {port} on 127.0.0.1 is taken",
            "TAKEAWAY_AWS_PORT",
        )


@pytest.mark.local_aws
def test_a_stack_that_is_not_deployed(takeaway: Takeaway, local_aws: LocalAws) -> None:
    done = takeaway("work", "archiver", AWS_ENDPOINT_URL=local_aws.endpoint, TAKEAWAY_STACK="nowhere")
    expect(done, "no stack 'nowhere'", "takeaway deploy")


@pytest.mark.local_aws
def test_an_empty_lake_and_a_missing_bucket(takeaway: Takeaway, local_aws: LocalAws) -> None:
    missing = {"TAKEAWAY_LAKE_BUCKET": "no-such-bucket"}
    done = takeaway("lake", "sql", "select 1", **{**local_aws.environ, **missing})
    expect(done, "no-such-bucket", "archiver")


@pytest.mark.local_aws
def test_an_audit_without_a_ledger(takeaway: Takeaway, local_aws: LocalAws) -> None:
    expect(takeaway("audit", AWS_ENDPOINT_URL=local_aws.endpoint), "there is no ledger in", "takeaway load")


def test_a_load_towards_real_aws_is_refused(takeaway: Takeaway) -> None:
    settings = {"TAKEAWAY_STREAM": "s", "TAKEAWAY_TOKEN_KEY": "k" * 32, "AWS_REGION": "eu-west-1"}
    expect(takeaway("load", "--orders", "1", **settings), "would reach real AWS", "--yes-really-aws")


def test_help_needs_nothing_and_is_quick_to_import() -> None:
    heavy = (
        "import sys, takeaway.cli; sys.exit(any(name in sys.modules for name in ('pyarrow', 'litestar', 'deltalake')))"
    )
    assert subprocess.run([sys.executable, "-c", heavy], check=False).returncode == 0  # noqa: S603


@pytest.mark.local_aws
def test_an_empty_ledger_proves_nothing_and_is_refused(takeaway: Takeaway, local_aws: LocalAws, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    done = takeaway(
        "audit", "--ignore-others", "--ledger", str(tmp_path / "empty"), AWS_ENDPOINT_URL=local_aws.endpoint
    )
    expect(done, "there is no ledger in", "takeaway load")


def test_an_audit_of_real_aws_is_refused_with_the_reason(takeaway: Takeaway, tmp_path: Path) -> None:
    settings = {"TAKEAWAY_STREAM": "s", "AWS_REGION": "eu-west-1"}
    expect(takeaway("audit", "--ledger", str(tmp_path), **settings), "an audit needs a local AWS", "takeaway up")
