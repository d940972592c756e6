"""`make bench-reads`: what each consumer reads of a shard that takes in a mebibyte a second, and how far it lags.

Every reader of the list runs as the process that it is, each behind a proxy of its own that counts its GetRecords. All
of them poll, at that rate and at one that their shares carry; then the records of all that act are pushed to them, past
their proxies, and what still polls has the shard's two mebibytes to itself. Meanwhile orders are placed and accepted:
how long their tickets and mails take is counted from the write to the stream to the service's own time stamp.
"""

import os
import random
import re
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from consumers.specs import readers
from events.orders import RestaurantNotified
from events.wire import encode
from foundation import aws
from foundation.clock import SYSTEM_CLOCK, uninterrupted_wait
from foundation.kinesis import READ_BYTES_PER_SECOND, READS_PER_SECOND, WRITE_BYTES_PER_SECOND
from foundation.settings import variable
from takeaway.audit.effects import mail_effects, ticket_effects
from takeaway.audit.latency import Latency, latencies
from takeaway.local import aws as local_aws
from takeaway.local import processes
from takeaway.local.backends import EMBEDDED
from takeaway.local.processes import Service
from takeaway.stack import deployment
from takeaway.standing import Collector, Reader, ShardStanding
from tests.benchmarks.figures import Figure, alone, one_line, within
from tests.support.builders import an_envelope, an_order_accepted, an_order_placed, packed_by_key
from tests.support.proxy import Answer, Behaviour, Request, proxy

SECONDS = 60.0
# What a notifier acts on; all other events are for the lake alone. More than it can do would measure SNS and SES.
_ACTED_ON_A_SECOND = 5
_AGGREGATE_BYTES = 51_200
_WARM_UP_SECONDS = 15.0
# Of what a shard gives, its readers are asked for so much: at all of it none would ever catch up.
_HEADROOM = 0.9
# A consumer that polls is behind by a read and what it does with it; a moment of a busy machine comes on top.
LAG_LIMIT = 10.0
# Where all poll at the full rate, a minute's tickets are told two minutes later.
_ALL_SENT_WITHIN_SECONDS = 300.0
_BEHIND = re.compile(rb'"MillisBehindLatest":\s*(\d+)')

_wait = uninterrupted_wait()


@dataclass
class Counter:
    """What a consumer read through its proxy, in the time that is measured."""

    reads: int = 0
    throttled: int = 0
    size: int = 0
    behind: list[int] = field(default_factory=list)

    def counting(self) -> Behaviour:
        def behave(request: Request, forward: Any) -> Answer | None:
            answer: Answer = forward()
            if request.target.endswith(".GetRecords"):
                self.reads += 1
                self.throttled += answer.status != 200
                # A payload of the stream travels as base64.
                self.size += len(answer.body) * 3 // 4
                self.behind += [int(found) for found in _BEHIND.findall(answer.body[-4096:])]
            return answer

        return behave

    def start_anew(self) -> None:
        self.reads = self.throttled = self.size = 0
        self.behind = []


@dataclass(frozen=True)
class Row:
    """A consumer's line of the table; what is pushed to it is not polled, and was not counted."""

    consumer: str
    pushed: bool
    reads: float
    size: float
    throttled: int
    most_behind: float
    standing: ShardStanding

    def __str__(self) -> str:
        polled = "   pushed     pushed" if self.pushed else f"{self.reads:9.2f}  {self.size / 2**20:9.2f}"
        behind = "        -" if self.pushed else f"{self.most_behind:9.1f}"
        waits = self.standing.waiting_seconds or 0.0
        return f"{self.consumer:20} {polled}  {self.throttled:9}  {behind}  {waits:12.1f}"


@dataclass(frozen=True)
class Scene:
    """`rate` is of the mebibyte a second that a shard takes in; `lag_limit` is what a poller may be behind, if any."""

    title: str
    rate: float
    pushed: frozenset[str]
    lag_limit: float | None


@dataclass(frozen=True)
class Part:
    """A second's records, and the ids of their events that a ticket or a mail answers."""

    records: Sequence[Any]
    acted_on: Sequence[str]


@dataclass
class Fed:
    """When each event that is acted on was written."""

    took: float = 0.0
    written_at: dict[str, datetime] = field(default_factory=dict)


def scenes() -> list[Scene]:
    acting = frozenset(name for name, spec in readers().items() if spec.listens_to)
    for_all = round(_HEADROOM * READ_BYTES_PER_SECOND / len(readers()) / 2**20, 2)
    return [
        Scene("all poll, 1 MiB/s", 1.0, frozenset(), None),
        Scene(f"all poll, {for_all:g} MiB/s", for_all, frozenset(), LAG_LIMIT),
        Scene("all that act by fan-out, 1 MiB/s", 1.0, acting, LAG_LIMIT),
    ]


def run(home: Path, seconds: float, scene: Scene) -> tuple[list[Row], tuple[Latency, ...]]:
    backend, reached = EMBEDDED.start(local_aws.free_port(), home / "logs", following=True)
    running = [backend]
    counters = {name: Counter() for name in readers()}
    share = READ_BYTES_PER_SECOND / (len(counters) - len(scene.pushed))
    try:
        environ = {**os.environ, **reached, variable("stack"): "reads", variable("home"): str(home)}
        environ |= deployment.deploy(environ, shards=1)
        with ExitStack() as proxies:
            for name, counter in counters.items():
                through = proxies.enter_context(proxy(environ["AWS_ENDPOINT_URL"], counter.counting()))
                # Only Kinesis: what it writes to its tables and the lake is not counted, and would wait there.
                polls = {"AWS_ENDPOINT_URL_KINESIS": through, variable("read_bytes_per_second"): str(share)}
                own = {variable("retrieval"): "fan_out"} if name in scene.pushed else polls
                service = Service(name, "takeaway.cli", ("work", name), following=True)
                running.append(processes.start_process(service, environ={**environ, **own}, logs=home / "logs"))
            _feed(environ, _WARM_UP_SECONDS, scene.rate)
            for counter in counters.values():
                counter.start_anew()
            fed = _feed(environ, seconds, scene.rate)
            counted = {name: Counter(**vars(counter)) for name, counter in counters.items()}
            standings = _standings(environ)
            rows = [
                Row(
                    name,
                    name in scene.pushed,
                    one.reads / fed.took,
                    one.size / fed.took,
                    one.throttled,
                    max(one.behind, default=0) / 1000,
                    standings[name],
                )
                for name, one in counted.items()
            ]
            return rows, _latencies(environ, fed)
    finally:
        processes.stop_processes(running[1:], grace=60)
        processes.stop_processes(running[:1], grace=20)


def _feed(environ: Mapping[str, str], seconds: float, rate: float) -> Fed:
    """So much of a mebibyte a second onto the one shard, beside what the consumers tell."""
    kinesis, stream = aws.client("kinesis", environ), environ[variable("stream")]
    parts = list(_seconds_of_events(seconds, rate))
    fed, began = Fed(), SYSTEM_CLOCK.monotonic()
    for number, part in enumerate(parts):
        _wait(max(0.0, began + number - SYSTEM_CLOCK.monotonic()))
        fed.written_at |= dict.fromkeys(part.acted_on, SYSTEM_CLOCK.now())
        answer = kinesis.put_records(StreamName=stream, Records=part.records)
        if answer["FailedRecordCount"]:
            raise RuntimeError(f"{answer['FailedRecordCount']} records were refused")
    _wait(max(0.0, began + seconds - SYSTEM_CLOCK.monotonic()))
    fed.took = SYSTEM_CLOCK.monotonic() - began
    if fed.took > seconds * 1.1:
        _say(f"the shard was fed for {fed.took:.0f} s instead of {seconds:.0f}: this machine is too slow for the rate")
    return fed


def _latencies(environ: Mapping[str, str], fed: Fed) -> tuple[Latency, ...]:
    """Of the tickets and mails, once all have been sent that are sent within the wait."""
    deadline = SYSTEM_CLOCK.monotonic() + _ALL_SENT_WITHIN_SECONDS
    while True:
        effects = [*ticket_effects(environ), *mail_effects(environ)]
        answered = fed.written_at.keys() & {effect.event_id for effect in effects}
        if len(answered) == len(fed.written_at) or SYSTEM_CLOCK.monotonic() > deadline:
            return latencies(fed.written_at, effects)
        _wait(1.0)


NOTED = RestaurantNotified(restaurant_id="restaurant-1", channel="sns", message_id="message-1")


def _seconds_of_events(seconds: float, rate: float) -> Iterator[Part]:
    """Each second's records: aggregates of events that no handler acts on, and some lone events that are acted on."""
    chance = random.Random()
    for _ in range(int(seconds)):
        part: list[Any] = []
        acted_on: list[str] = []
        for _ in range(_ACTED_ON_A_SECOND):
            order = f"{chance.getrandbits(64):x}"
            for event in (an_order_placed(), an_order_accepted()):
                envelope = an_envelope(event, order_id=order, occurred_at=SYSTEM_CLOCK.now())
                acted_on.append(envelope.event_id)
                part.append({"Data": encode(envelope), "PartitionKey": order})
        size = sum(len(one["Data"]) for one in part)
        while size + _AGGREGATE_BYTES < WRITE_BYTES_PER_SECOND * rate:
            events: list[tuple[str, bytes]] = []
            while len(events) * 400 < _AGGREGATE_BYTES:
                order = f"{chance.getrandbits(64):x}"
                noted = an_envelope(NOTED, order_id=order, occurred_at=SYSTEM_CLOCK.now())
                events.append((order, encode(noted)))
            # Each under its order, as the publisher packs them.
            data = packed_by_key(events)
            part.append({"Data": data, "PartitionKey": "aggregate"})
            size += len(data)
        yield Part(part, acted_on)


def _standings(environ: Mapping[str, str]) -> dict[str, ShardStanding]:
    """How each stands at the end, before it has had time to catch up."""
    kinesis, dynamodb = aws.client("kinesis", environ), aws.client("dynamodb", environ)
    stream = environ[variable("stream")]

    def look(name: str) -> ShardStanding:
        collector = Collector(kinesis, dynamodb, stream, SYSTEM_CLOCK.now(), SYSTEM_CLOCK, _wait)
        (standing,) = collector.look(Reader(name, f"reads-{name}", 10 / 3)).shards
        return standing

    with ThreadPoolExecutor(len(readers())) as threads:
        return dict(zip(readers(), threads.map(look, readers()), strict=True))


def table(title: str, rows: Sequence[Row], told: Sequence[Latency]) -> str:
    heads = f"{'':20} {'reads/s':>9}  {'MiB/s':>9}  {'throttled':>9}  {'behind, s':>9}  {'unread for, s':>12}"
    reads, size = sum(row.reads for row in rows), sum(row.size for row in rows) / 2**20
    return "\n".join(
        [
            title,
            heads,
            *map(str, rows),
            f"{'together':20} {reads:9.2f}  {size:9.2f}  of {READS_PER_SECOND}, and 2 MiB/s",
            *(f"{one.messages:,} of {one.kind}: p50 {_seconds(one.p50)}, p99 {_seconds(one.p99)}" for one in told),
        ]
    )


def _seconds(duration: timedelta) -> str:
    return f"{duration.total_seconds():.2f} s"


def figures(scene: Scene, rows: Sequence[Row], told: Sequence[Latency]) -> list[Figure]:
    reads, size = sum(row.reads for row in rows), sum(row.size for row in rows)
    found = [
        within(f"{scene.title}: reads a second", reads, READS_PER_SECOND, "1/s"),
        within(f"{scene.title}: bytes a second", size, READ_BYTES_PER_SECOND, "B/s"),
    ]
    for row in rows:
        if not row.pushed:
            name = f"{scene.title}: most that {row.consumer} was behind"
            limit = scene.lag_limit
            found.append(
                alone(name, row.most_behind, "s") if limit is None else within(name, row.most_behind, limit, "s")
            )
        found.append(alone(f"{scene.title}: unread at the end, {row.consumer}", row.standing.waiting_seconds or 0, "s"))
    for one in told:
        for name, duration in (("p50", one.p50), ("p99", one.p99)):
            found.append(alone(f"{scene.title}: {one.kind}, {name}", duration.total_seconds(), "s"))
    return found


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)  # noqa: T201


def main(seconds: float = SECONDS) -> None:
    found: list[Figure] = []
    for scene in scenes():
        with tempfile.TemporaryDirectory() as folder:
            rows, told = run(Path(folder), seconds, scene)
        _say(table(scene.title, rows, told))
        found += figures(scene, rows, told)
    print(one_line(found))  # noqa: T201


if __name__ == "__main__":
    main(*(float(argument) for argument in sys.argv[1:]))
