"""`make bench-commits`: how many commits a second the lake's log takes, and what a fleet makes of that.

From one process to eight, each real, with a committer and two shards of its own, commit a few rows as fast as they can.
Beside them, in the same run, as many processes make small objects under the condition that they are new, and nothing
else: what the local AWS takes at all. And again with 30 ms added to every request, since S3 is no neighbour.

Then, at that distance, a fleet that brings half of what the log took, begun in one second: in step, and spread as
archivers are.
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from statistics import mean
from typing import Any

import msgspec
import psutil

from analytics.lake import Lake
from analytics.rotation import RotationPolicy
from analytics.table.layout import table_uri
from analytics.table.log import DeltaLog
from foundation.aws import client, storage_options
from foundation.clock import SYSTEM_CLOCK
from foundation.percentiles import percentile
from foundation.settings import variable
from takeaway.local import aws as local_aws
from takeaway.local import backends, processes
from tests.benchmarks.commits_worker import Seen, Task
from tests.benchmarks.figures import Figure, beside, one_line, within
from tests.benchmarks.running import say

NEAR, FAR = (1, 2, 4, 8), (1, 4, 8)
SECONDS = 15.0
PUT_SECONDS = 4.0
# The fleet's archivers share a few processes, and rotate faster than by default: the machine is small.
FLEET_PROCESSES = 4
FLEET_AGE = 12.0
ROTATIONS = 4
# Of what the log took at most: the fuller it is, the more commits meet others, and begin again.
SHARE = 0.5
_lakes = count()


@dataclass(frozen=True)
class Aws:
    """A local AWS and its process."""

    environ: dict[str, str]
    process: psutil.Process

    def lake(self) -> dict[str, str]:
        """The variables that lead to an empty lake."""
        name = f"lake-{next(_lakes)}"
        client("s3", self.environ).create_bucket(Bucket=name)
        return {**self.environ, variable("lake_bucket"): name}

    def cpu(self) -> float:
        """Seconds, so far."""
        times = [each.cpu_times() for each in (self.process, *self.process.children(recursive=True))]
        return float(sum(used.user + used.system for used in times))


@contextmanager
def served(backend: str) -> Iterator[Aws]:
    with tempfile.TemporaryDirectory() as logs:
        running, reached = backends.backend_named(backend).start(local_aws.free_port(), Path(logs), following=True)
        try:
            environ = {**os.environ, **reached, variable("customer_key_bucket"): "keys"}
            client("s3", environ).create_bucket(Bucket="keys")
            process = running.process()
            assert process is not None
            yield Aws(environ, process)
        finally:
            processes.stop_processes([running], grace=5)


@contextmanager
def far(aws: Aws) -> Iterator[Aws]:
    command = [sys.executable, "-m", "tests.benchmarks.far_aws", aws.environ["AWS_ENDPOINT_URL"]]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as proxy:  # noqa: S603
        assert proxy.stdout is not None
        yield replace(aws, environ={**aws.environ, "AWS_ENDPOINT_URL": proxy.stdout.readline().strip()})


def together(environ: Mapping[str, str], what: str, tasks: Sequence[Task]) -> list[Any]:
    """Starts a process for each task, lets all go at once, and answers what each said last."""
    command = [sys.executable, "-W", "ignore", "-m", "tests.benchmarks.commits_worker", what]
    started = [
        subprocess.Popen(  # noqa: S603 - our own arguments
            [*command, msgspec.json.encode(task).decode()],
            env=dict(environ),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for task in tasks
    ]
    try:
        for process in started:
            assert process.stdout is not None
            if not process.stdout.readline():
                raise SystemExit(f"{what}: a process did not get ready")
        for process in started:
            assert process.stdin is not None
            process.stdin.write("\n")
            process.stdin.flush()
        said = [process.communicate()[0] for process in started]
    finally:
        for process in started:
            process.kill()
            process.wait()
    if any(process.returncode for process in started):
        raise SystemExit(f"{what}: a process failed")
    return [msgspec.json.decode(text) for text in said]


@dataclass(frozen=True)
class Fleet:
    """What a fleet did: a commit's seconds, and how many commits of others came between its snapshot and itself.

    `astray` records are in the lake twice, or not at all; `aws_cpu` is how much of a core the local AWS took.
    """

    rate: float
    commits: list[float]
    overtaken: list[int]
    failed: int
    astray: int
    aws_cpu: float

    def __str__(self) -> str:
        p50, p95 = percentile(self.commits, 50), percentile(self.commits, 95)
        return (
            f"{self.rate:5.1f} commits/s  p50 {p50:.2f} s  p95 {p95:.2f} s  "
            f"overtaken by {mean(self.overtaken):.1f}, at most {max(self.overtaken)}  "
            f"shards failed {self.failed}  records astray {self.astray}  local AWS {self.aws_cpu:.0%} of a core"
        )


def commit(aws: Aws, tasks: Sequence[Task]) -> Fleet:
    environ, seconds = aws.lake(), tasks[0].seconds
    cpu_before = aws.cpu()
    told = together(environ, "commit", tasks)
    cpu = aws.cpu() - cpu_before
    seen = msgspec.convert([one for each in told for one in each], list[Seen])
    commits = [each for one in seen for each in one.commits]
    return Fleet(
        rate=len(commits) / seconds,
        commits=commits,
        overtaken=_overtaken(environ, seen),
        failed=sum(one.failed for one in seen),
        astray=_astray(environ, seen),
        aws_cpu=cpu / seconds,
    )


def _overtaken(environ: Mapping[str, str], seen: Sequence[Seen]) -> list[int]:
    log = DeltaLog(table_uri(environ[variable("lake_bucket")]), storage_options(environ), SYSTEM_CLOCK)
    versions = {
        f"{application}:{entry.n}": one.version
        for one in log.snapshot().history()
        for application, entry in one.entries.items()
    }
    # Once for each commit, however many shards it has.
    by_version = {versions[key]: versions[key] - base - 1 for one in seen for key, base in one.based_on.items()}
    return list(by_version.values())


def _astray(environ: Mapping[str, str], seen: Sequence[Seen]) -> int:
    counted = Lake.from_environment(environ).sql(
        "SELECT count(*) AS rows, count(DISTINCT (_shard, _sequence_number)) AS places FROM records"
    )
    (there,) = counted.to_pylist()
    due = sum(one.records - one.dropped for one in seen)
    return int(abs(there["rows"] - due) + there["rows"] - there["places"])


def closed_loop(aws: Aws, number: int) -> tuple[Fleet, float]:
    """So many processes that commit as fast as they can; and how many objects a second as many made."""
    puts = together(aws.lake(), "put", [Task(first=one, seconds=PUT_SECONDS) for one in range(number)])
    fleet = commit(aws, [Task(first=one, seconds=SECONDS, shards=2, rows=5) for one in range(number)])
    return fleet, sum(puts) / PUT_SECONDS


def begun_together(aws: Aws, archivers: int, *, spread: bool) -> Fleet:
    each = archivers // FLEET_PROCESSES
    return commit(
        aws,
        [
            Task(
                first=each * one,
                seconds=FLEET_AGE * ROTATIONS + 1,
                archivers=each,
                rows=2,
                pace=1.0,
                age=FLEET_AGE,
                spread=spread,
            )
            for one in range(FLEET_PROCESSES)
        ],
    )


def closed_loops(aws: Aws, numbers: Sequence[int], where: str) -> tuple[list[Fleet], list[Figure]]:
    fleets, figures = list[Fleet](), list[Figure]()
    for number in numbers:
        fleet, puts = closed_loop(aws, number)
        say(f"{number} processes, {where}: {fleet}  beside {puts:.0f} PUTs/s")
        fleets.append(fleet)
        figures.append(beside(f"commits of {number} processes, {where}, beside PUTs", [fleet.rate], [puts], "1/s"))
    return fleets, figures


def measured(backend: str) -> list[Figure]:
    with served(backend) as aws:
        fleets, figures = closed_loops(aws, NEAR, "near")
        with far(aws) as far_aws:
            far_fleets, far_figures = closed_loops(far_aws, FAR, "far")
            limit = max(fleet.rate for fleet in far_fleets)
            archivers = max(1, round(limit * SHARE * FLEET_AGE / FLEET_PROCESSES)) * FLEET_PROCESSES
            in_step, spread = (begun_together(far_aws, archivers, spread=spread) for spread in (False, True))
    say(f"{archivers} archivers at {FLEET_AGE:g} s, far, in step: {in_step}")
    say(f"{archivers} archivers at {FLEET_AGE:g} s, far, spread:  {spread}")
    age = RotationPolicy().age.total_seconds()
    say(f"{SHARE:.0%} of {limit:.1f} commits/s, at {age:g} s: {limit * SHARE * age:.0f} processes")
    fleets += [*far_fleets, in_step, spread]
    return [
        *figures,
        *far_figures,
        beside(
            f"a commit of {archivers} archivers begun together, far, p95, beside in step",
            [percentile(spread.commits, 95)],
            [percentile(in_step.commits, 95)],
            "s",
        ),
        within("shards whose commit failed", sum(fleet.failed for fleet in fleets), 0, "shards"),
        within("records there twice or not at all", sum(fleet.astray for fleet in fleets), 0, "records"),
    ]


if __name__ == "__main__":
    print(one_line(measured(sys.argv[1] if sys.argv[1:] else backends.EMBEDDED.name)))  # noqa: T201
