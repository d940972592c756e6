"""How long publishing takes at a steady rate, from when each event was to be sent; and what a stall does to that.

Many clients publish one event after another, and wait for each. The naive figure counts from when a client got round
to sending: whoever is held up then sends less, and so the stall hardly shows.
"""

import signal
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

from foundation.clock import SYSTEM_CLOCK, uninterrupted_wait
from foundation.diagnostics import Diagnostic
from foundation.percentiles import percentile
from producers.publishing.publication import Publication
from producers.publishing.publisher import RecordPublisher
from tests.benchmarks.consume import client, server
from tests.benchmarks.figures import Figure, alone
from tests.benchmarks.running import say

RATE = 600.0
SECONDS = 20
CLIENTS = 64
SHARDS = 4
FASTEST, SLOWEST = 0.01, 0.05
STALL_AT, STALL_SECONDS = 8.0, 2.0
STREAM = "latency"
PERCENTS = (50.0, 99.0, 99.9)


class Took(NamedTuple):
    """Milliseconds until an event was acknowledged: since it was to be sent, and since it was."""

    intended: float
    naive: float


def latency_figures() -> list[Figure]:
    steady, stalled = _measured(stall=False), _measured(stall=True)
    for name, took in (("steady", steady), (f"a stall of {STALL_SECONDS:g} s", stalled)):
        for kind in ("intended", "naive"):
            told = "  ".join(f"p{percent:g} {_percentile(took, kind, percent):7.1f} ms" for percent in PERCENTS)
            say(f"publish latency, {RATE:g} events a second, {name:14} from {kind:8} {told}")
    figures = [
        alone(f"publish latency p{percent:g}, from the intended time", _percentile(steady, "intended", percent), "ms")
        for percent in PERCENTS
    ]
    shown, hidden = (_percentile(stalled, kind, 99) for kind in ("intended", "naive"))
    return [
        *figures,
        Figure(
            "publish latency p99 with a 2 s stall: from the intended time, beside the naive figure",
            round(shown, 1),
            round(hidden, 1),
            "ms",
            round(hidden / shown, 4),
            None,
            shown > STALL_SECONDS * 500 > hidden,
        ),
    ]


def _measured(*, stall: bool) -> list[Took]:
    with server(0.0, 0.0, FASTEST, SLOWEST) as (environ, process):
        client(environ).create_stream(StreamName=STREAM, ShardCount=SHARDS)
        stops = [
            threading.Timer(at, process.send_signal, [number])
            for at, number in ((STALL_AT, signal.SIGSTOP), (STALL_AT + STALL_SECONDS, signal.SIGCONT))
            if stall
        ]
        happened: list[Diagnostic] = []
        with RecordPublisher(
            client(environ), STREAM, clock=SYSTEM_CLOCK, wait=uninterrupted_wait(), emit=happened.append
        ) as publisher:
            publisher.put([Publication("first", b"x")])
            start = SYSTEM_CLOCK.monotonic() + 0.5
            for timer in stops:
                timer.start()
            with ThreadPoolExecutor(CLIENTS) as pool:
                every = pool.map(lambda number: _published(publisher, number, start), range(CLIENTS))
                return [took for each in every for took in each]


def _published(publisher: RecordPublisher, number: int, start: float) -> list[Took]:
    """One client's events, evenly over the time."""
    wait, took = uninterrupted_wait(), []
    for turn in range(int(RATE * SECONDS / CLIENTS)):
        intended = start + (turn * CLIENTS + number) / RATE
        wait(max(0.0, intended - SYSTEM_CLOCK.monotonic()))
        sent = SYSTEM_CLOCK.monotonic()
        record = Publication(f"order-{number}-{turn}", b"x" * 350)
        publisher.put([record])
        record.result()
        now = SYSTEM_CLOCK.monotonic()
        took.append(Took((now - intended) * 1000, (now - sent) * 1000))
    return took


def _percentile(took: Sequence[Took], kind: str, percent: float) -> float:
    return percentile([float(getattr(one, kind)) for one in took], percent)
