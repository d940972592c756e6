"""`takeaway demo` as a newcomer uses it, and what it leaves behind: nothing."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from consumers.specs import readers
from tests.support.command_line import Takeaway
from tests.support.flow import our_processes

pytestmark = pytest.mark.end_to_end


@pytest.mark.timeout(300)
def test_the_demo_proves_its_flow_and_leaves_nothing_behind(takeaway: Takeaway, tmp_path: Path) -> None:
    done = takeaway("demo", "--orders", "30", "--rate", "30", "--speed", "1000", "--seed", "5")
    assert done.returncode == 0, done.stdout + done.stderr
    receipt = r"30 orders · (\d+ \w+ · )+\d+ events · 0 lost · 0 doubled · 0 repeated events · 0 bad events quarantined"
    assert re.search(receipt + " · 0 repeated effects", done.stdout)
    started = dict(re.findall(r"(\w+) \(pid (\d+)\)", done.stdout))
    assert started.keys() >= {*readers(), "watcher"}
    assert len(set(started.values())) == len(started)
    report = Path(re.findall(r"report: (\S+)", done.stdout)[0])
    assert "30 orders" in report.read_text()
    assert our_processes(tmp_path / ".takeaway") == []


@pytest.mark.long
@pytest.mark.timeout(300)
def test_ctrl_c_in_the_middle_ends_in_order_and_loses_nothing(tmp_path: Path) -> None:
    home = tmp_path / ".takeaway"
    with subprocess.Popen(
        [sys.executable, "-m", "takeaway.cli", "demo", "--orders", "5000", "--rate", "30", "--seed", "5"],
        cwd=tmp_path,
        env={
            **os.environ,
            "TAKEAWAY_HOME": str(home),
            "NO_COLOR": "1",
            "COLUMNS": "200",
            # None expires on a machine that is slow.
            "TAKEAWAY_ACCEPT_WITHIN_SECONDS": "600",
        },
        stdout=subprocess.PIPE,
        text=True,
    ) as demo:
        assert demo.stdout is not None
        for line in demo.stdout:
            if re.search(r"order_accepted=[1-9]", line):
                break
        demo.send_signal(signal.SIGINT)
        printed = demo.stdout.read()
        assert demo.wait(90) == 0, printed
    assert re.search(r"[1-9]\d* orders · .* 0 lost · 0 doubled", printed), printed
    assert our_processes(home) == []


@pytest.mark.long
def test_a_killed_demo_takes_its_processes_with_it(tmp_path: Path) -> None:
    home = tmp_path / ".takeaway"
    with subprocess.Popen(
        [sys.executable, "-m", "takeaway.cli", "demo", "--orders", "5000"],
        cwd=tmp_path,
        env={**os.environ, "TAKEAWAY_HOME": str(home)},
        stdout=subprocess.PIPE,
        text=True,
    ) as demo:
        assert demo.stdout is not None
        assert any("started:" in line for line in demo.stdout)
        started = our_processes(home)
        demo.kill()
    assert len(started) >= len(readers())
    _, alive = psutil.wait_procs(started, timeout=40)
    assert alive == our_processes(home) == []
