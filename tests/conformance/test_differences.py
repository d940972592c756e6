"""No case is skipped in silence: what is not run for an engine is exactly what the table declares, with its reason."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conformance.differences import DIFFERENCES, ENGINES
from tests.support import ROOT

_CASE = re.compile(r"^def test_(\w+)\([^)]*\bengine: Engine\b", re.MULTILINE)
_COLLECTED = re.compile(r"::test_(\w+)\[(.+)\]$", re.MULTILINE)


@pytest.mark.slow
def test_what_is_not_run_is_what_is_declared() -> None:
    suite = Path(__file__).parent
    cases = {case for file in suite.glob("test_*.py") for case in _CASE.findall(file.read_text())}
    collect = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:randomly", str(suite)]
    listed = subprocess.run(collect, capture_output=True, text=True, cwd=ROOT, check=True).stdout  # noqa: S603
    run = {(engine, case) for case, parameters in _COLLECTED.findall(listed) for engine in parameters.split("-")}
    assert len(cases) > 50
    not_run = {(engine, case) for engine in ENGINES for case in cases} - run
    assert not_run == {(engine, case) for engine, declared in DIFFERENCES.items() for case in declared}


def test_the_documentation_shows_the_same_table() -> None:
    shown = (ROOT / "docs" / "engines.md").read_text()
    rows = [
        f"| {case.replace('_', ' ')} | `{engine}` | {reason} |"
        for engine, cases in DIFFERENCES.items()
        for case, reason in cases.items()
    ]
    start = shown.index("| the case | the engine | why it cannot have it |")
    table = shown[start:].split("\n\n")[0].splitlines()[2:]
    assert table == rows
