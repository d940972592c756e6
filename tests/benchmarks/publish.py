"""`make bench-publish`: what publishing costs and keeps, beside aiokpl, async-kinesis and boto3, on one fast Kinesis.

Each round starts every client in a process of its own, turn by turn; figures are medians of CPU, imports excluded.
"""

import sys
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count

from tests.benchmarks.consume import client, served
from tests.benchmarks.figures import Figure, beside, one_line
from tests.benchmarks.publish_latency import latency_figures
from tests.benchmarks.publish_order import order_figures
from tests.benchmarks.publish_quota import quota_figures
from tests.benchmarks.running import OURS, PEERS, ran, say

ROUNDS = 3
EVENTS = 200_000
SHARDS = 4


@dataclass(frozen=True)
class Race:
    """A peer in one discipline, `publish` or `aggregate`; `target` is how many times less our CPU should be.

    All get as many events as we do, since each pays for the making of its client too.
    """

    discipline: str
    peer: str
    target: float


RACES = (
    Race("publish", "aiokpl", 30),
    Race("publish", "async_kinesis", 15),
    Race("publish", "boto3", 2.5),
    Race("publish", "record_aggregator", 2),
    Race("aggregate", "aiokpl_aggregation", 50),
    Race("aggregate", "record_aggregation", 3),
)


def race(peers_python: str, rounds: int = ROUNDS, events: int = EVENTS) -> list[Figure]:
    ours: dict[str, list[float]] = defaultdict(list)
    theirs: dict[Race, list[float]] = defaultdict(list)
    streams = count()
    for number in range(1, rounds + 1):
        with served() as environ:

            def run(python: str, module: str, who: str, many: int, environ: dict[str, str] = environ) -> float:
                stream = f"race-{next(streams)}"
                client(environ).create_stream(StreamName=stream, ShardCount=SHARDS)
                return _microseconds(python, environ, module, who, "orders", stream, str(many))

            for discipline in ("publish", "aggregate"):
                # Twice, before and after the peers: a machine that slows down meanwhile slows down both.
                ours[discipline].append(run(sys.executable, OURS, discipline, events))
                for one in (one for one in RACES if one.discipline == discipline):
                    cpu = run(peers_python, PEERS, one.peer, events)
                    theirs[one].append(cpu)
                    say(f"round {number}: {one.discipline:10} {one.peer:20} {cpu:8.2f} us/event")
                ours[discipline].append(run(sys.executable, OURS, discipline, events))
                both = " and ".join(f"{cpu:.2f}" for cpu in ours[discipline][-2:])
                say(f"round {number}: {discipline:10} ours {both} us/event")
    return [
        beside(f"{one.discipline}: {one.peer}", ours[one.discipline], theirs[one], "us of CPU an event", one.target)
        for one in RACES
    ]


def _microseconds(python: str, environ: dict[str, str], module: str, *arguments: str) -> float:
    """Of CPU for an event. A client that does not acknowledge each has lost the race."""
    told = ran(python, environ, module, *arguments)
    if told["records"] != int(arguments[-1]):
        raise SystemExit(f"{module} {' '.join(arguments)}: {told['records']} records done")
    return float(told["cpu"] / told["records"] * 1e6)


def main(peers_python: str, arguments: Sequence[str]) -> None:
    rounds, events = (int(argument) for argument in arguments) if arguments else (ROUNDS, EVENTS)
    figures = [*race(peers_python, rounds, events), *order_figures(peers_python), *latency_figures(), *quota_figures()]
    print(one_line(figures))  # noqa: T201


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
