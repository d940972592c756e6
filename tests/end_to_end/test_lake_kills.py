"""Two archivers share shards under load, and are killed with -9 at every step of their commits, and frozen."""

import json
import os
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

import pytest

from consumers.batching.rules import BatchRules
from events.wire import encode
from foundation import aws
from takeaway.audit.lake import lake_evidence, lake_rows
from takeaway.audit.verdict import DOUBLED, LOST, Bounds
from takeaway.local.processes import Running
from tests.end_to_end.commit_steps import STEPS, WHEN, Armed, CommitSteps
from tests.support.builders import an_envelope, packed
from tests.support.flow import Flow, frozen, pause, until
from tests.support.proxy import proxy
from tests.support.tables import Tables

pytestmark = [
    pytest.mark.end_to_end,
    pytest.mark.chaos,
    # test_kills.py has a shorter round of the same with one archiver, in every run of the chaos tests.
    pytest.mark.skipif("LAKE_KILL_ROUNDS" not in os.environ, reason="five minutes: `make chaos-lake`"),
]

# Once round all steps here; `make chaos-lake` goes round four times.
ROUNDS = int(os.environ.get("LAKE_KILL_ROUNDS", "1"))
SHARDS = 3
ARCHIVERS = ("archiver-a", "archiver-b")
ORDERS = 60
# Before each kill at this step the other archiver sleeps until its leases are stolen, and wakes as a zombie.
FREEZE_BEFORE = "put"
FROZEN_SECONDS = 4


@contextmanager
def trickle(flow: Flow) -> Iterator[threading.Event]:
    """Events of orders that no load placed, until it is told to stop: there is always something to commit."""
    kinesis, stop = aws.client("kinesis", flow.environ), threading.Event()

    def put() -> None:
        number = 0
        while not stop.wait(0.1):
            number += 1
            order_id = f"trickle-{number}"
            data = encode(an_envelope(order_id=order_id))
            if number % 10 == 0:
                data = packed([data, encode(an_envelope(order_id=order_id, cause="key-2"))], order_id)
            kinesis.put_record(StreamName=flow.environ["TAKEAWAY_STREAM"], PartitionKey=order_id, Data=data)

    thread = threading.Thread(target=put, name="trickle")
    thread.start()
    try:
        yield stop
    finally:
        stop.set()
        thread.join()


@pytest.mark.timeout(ROUNDS * 240 + 120)
def test_archivers_killed_at_every_step_with_leases_stolen(flow: Flow, tables: Tables) -> None:
    steps = CommitSteps()
    flow.start_api()
    for consumer in ("restaurant_notifier", "user_notifier"):
        flow.start_consumer(consumer)
    first, second = ARCHIVERS
    endpoint = flow.environ["AWS_ENDPOINT_URL"]
    with (
        proxy(endpoint, steps.of(first, partial(flow.living, first))) as through_first,
        proxy(endpoint, steps.of(second, partial(flow.living, second))) as through_second,
        trickle(flow) as stop_trickle,
    ):
        through = {first: through_first, second: through_second}

        def start(name: str) -> None:
            flow.start(name, "work", "archiver", AWS_ENDPOINT_URL=through[name])

        for name in ARCHIVERS:
            start(name)
        until(lambda: lake_rows(flow.environ) > 0, within=60)
        flow.start_load(orders=ORDERS, rate=5, seed=11)
        for armed in [(step, when) for _ in range(ROUNDS) for step in STEPS for when in WHEN]:
            steps.killed = None
            _back_and_armed(flow, steps, armed, start)
            victim = flow.running[until(lambda: steps.killed, within=60)]
            until(partial(_has_ended, victim), within=10)
            doubled = [
                place
                for place, count in Counter(fact.place for fact in lake_evidence(flow.environ).rows).items()
                if count > 1
            ]
            assert doubled == [], armed
        start(next(name for name in ARCHIVERS if flow.running[name].process() is None))
        flow.finish_load(within=150)
        stop_trickle.set()
        # Through the proxies to the end: the archivers know no other way.
        flow.drain(within=90)
        for name in (*ARCHIVERS, "restaurant_notifier", "user_notifier"):
            assert flow.stop(name) == 0, flow.log(name)

    verified = verify(flow)
    verdict = flow.audit(
        Bounds(repeated_events=10_000, repeated_effects=SHARDS * BatchRules().parallelization_factor),
        ignore_others=True,
    )
    for step in STEPS:
        tables.add(
            "kill -9 of two archivers", step=step, before=steps.kills[step, "before"], after=steps.kills[step, "after"]
        )
    tables.add(
        "after all kills",
        kills=steps.kills.total(),
        freezes=ROUNDS * len(WHEN),
        shards_opened=sum(flow.log(name).count("LakeShardOpened") for name in ARCHIVERS),
        leases_taken=sum(flow.log(name).count("LeaseTaken") for name in ARCHIVERS),
        rows=verified["counts"]["rows"],
        findings=len(verified["findings"]),
        lost=verdict.count(LOST),
        doubled=verdict.count(DOUBLED),
    )
    assert verified["ok"], verified["findings"]
    assert verified["counts"]["retained_waiting"] == 0
    assert verdict.ok, verdict.findings
    assert steps.kills == Counter({(step, when): ROUNDS for step in STEPS for when in WHEN})


def _back_and_armed(flow: Flow, steps: CommitSteps, armed: Armed, start: Callable[[str], None]) -> None:
    """The last victim comes back, and the next kill is armed."""
    back = [name for name in ARCHIVERS if flow.running[name].process() is None]
    if armed[0] != FREEZE_BEFORE:
        # Armed before anyone comes back: only who opens a shard claims and fences.
        steps.armed = armed
        for name in back:
            start(name)
        return
    # Who comes back takes what the sleeper holds; the sleeper wakes in the middle of something.
    (sleeper,) = set(ARCHIVERS) - set(back)
    with frozen(flow.running[sleeper]):
        for name in back:
            start(name)
        pause(FROZEN_SECONDS)
    steps.armed = armed


def _has_ended(service: Running) -> bool:
    return service.process() is None


def verify(flow: Flow) -> dict[str, dict[str, int]]:
    command = [sys.executable, "-m", "takeaway.cli", "lake", "verify", "--against-stream", "--json"]
    done = subprocess.run(command, env=flow.environ, capture_output=True, text=True, timeout=100, check=False)  # noqa: S603
    told: dict[str, dict[str, int]] = json.loads(done.stdout)
    return told
