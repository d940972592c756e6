"""`make bench-freshness`: how long after Kinesis took an event a reader of the lake sees it, at the default rotation.

Real archivers, each with a stack of its own on one local AWS: a stream under load, and idle ones on which now and then
one event waits for its file alone. From the answer of PutRecords to the first look at the lake that finds the event.
"""

import os
import random
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from analytics.lake import Lake, NoLake
from analytics.rotation import RotationPolicy
from events.envelope import EventEnvelope, partition_key
from events.orders import Event
from events.wire import encode
from foundation import aws
from foundation.clock import SYSTEM_CLOCK, uninterrupted_wait
from foundation.percentiles import percentile
from foundation.settings import variable
from takeaway.local import aws as local_aws
from takeaway.local import processes
from takeaway.local.backends import EMBEDDED
from takeaway.local.processes import Running, Service
from takeaway.stack import deployment
from tests.benchmarks.figures import Figure, one_line, within
from tests.support.builders import an_envelope

SECONDS = 240.0
IDLE_STREAMS = 6
EVENTS_A_SECOND = 100
ROTATION = RotationPolicy().age.total_seconds()
# Beyond the age at which a file is due: two reads at the archiver's half a read a second, a commit, and a look.
LIMIT = ROTATION + 5
_PATIENCE = 2 * LIMIT
_LOOK_SECONDS = 0.1
_MOST_AT_ONCE = 500

_wait = uninterrupted_wait()


@dataclass
class Stream:
    """A stack with an archiver at work, and when each event was put onto its stream and first seen in its lake."""

    name: str
    environ: dict[str, str]
    archiver: Running
    put_at: dict[str, float] = field(default_factory=dict)
    seen_at: dict[str, float] = field(default_factory=dict)
    _version: int = -1

    @classmethod
    def started(cls, name: str, reached: Mapping[str, str], home: Path, *, shards: int) -> "Stream":
        environ = {**os.environ, **reached, variable("stack"): name}
        environ |= {"TAKEAWAY_HOME": str(home / name)}
        environ |= deployment.deploy(environ, shards=shards)
        archiver = Service(f"{name}-archiver", "takeaway.cli", ("work", "archiver"), following=True)
        return cls(name, environ, processes.start_process(archiver, environ=environ, logs=home / "logs"))

    def put(self, events: Sequence[EventEnvelope[Event]]) -> None:
        records: list[Any] = [{"Data": encode(event), "PartitionKey": partition_key(event)} for event in events]
        kinesis = aws.client("kinesis", self.environ)
        answer = kinesis.put_records(StreamName=self.environ[variable("stream")], Records=records)
        if answer["FailedRecordCount"]:
            raise RuntimeError(f"{self.name}: {answer['FailedRecordCount']} records were refused")
        taken_at = SYSTEM_CLOCK.monotonic()
        self.put_at |= dict.fromkeys((event.event_id for event in events), taken_at)

    def look(self) -> None:
        """The moment counts at which the answer is there."""
        try:
            lake = Lake.from_environment(self.environ)
        except NoLake:
            return
        if lake.version == self._version:
            return
        ids = lake.dataset().to_table(columns=["event_id"])["event_id"].to_pylist()
        now, self._version = SYSTEM_CLOCK.monotonic(), lake.version
        for event_id in ids:
            self.seen_at.setdefault(str(event_id), now)

    def waits(self) -> bool:
        return bool(self.put_at.keys() - self.seen_at.keys())

    def seconds(self, *, without: int) -> list[float]:
        """From put to seen, without the first so many events: they waited for the archiver to start."""
        return [self.seen_at[event_id] - at for event_id, at in list(self.put_at.items())[without:]]


def run(home: Path, seconds: float) -> list[Figure]:
    backend, reached = EMBEDDED.start(local_aws.free_port(), home / "logs", following=True)
    streams: list[Stream] = []
    try:
        streams.append(Stream.started("busy", reached, home, shards=2))
        streams.extend(Stream.started(f"idle-{number}", reached, home, shards=1) for number in range(IDLE_STREAMS))
        for stream in streams:
            stream.put([an_envelope(order_id=f"{stream.name}-first")])
        _look_until(streams, lambda: not any(stream.waits() for stream in streams))
        _say(f"{len(streams)} archivers are at work; measuring for {seconds:g} s")
        _measure(streams[0], streams[1:], SYSTEM_CLOCK.monotonic() + seconds)
        _look_until(streams, lambda: not any(stream.waits() for stream in streams))
    finally:
        processes.stop_processes([*(stream.archiver for stream in streams), backend], grace=20)
    figures: list[Figure] = []
    for when, measured in (("under load", streams[:1]), ("idle stream", streams[1:])):
        took = sorted(second for stream in measured for second in stream.seconds(without=1))
        _say(f"{when}: {len(took)} events, {took[0]:.1f} to {took[-1]:.1f} s")
        p50, p99 = percentile(took, 50), percentile(took, 99)
        figures += [
            within(f"freshness, {when}, {name}", took, LIMIT, "s") for name, took in (("p50", p50), ("p99", p99))
        ]
    return figures


def _measure(busy: Stream, idle: Sequence[Stream], until: float) -> None:
    """A steady flow on the one, and on each other a single event, a while after the one before it was seen."""
    chance = random.Random(7)
    began = SYSTEM_CLOCK.monotonic()
    sent, due = 0, {stream.name: began + chance.uniform(0, ROTATION / 4) for stream in idle}
    while (now := SYSTEM_CLOCK.monotonic()) < until:
        owed = int((now - began) * EVENTS_A_SECOND) - sent
        for first in range(sent, sent + owed, _MOST_AT_ONCE):
            last = min(first + _MOST_AT_ONCE, sent + owed)
            busy.put([an_envelope(order_id=f"busy-{number}") for number in range(first, last)])
        sent += owed
        for stream in idle:
            if now >= due[stream.name] and not stream.waits():
                stream.put([an_envelope(order_id=f"{stream.name}-{now}")])
            elif stream.waits():
                due[stream.name] = now + chance.uniform(0, ROTATION / 4)
        _look((busy, *idle))


def _look_until(streams: Sequence[Stream], holds: Callable[[], bool]) -> None:
    deadline = SYSTEM_CLOCK.monotonic() + _PATIENCE
    while not holds():
        if SYSTEM_CLOCK.monotonic() > deadline:
            late = ", ".join(stream.name for stream in streams if stream.waits())
            raise TimeoutError(f"not all was in the lake within {_PATIENCE:g} s: {late}")
        _look(streams)


def _look(streams: Sequence[Stream]) -> None:
    for stream in streams:
        stream.look()
    _wait(_LOOK_SECONDS)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)  # noqa: T201


def main(seconds: float = SECONDS) -> None:
    with tempfile.TemporaryDirectory() as folder:
        try:
            figures = run(Path(folder), seconds)
        except Exception:
            for log in sorted(Path(folder, "logs").glob("*-archiver.log")):
                _say(f"{log.name}: ...{log.read_text()[-1500:]}")
            raise
    print(one_line(figures))  # noqa: T201


if __name__ == "__main__":
    main(*(float(argument) for argument in sys.argv[1:]))
