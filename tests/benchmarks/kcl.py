"""`make bench-kcl`: starting, stopping, starting again and memory, beside the KCL, on one stream of one local AWS.

Both feed the same recorder. The KCL runs as `takeaway work --engine kcl` runs it, and told to hurry.
"""

import os
import shutil
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from takeaway.local import aws as local_aws
from takeaway.local import backends, processes
from takeaway.local.processes import Running
from tests.benchmarks.figures import Figure, one_line
from tests.interop.recorder import KCL, WORKER
from tests.interop.world import SHARDS, World

# The KCL's defaults take about 40 s to the first record.
OURS_ROUNDS, TUNED_ROUNDS, DEFAULT_ROUNDS = 5, 3, 2
ONE_START_SECONDS = 240.0
SLACK_SECONDS = 120.0


@dataclass(frozen=True)
class Contender:
    """An engine and how it is set. All that hurries the KCL is in `failover_seconds` and `tuned`."""

    name: str
    engine: str
    rounds: int
    failover_seconds: float
    tuned: bool = False


OURS = Contender("ours", WORKER, OURS_ROUNDS, 10)
TUNED = Contender("KCL, told to hurry", KCL, TUNED_ROUNDS, 2, tuned=True)
DEFAULT = Contender("KCL, defaults", KCL, DEFAULT_ROUNDS, 10)

START, STOP, RESTART, MEMORY = "start to first record", "SIGTERM to exit", "restart to first record", "memory, 4 shards"
UNITS = {START: "s", STOP: "s", RESTART: "s", MEMORY: "MB"}
# The most that ours should be.
AT_MOST = {START: 3.0, STOP: 2.0}

Figures = dict[str, dict[str, list[float]]]


def main() -> None:
    if shutil.which("java") is None:
        sys.exit("there is no java on the PATH. fix: install Java 17")
    with tempfile.TemporaryDirectory() as folder, local_stream(Path(folder)) as world:
        first_day(world)
        figures: Figures = defaultdict(lambda: defaultdict(list))
        for number in range(max(OURS_ROUNDS, TUNED_ROUNDS, DEFAULT_ROUNDS)):
            for contender in (OURS, TUNED, DEFAULT):
                if number < contender.rounds:
                    one_round(world, contender, figures[contender.name])
    for name, of_name in figures.items():
        for what, values in of_name.items():
            told = "  ".join(f"{value:8.2f}" for value in values)
            print(f"{name:20} {what:26} {UNITS[what]:3} {told}", file=sys.stderr)  # noqa: T201
    print(one_line([figure(what, figures, peer) for peer in (TUNED, DEFAULT) for what in UNITS]))  # noqa: T201


@contextmanager
def local_stream(folder: Path) -> Iterator[World]:
    aws, reached = backends.EMBEDDED.start(local_aws.free_port(), folder / "logs", following=True)
    world = World({**os.environ, **reached}, folder)
    try:
        yield world
    finally:
        processes.stop_processes(world.running, grace=5)
        processes.stop_processes([aws], grace=5)


def first_day(world: World) -> None:
    """Makes the KCL's tables, which takes it up to a minute and is nobody's figure."""
    world.fill(1)
    running = world.start(KCL, failover_seconds=TUNED.failover_seconds, tuned=True)
    world.await_(lambda: not world.missing(), ONE_START_SECONDS, "every record")
    world.stop(running)


def one_round(world: World, contender: Contender, figures: dict[str, list[float]]) -> None:
    """From free leases on; then again, from leases as the contender itself left them."""
    world.free_leases()
    running, seconds = started(world, contender)
    figures[START].append(seconds)
    figures[MEMORY].append(memory(running) / 1e6)
    figures[STOP].append(world.stop(running))
    running, seconds = started(world, contender)
    figures[RESTART].append(seconds)
    figures[STOP].append(world.stop(running))


def started(world: World, contender: Contender) -> tuple[Running, float]:
    """With every shard read and every record seen; and how long the first record took."""
    lines = world.lines()
    world.fill(1)
    began = now()
    running = world.start(contender.engine, failover_seconds=contender.failover_seconds, tuned=contender.tuned)
    world.await_(goes_on(world, lines), ONE_START_SECONDS, f"{contender.name}: a first record")
    seconds = now() - began
    world.await_(lambda: not world.missing(), SLACK_SECONDS, f"{contender.name}: every record")
    world.await_(
        lambda: len(world.reads(contender.engine, world.lines() - lines)) == SHARDS,
        SLACK_SECONDS,
        f"{contender.name}: every shard",
    )
    return running, seconds


def goes_on(world: World, lines: int) -> Callable[[], bool]:
    return lambda: world.lines() > lines


def memory(running: Running) -> int:
    """Of the process and all that it started, what they share counted once."""
    process = running.process()
    assert process is not None
    return sum(one.memory_full_info().pss for one in [process, *process.children(recursive=True)])


def figure(what: str, figures: Figures, peer: Contender) -> Figure:
    """Where there is a target it is the most that ours should be."""
    ours, theirs = (statistics.median(figures[name][what]) for name in (OURS.name, peer.name))
    at_most = AT_MOST.get(what)
    return Figure(
        f"{what}, beside the {peer.name}",
        round(ours, 2),
        round(theirs, 2),
        UNITS[what],
        round(theirs / ours, 1),
        at_most,
        None if at_most is None else ours <= at_most,
    )


def now() -> float:
    return time.monotonic()  # noqa: TID251 - of the real machine


if __name__ == "__main__":
    main()
