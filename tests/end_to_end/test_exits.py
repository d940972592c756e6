"""The crash matrix with real processes: at each IO call of an archiver's life it is gone, or sleeps."""

import json
import subprocess
import sys

import pytest

from tests.support import ROOT
from tests.support.tables import Tables
from tests.support.worlds.exits import ORDERS


@pytest.mark.end_to_end
@pytest.mark.chaos
@pytest.mark.timeout(300)
def test_a_process_that_exits_or_sleeps_at_any_call(tables: Tables) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.support.worlds.exits"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["failures"] == [], done.stderr
    for order in ORDERS:
        tables.add(
            "an archiver's process at each call",
            order=order.__name__.replace("_", " "),
            cases=told["cases"][order.__name__],
        )
    assert sum(told["cases"].values()) >= 200
    assert len(told["cases"]) == len(ORDERS)
