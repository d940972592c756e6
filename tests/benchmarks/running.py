"""Clients of the publishing race, each in a process of its own."""

import json
import subprocess
import sys
from typing import Any

OURS = "tests.benchmarks.publish_ours"
PEERS = "tests.benchmarks.peers_publish"


def ran(python: str, environ: dict[str, str], module: str, *arguments: str) -> Any:
    """What it says in its last line. One that fails ends the race."""
    done = subprocess.run(  # noqa: S603 - our own arguments
        [python, "-W", "ignore", "-m", module, *arguments], env=environ, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(f"{module} {' '.join(arguments)} failed:\n{done.stderr[-3000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)  # noqa: T201
