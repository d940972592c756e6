"""Runs `takeaway` as a user does: a process of its own, in a folder of its own."""

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

Takeaway = Callable[..., "subprocess.CompletedProcess[str]"]


def run_takeaway(*arguments: str, home: Path, **variables: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(  # noqa: S603 - our own arguments
        [sys.executable, "-m", "takeaway.cli", *arguments],
        cwd=home,
        env={**os.environ, "TAKEAWAY_HOME": str(home / ".takeaway"), "NO_COLOR": "1", "COLUMNS": "200", **variables},
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )


@pytest.fixture
def takeaway(tmp_path: Path) -> Takeaway:
    def run(*arguments: str, **variables: str) -> "subprocess.CompletedProcess[str]":
        return run_takeaway(*arguments, home=tmp_path, **variables)

    return run


@dataclass
class Tables:
    """Rows that tests collect, printed as tables when the run is over."""

    rows: dict[str, list[dict[str, object]]] = field(default_factory=dict)

    def add(self, title: str, **row: object) -> None:
        self.rows.setdefault(title, []).append(row)


_TABLES = Tables()


@pytest.fixture
def tables() -> Tables:
    return _TABLES


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for title, rows in _TABLES.rows.items():
        terminalreporter.section(title)
        widths = {name: max(len(name), *(len(str(row[name])) for row in rows)) for name in rows[0]}
        terminalreporter.write_line("  ".join(name.replace("_", " ").ljust(width) for name, width in widths.items()))
        for row in rows:
            terminalreporter.write_line("  ".join(str(row[name]).ljust(width) for name, width in widths.items()))
