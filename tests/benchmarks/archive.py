"""`make bench-archive`: from GetRecords' bytes to Parquet that a reader sees, beside json with pandas.to_parquet.

Each round runs the archiver, its stages one by one, and the peer, each in a process of its own; figures are medians of
CPU, imports excluded. S3 is a local AWS in yet another process.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path
from typing import Any

from takeaway.local import aws as local_aws
from takeaway.local import processes
from takeaway.local.backends import EMBEDDED
from takeaway.stack import deployment
from tests.benchmarks.archive_input import write_answers
from tests.benchmarks.figures import Figure, beside, one_line

ROUNDS = 3
EVENTS = 200_000
ORDERS_A_SECOND = 100.0
TARGET = 5.0
STAGES_TARGET = 0.7
BYTES = "bytes an event"


def race(rounds: int = ROUNDS, events: int = EVENTS) -> list[Figure]:
    with tempfile.TemporaryDirectory() as folder:
        answers = Path(folder) / "answers"
        answers.mkdir()
        write_answers(answers, events, ORDERS_A_SECOND)
        running, reached = EMBEDDED.start(local_aws.free_port(), Path(folder), following=True)
        try:
            environ = {**os.environ, **reached}
            environ |= deployment.deploy(environ)
            return _rounds(rounds, events, environ, answers)
        finally:
            processes.stop_processes([running], grace=15)


def _rounds(rounds: int, events: int, environ: dict[str, str], answers: Path) -> list[Figure]:
    cpu: dict[str, list[float]] = defaultdict(list)
    sizes: dict[str, list[float]] = defaultdict(list)
    stages: dict[str, list[float]] = defaultdict(list)
    for number in range(rounds):
        for name, module, *arguments in (
            ("ours", "archive_ours", "whole", f"ours-{number}"),
            ("boto3", "archive_naive", "boto3", f"boto3-{number}"),
            ("json", "archive_naive", "json", f"json-{number}"),
        ):
            told = _ran(environ, module, *arguments, str(answers))
            if told["rows"] != events:
                raise SystemExit(f"{name} made {told['rows']} rows of {events} events")
            cpu[name].append(told["cpu"] / events * 1e6)
            sizes[name].append(told["bytes"] / events)
            _say(f"round {number + 1}: {name:6} {cpu[name][-1]:8.2f} us  {sizes[name][-1]:6.1f} {BYTES}")
        alone = _ran(environ, "archive_ours", "stages", f"stages-{number}", str(answers))
        for stage, seconds in alone.items():
            stages[stage].append(seconds / events * 1e6)
    for stage, each in stages.items():
        _say(f"alone: {stage:24} {statistics.median(each):6.2f} us")
    together = [sum(each) for each in zip(*stages.values(), strict=True)]
    share = statistics.median(together) / statistics.median(cpu["ours"])
    return [
        beside("archive: boto3, json and pandas", cpu["ours"], cpu["boto3"], "us of CPU an event", TARGET),
        beside("archive: json and pandas, without boto3", cpu["ours"], cpu["json"], "us of CPU an event", TARGET),
        Figure(
            "archive: its stages alone",
            round(statistics.median(cpu["ours"]), 3),
            round(statistics.median(together), 3),
            "us of CPU an event",
            round(share, 2),
            STAGES_TARGET,
            share >= STAGES_TARGET,
        ),
        beside("archive: size beside pandas", sizes["ours"], sizes["json"], BYTES),
    ]


def _ran(environ: dict[str, str], module: str, *arguments: str) -> dict[str, Any]:
    command = [sys.executable, "-W", "ignore", "-m", f"tests.benchmarks.{module}", *arguments]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)  # noqa: S603 - our own
    if done.returncode:
        raise SystemExit(f"{module} failed:\n{done.stderr[-3000:]}")
    told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return told


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)  # noqa: T201


if __name__ == "__main__":
    print(one_line(race(*(int(argument) for argument in sys.argv[1:]))))  # noqa: T201
