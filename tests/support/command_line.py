"""Runs `takeaway` as a user does: a process of its own, in a folder of its own."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

# A demo waits for the orders that are not answered, which expire after a minute on LocalStack.
_ENDS_WITHIN_SECONDS = 220
Takeaway = Callable[..., "subprocess.CompletedProcess[str]"]


def run_takeaway(*arguments: str, home: Path, **variables: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(  # noqa: S603 - our own arguments
        [sys.executable, "-m", "takeaway.cli", *arguments],
        cwd=home,
        env={**os.environ, "TAKEAWAY_HOME": str(home / ".takeaway"), "NO_COLOR": "1", "COLUMNS": "200", **variables},
        capture_output=True,
        text=True,
        timeout=_ENDS_WITHIN_SECONDS,
        check=False,
    )
