"""`takeaway demo` as a newcomer uses it, and what it leaves behind: nothing."""

import os
import re
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from consumers.specs import readers
from tests.support.command_line import Takeaway
from tests.support.flow import our_processes
from tests.support.terminal import BACK, CTRL_C, at_a_terminal

pytestmark = pytest.mark.end_to_end

INTERRUPTED = 130


@pytest.mark.timeout(300)
def test_the_demo_proves_its_flow_and_leaves_nothing_behind(takeaway: Takeaway, tmp_path: Path) -> None:
    done = takeaway("demo", "--orders", "30", "--rate", "30", "--speed", "1000", "--seed", "5")
    assert done.returncode == 0, done.stdout + done.stderr
    receipt = (
        r"30 orders · (\d+ \w+ · )+\d+ events · 0 lost · 0 doubled · \d+ repeated events · 0 bad events quarantined"
    )
    assert re.search(receipt + " · 0 repeated effects", done.stdout)
    assert re.search(r"^ *\d+\.\ds  orders are being placed  order_placed=\d+ ", done.stdout, re.MULTILINE)
    started = dict(re.findall(r"(\w+) \(pid (\d+)\)", done.stdout))
    assert started.keys() >= {*readers(), "watcher"}
    assert len(set(started.values())) == len(started)
    report = Path(re.findall(r"report: (\S+)", done.stdout)[0])
    assert "30 orders" in report.read_text()
    assert our_processes(tmp_path / ".takeaway") == []


@pytest.mark.long
@pytest.mark.timeout(600)
def test_at_a_terminal_ctrl_c_in_the_middle_says_what_it_waits_for_and_loses_nothing(tmp_path: Path) -> None:
    home = tmp_path / ".takeaway"
    # No order expires and no lease is lost on a machine that is slow.
    slowly = {"TAKEAWAY_ACCEPT_WITHIN_SECONDS": "600", "TAKEAWAY_FAILOVER_SECONDS": "120"}
    variables = {"TAKEAWAY_HOME": str(home), **slowly}
    command = ("demo", "--orders", "5000", "--rate", "10", "--seed", "5")
    with at_a_terminal(*command, variables=variables) as terminal:
        terminal.until(r"[1-9]\d* completed")
        for part in ("takeaway demo  takeaway on", "of 5,000", "shardId-000000000001", "in the lake", *readers()):
            terminal.until(part)
        terminal.press(CTRL_C)
        terminal.until("stopping: waits for the load's end and the audit; Ctrl-C again ends it at once")
        assert terminal.ended() == 0, terminal.text[-3000:]
        assert terminal.is_as_before()
        printed = terminal.text.rpartition(BACK)[2]
    # Also where the screen is gone, with what then follows.
    assert "stopping: waits for the load's end" in printed
    assert re.search(r"[1-9]\d* orders · .* 0 lost · 0 doubled", printed), printed
    assert our_processes(home) == []


@pytest.mark.long
@pytest.mark.timeout(300)
def test_a_second_ctrl_c_ends_all_at_once_also_what_was_to_stay(tmp_path: Path) -> None:
    home = tmp_path / ".takeaway"
    with at_a_terminal("demo", "--keep", "--orders", "5000", variables={"TAKEAWAY_HOME": str(home)}) as terminal:
        terminal.until("started:")
        terminal.until("of 5,000")
        assert len(our_processes(home)) > len(readers())
        terminal.press(CTRL_C)
        terminal.until("stopping: ")
        terminal.press(CTRL_C)
        assert terminal.ended() == INTERRUPTED, terminal.text[-3000:]
        assert terminal.is_as_before()
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
