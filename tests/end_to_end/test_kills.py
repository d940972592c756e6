"""kill -9 of every process in turn, under load and with work to do: nothing is lost, nothing is doubled."""

from collections import Counter
from functools import partial
from pathlib import Path

import pytest

from consumers.batching.rules import BatchRules
from consumers.specs import readers
from events.wire import encode
from foundation import aws
from takeaway.audit.evidence import stream_facts
from takeaway.audit.lake import lake_evidence, lake_rows
from takeaway.audit.observer import StreamObserver
from takeaway.audit.verdict import DOUBLED, LOST, REPEATED_EFFECT, REPEATED_EVENT, Bounds
from takeaway.local import aws as local_aws
from takeaway.local import processes
from tests.conftest import the_backend
from tests.end_to_end.commit_steps import STEPS, WHEN, CommitSteps
from tests.support.builders import an_envelope
from tests.support.flow import Flow, pause, until
from tests.support.proxy import proxy
from tests.support.tables import Tables

pytestmark = [pytest.mark.end_to_end, pytest.mark.chaos]

KILLS = 3
SHARDS = 2
AT_ONCE = BatchRules().parallelization_factor


def lag(flow: Flow, victim: str, observer: StreamObserver) -> int:
    """How much the victim still has to do, seen from outside."""
    observer.look()
    counts = observer.counts
    if victim == "restaurant_notifier":
        return counts["order_placed"] - counts["restaurant_notified"]
    if victim == "user_notifier":
        return counts["order_accepted"] + counts["order_rejected"] - counts["user_notified"]
    return observer.records - lake_rows(flow.environ)


def records_seen(observer: StreamObserver) -> int:
    observer.look()
    return observer.records


@pytest.mark.timeout(300)
@pytest.mark.parametrize("victim", [*readers(), "api"])
def test_killed_again_and_again_under_load(flow: Flow, victim: str, tables: Tables) -> None:
    flow.start_api()
    for consumer in readers():
        flow.start_consumer(consumer)
    flow.start_load(orders=150, rate=15, seed=3)
    observer = StreamObserver(flow.environ)
    until(lambda: records_seen(observer))
    lags: list[int] = []
    for _ in range(KILLS):
        pause(1.5)
        if victim == "api":
            flow.kill(victim)
            flow.start_api()
            continue
        lags.append(until(lambda: lag(flow, victim, observer), within=30, every=0.02))
        flow.kill(victim)
        flow.start_consumer(victim)
    flow.finish_load(within=150)
    flow.drain()
    assert {name: flow.stop(name) for name in readers()} == dict.fromkeys(readers(), 0)

    # Between an effect and its memory there is one record a kill, shard and key handled at once. An event is told again
    # when its record was not checkpointed yet: at most a batch.
    verdict = flow.audit(Bounds(repeated_events=10_000, repeated_effects=KILLS * SHARDS * AT_ONCE))
    tables.add(
        "kill -9 under load",
        process=victim,
        kills=KILLS,
        lag_at_kills=" ".join(map(str, lags)) or "-",
        lost=verdict.count(LOST),
        doubled=verdict.count(DOUBLED),
        repeated_events=verdict.count(REPEATED_EVENT),
        repeated_effects=verdict.count(REPEATED_EFFECT),
    )
    assert verdict.ok, verdict.findings
    assert verdict.orders == 150


@pytest.mark.timeout(300)
def test_the_archiver_killed_at_each_step_of_its_commit(tmp_path: Path, tables: Tables) -> None:
    backend, reached = the_backend().start(local_aws.free_port(), tmp_path / "logs", following=True)
    flow = Flow.deployed(tmp_path, reached, shards=1)
    steps = CommitSteps()
    kinesis = aws.client("kinesis", flow.environ)
    put = 0

    def put_events(count: int) -> None:
        nonlocal put
        for _ in range(count):
            put += 1
            data = encode(an_envelope(order_id=f"order-{put}"))
            kinesis.put_record(StreamName=flow.environ["TAKEAWAY_STREAM"], PartitionKey=f"order-{put}", Data=data)

    try:
        with proxy(reached["AWS_ENDPOINT_URL"], steps.of("archiver", partial(flow.living, "archiver"))) as through:
            # The table exists, so that "commit" below is a commit of rows.
            put_events(3)
            flow.start_consumer("archiver", AWS_ENDPOINT_URL=through)
            until(lambda: lake_rows(flow.environ) == put, within=40)
            flow.stop("archiver")
            for step in STEPS:
                for when in WHEN:
                    put_events(3)
                    steps.armed = (step, when)
                    flow.start_consumer("archiver", AWS_ENDPOINT_URL=through)
                    until(lambda: flow.running["archiver"].process() is None, within=40)
                    seen = Counter(fact.place for fact in lake_evidence(flow.environ).rows)
                    stream = {fact.place for fact in stream_facts(flow.environ)[0]}
                    assert set(seen.values()) <= {1}, (step, when)
                    assert seen.keys() <= stream, (step, when)
                    tables.add("the archiver killed at a step", step=step, when=when, lake_rows=seen.total(), put=put)
            flow.start_consumer("archiver", AWS_ENDPOINT_URL=through)
            until(lambda: lake_rows(flow.environ) >= put, within=40)
            assert flow.stop("archiver") == 0
        rows = Counter(fact.place for fact in lake_evidence(flow.environ).rows)
        assert rows == Counter(fact.place for fact in stream_facts(flow.environ)[0])
        assert rows.total() == put
        assert steps.kills == Counter({(step, when): 1 for step in STEPS for when in WHEN})
    finally:
        flow.stop_all()
        processes.stop_processes([backend], grace=5)
