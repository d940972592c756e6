"""Fixtures of the tests that run `takeaway` as a user does."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.command_line import Takeaway, run_takeaway
from tests.support.tables import Tables


@pytest.fixture
def takeaway(tmp_path: Path) -> Takeaway:
    def run(*arguments: str, **variables: str) -> "subprocess.CompletedProcess[str]":
        return run_takeaway(*arguments, home=tmp_path, **variables)

    return run


@pytest.fixture
def tables(record_property: Callable[[str, object], None]) -> Tables:
    return Tables(record_property)
