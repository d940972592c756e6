"""A disk that is full or refuses: whoever cannot go on says what and where, whoever can does, and nothing is lost."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from consumers.specs import readers
from takeaway.local import aws as local_aws
from takeaway.stack.flow import api_url
from tests.support.command_line import Takeaway
from tests.support.flow import TOLD_AGAIN, Flow

pytestmark = [pytest.mark.end_to_end, pytest.mark.timeout(400)]

LOG_BYTES = 1500
LIMITED = "tests.end_to_end.limited"


def run_limited(flow: Flow, size: int, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(  # noqa: S603 - our own arguments
        [sys.executable, "-m", LIMITED, str(size), "takeaway.cli", *arguments],
        env=flow.environ,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


@pytest.mark.long
def test_a_full_log_stops_nobody_and_a_report_or_ledger_without_room_says_so(flow: Flow) -> None:
    size = str(LOG_BYTES)
    for consumer in readers():
        flow.start(consumer, size, "takeaway.cli", "work", consumer, module=LIMITED)
    flow.start_api()
    flow.start_load(orders=30, rate=15, seed=3)
    flow.finish_load()
    flow.drain()
    assert {consumer: flow.stop(consumer) for consumer in readers()} == dict.fromkeys(readers(), 0)
    verdict = flow.audit(TOLD_AGAIN)
    assert verdict.ok, verdict.findings
    assert verdict.orders == 30
    sizes = {consumer: len(flow.log(consumer)) for consumer in readers()}
    assert set(sizes.values()) == {LOG_BYTES}, "the log was never full: the test shows nothing"
    for consumer in readers():
        *whole, _torn = flow.log(consumer).splitlines()
        assert all("happened" in json.loads(line) for line in whole)

    report = flow.home / "report.html"
    made = run_limited(flow, 10_000_000, "report", "--out", str(report), "--ledger", str(flow.ledger))
    assert made.returncode == 0, made.stderr
    before = report.read_bytes()
    refused = run_limited(flow, 4096, "report", "--out", str(report), "--ledger", str(flow.ledger))
    assert refused.returncode == 2, refused.stderr
    assert re.search(r"error: .* cannot be written: .*File too large\nfix: make room", refused.stderr), refused.stderr
    assert report.read_bytes() == before
    assert not list(flow.home.glob("*.new"))

    arguments = ["--orders", "50", "--rate", "50", "--no-restaurants", "--ledger", str(flow.home / "ledger-2")]
    load = run_limited(flow, 4096, "load", "--api", api_url(flow.api_port), *arguments)
    assert load.returncode == 2, load.stderr
    assert "customers.jsonl cannot be written: File too large" in load.stderr
    assert "fix: make room" in load.stderr


@pytest.mark.parametrize("command", [("up",), ("demo", "--orders", "1")])
def test_a_home_that_cannot_be_written_is_named_before_anything_runs(
    takeaway: Takeaway, tmp_path: Path, command: tuple[str, ...]
) -> None:
    home = tmp_path / "home"
    home.write_text("a file where a folder should be")
    ports = {"TAKEAWAY_AWS_PORT": str(local_aws.free_port()), "TAKEAWAY_API_PORT": str(local_aws.free_port())}
    done = takeaway(*command, TAKEAWAY_HOME=str(home), **ports)
    assert done.returncode == 2, done.stderr
    assert re.fullmatch(rf"error: {home}\S* cannot be written: .*\nfix: make room .*\n", done.stderr), done.stderr


def test_a_ledger_that_cannot_be_made_is_named(flow: Flow) -> None:
    flow.start_api()
    flow.ledger.write_text("a file where a folder should be")
    load = run_limited(
        flow, 4096, "load", "--orders", "1", "--api", api_url(flow.api_port), "--ledger", str(flow.ledger)
    )
    assert load.returncode == 2, load.stderr
    assert f"{flow.ledger} cannot be written: " in load.stderr
