"""An AWS that errs, loses answers, goes away and comes back: every process waits, and nothing is lost or doubled."""

import os
import random
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from consumers.specs import CONSUMERS, readers
from events.choreography import TRACKER
from events.wire import encode
from foundation.aws import client
from takeaway.audit.evidence import stream_facts
from takeaway.audit.verdict import DOUBLED, LOST, REPEATED_EFFECT, REPEATED_EVENT, Bounds
from takeaway.local import aws as local_aws
from takeaway.local import processes
from takeaway.local.processes import Running
from tests.conftest import the_backend
from tests.support.builders import an_envelope
from tests.support.flow import Flow, frozen, pause, until
from tests.support.proxy import INTERNAL_ERROR, Answer, Request, proxy
from tests.support.tables import Tables

pytestmark = [pytest.mark.end_to_end, pytest.mark.chaos, pytest.mark.timeout(240)]


@dataclass(frozen=True)
class Stage:
    """A flow and the local AWS below it."""

    flow: Flow
    aws: Running
    endpoint: str


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    aws, reached = the_backend().start(local_aws.free_port(), tmp_path / "logs", following=True)
    flow = Flow.deployed(tmp_path, reached)
    yield Stage(flow, aws, reached["AWS_ENDPOINT_URL"])
    flow.stop_all()
    processes.stop_processes([aws], grace=5)


@dataclass
class Trouble:
    """A share of all requests is refused before it is applied, another is applied and its answer lost."""

    seed: int
    refused: float
    lost: float
    away: threading.Event = field(default_factory=threading.Event)
    counts: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)
        self._lock = threading.Lock()

    def behave(self, request: Request, forward: Callable[[], Answer]) -> Answer | None:
        if self.away.is_set():
            return None
        with self._lock:
            luck = self._random.random()
        if luck < self.refused:
            self.counts["refused"] += 1
            return INTERNAL_ERROR
        if luck < self.refused + self.lost:
            self.counts["lost"] += 1
            if _is_a_message(request):
                self.counts["messages lost"] += 1
            forward()
            return None
        return forward()


def _is_a_message(request: Request) -> bool:
    """A message to a restaurant or a customer: SNS and SES speak the query protocol."""
    return b"Action=Publish" in request.body or b"Action=SendEmail" in request.body


def test_errors_and_lost_answers_everywhere(stage: Stage, tables: Tables) -> None:
    flow, seed = stage.flow, int(os.environ.get("SEED", "20"))
    trouble = Trouble(seed, refused=0.03, lost=0.03)
    with proxy(stage.endpoint, trouble.behave) as through:
        flow.start_api(AWS_ENDPOINT_URL=through)
        for consumer in readers():
            flow.start_consumer(consumer, AWS_ENDPOINT_URL=through)
        flow.start_load(orders=100, rate=15, seed=3)
        flow.finish_load(within=150)
        flow.drain()
        trouble.refused = trouble.lost = 0
        assert {name: flow.stop(name) for name in readers()} == dict.fromkeys(readers(), 0)

    # A message whose answer was lost is sent again: by botocore, or by the step. A PutRecords' likewise.
    bounds = Bounds(repeated_events=10_000, repeated_effects=trouble.counts["messages lost"])
    verdict = flow.audit(bounds)
    tables.add(
        f"3 % of requests refused, 3 % of answers lost (SEED={seed})",
        refused=trouble.counts["refused"],
        answers_lost=trouble.counts["lost"],
        of_messages=trouble.counts["messages lost"],
        lost=verdict.count(LOST),
        doubled=verdict.count(DOUBLED),
        repeated_events=verdict.count(REPEATED_EVENT),
        repeated_effects=verdict.count(REPEATED_EFFECT),
    )
    assert verdict.ok, verdict.findings
    assert verdict.orders == 100
    assert min(trouble.counts["refused"], trouble.counts["lost"]) > 20


def test_the_back_end_goes_away_and_comes_back(stage: Stage) -> None:
    flow, trouble = stage.flow, Trouble(0, refused=0, lost=0)
    with proxy(stage.endpoint, trouble.behave) as through:
        flow.start_api(AWS_ENDPOINT_URL=through)
        for consumer in readers():
            flow.start_consumer(consumer, AWS_ENDPOINT_URL=through)
        flow.start_load(orders=80, rate=15, seed=4)
        pause(2)
        trouble.away.set()
        pause(6)
        trouble.away.clear()
        pause(1)
        with frozen(stage.aws):
            pause(5)
        flow.finish_load(within=150)
        flow.drain()
        for consumer in readers():
            assert flow.running[consumer].process() is not None
            assert flow.stop(consumer) == 0
    verdict = flow.audit(Bounds(repeated_events=10_000, repeated_effects=10))
    assert verdict.ok, verdict.findings
    assert verdict.orders == 80


def test_garbage_in_the_middle_of_a_flow_is_set_apart_and_holds_up_no_order(stage: Stage) -> None:
    flow = stage.flow
    kinesis, stream = client("kinesis", flow.environ), flow.environ["TAKEAWAY_STREAM"]
    for number in range(3):
        kinesis.put_records(
            StreamName=stream,
            Records=[{"Data": f"no event {number} {n}".encode(), "PartitionKey": f"{n}"} for n in range(30)],
        )
        kinesis.put_record(StreamName=stream, PartitionKey="x", Data=encode(an_envelope(order_id=f"order-{number}")))
    for consumer in readers():
        flow.start_consumer(consumer)

    def told() -> int:
        # A busy machine may tell one again.
        facts = stream_facts(flow.environ)[0]
        return len({fact.event_id for fact in facts if fact.event_type == "restaurant_notified"})

    def letters() -> Counter[str]:
        pages = client("s3", flow.environ).get_paginator("list_objects_v2")
        found = pages.paginate(Bucket=flow.environ["TAKEAWAY_DEAD_LETTER_BUCKET"])
        return Counter(one["Key"].partition("/")[0] for page in found for one in page.get("Contents", []))

    until(lambda: told() == 3 and letters() == dict.fromkeys(CONSUMERS.keys() - {TRACKER}, 90), within=150, every=0.5)
    for consumer in readers():
        assert "ShardStopped" not in flow.log(consumer)
        assert flow.stop(consumer) == 0


def test_a_stream_deleted_under_a_consumer_is_said_and_waited_out(stage: Stage) -> None:
    flow = stage.flow
    flow.start_consumer("restaurant_notifier")
    until(lambda: flow.log("restaurant_notifier").count("ShardStarted") == 2)
    client("kinesis", flow.environ).delete_stream(StreamName=flow.environ["TAKEAWAY_STREAM"])
    until(lambda: "ReadFailed" in flow.log("restaurant_notifier"))
    lines = len(flow.log("restaurant_notifier").splitlines())
    pause(3)
    assert len(flow.log("restaurant_notifier").splitlines()) - lines < 20, "a busy loop"
    assert flow.running["restaurant_notifier"].process() is not None
    assert flow.stop("restaurant_notifier") == 0


def test_sigterm_drains_and_a_second_one_means_now(stage: Stage) -> None:
    flow = stage.flow
    for consumer in readers():
        flow.start_consumer(consumer)
        until(lambda consumer=consumer: flow.log(consumer).count("ShardStarted") == 2)  # type: ignore[misc]
    assert flow.stop("restaurant_notifier") == 0
    assert flow.log("restaurant_notifier").count("LeaseEvicted") == 2
    # With AWS frozen the archiver cannot hand back its leases: the first signal waits, the second one does not.
    with frozen(stage.aws):
        archiver = flow.running["archiver"]
        os.kill(archiver.pid, signal.SIGTERM)
        pause(1)
        assert archiver.process() is not None
        os.kill(archiver.pid, signal.SIGTERM)
        until(lambda: archiver.process() is None, within=5)
        assert processes.exit_code(archiver) == 128 + signal.SIGTERM


def test_two_demos_at_once_do_not_meet(tmp_path: Path) -> None:
    demos = [
        subprocess.Popen(
            [sys.executable, "-m", "takeaway.cli", "demo", "--orders", "20", "--rate", "20", "--speed", "1000"],
            cwd=tmp_path,
            env={**os.environ, "TAKEAWAY_HOME": str(tmp_path / ".takeaway"), "COLUMNS": "200"},
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    for demo in demos:
        printed, _ = demo.communicate(timeout=200)
        assert demo.returncode == 0, printed
        assert "20 orders · " in printed
