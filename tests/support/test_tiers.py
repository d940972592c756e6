"""What `--quick` runs and what it refuses, on a suite of its own."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import ROOT
from tests.support.tiers import FAILS_FROM_SECONDS

pytestmark = pytest.mark.slow

CONFTEST = """
from tests.support.tiers import Quick, note_tier, write_tiers

def pytest_configure(config):
    for mark in ("slow", "local_aws"):
        config.addinivalue_line("markers", mark)
    config.pluginmanager.register(Quick())

def pytest_itemcollected(item):
    note_tier(item)

def pytest_terminal_summary(terminalreporter):
    write_tiers(terminalreporter, "nothing")
"""
MIXED = f"""
import socket, subprocess, sys, time
import pytest

def test_pure():
    assert True

def test_process():
    subprocess.run([sys.executable, "-c", ""])

def test_connection():
    socket.create_server(("127.0.0.1", 0)).close()

def test_work():
    began = time.process_time()
    while time.process_time() - began < {FAILS_FROM_SECONDS} * 1.1: pass

def test_some_work():
    began = time.process_time()
    while time.process_time() - began < {FAILS_FROM_SECONDS} / 2: pass

@pytest.mark.slow
def test_marked():
    assert False
"""
MARKED_AS_A_WHOLE = """
import pytest

pytestmark = pytest.mark.local_aws
raise RuntimeError("imported")
"""


def test_quick_is_pure_and_short_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text(CONFTEST)
    (tmp_path / "test_mixed.py").write_text(MIXED)
    (tmp_path / "test_marked.py").write_text(MARKED_AS_A_WHOLE)
    run = [sys.executable, "-m", "pytest", "-p", "no:randomly", "-p", "no:cacheprovider", "-rA", str(tmp_path)]
    done = subprocess.run(run, capture_output=True, text=True, cwd=ROOT, check=False)  # noqa: S603 - our own arguments
    lines = done.stdout.splitlines()
    told = re.findall(r"^(PASSED|FAILED) .*::(\w+)", done.stdout, re.MULTILINE)
    assert {test: outcome for outcome, test in told} == {
        "test_pure": "PASSED",
        "test_process": "FAILED",
        "test_connection": "FAILED",
        "test_work": "FAILED",
        "test_some_work": "PASSED",
    }, done.stdout
    assert re.search(r"ms, over 50: \S*test_mixed\.py::test_some_work", done.stdout), done.stdout
    assert "quick                      2 passed, 3 failed" in lines
    assert "1 deselected" in lines[-1]
