"""Two releases side by side: an event's newer version and a new event, in every order of API, notifier and archiver."""

import itertools
import json
from pathlib import Path

import pytest

from analytics.lake import Lake
from consumers.specs import readers
from foundation import aws
from takeaway.audit.evidence import ledger_facts
from takeaway.audit.verdict import DOUBLED, LOST, REPEATED_EFFECT, UNEXPECTED, Bounds
from tests.support.flow import Flow, pause, until
from tests.support.next_release import NextRelease
from tests.support.tables import Tables

pytestmark = [pytest.mark.end_to_end, pytest.mark.chaos]

ROLLING = ("api", "user_notifier", "archiver")
SECONDS_BETWEEN = 1.0


class Roll:
    """The processes of one flow, of either release. Each newer event of the new type is an order of its own."""

    def __init__(self, flow: Flow, release: NextRelease) -> None:
        self._flow = flow
        self._release = release
        self._kinesis = aws.client("kinesis", flow.environ)
        self.ready = 0
        self.steps = 0

    def start(self, name: str, *, newer: bool) -> None:
        environ = self._release.environ if newer else {}
        if name == "api":
            self._flow.start_api(**environ)
        else:
            self._flow.start_consumer(name, **environ)

    def turn(self, name: str, *, newer: bool) -> None:
        assert self._flow.stop(name) == 0, self._flow.log(name)
        self.start(name, newer=newer)
        self.steps += 1
        self.ready += 1
        event = json.loads(self._release.golden("order_ready.v1")) | {
            "event_id": f"ready-{self.ready}",
            "order_id": f"ready-order-{self.ready}",
        }
        self._kinesis.put_record(
            StreamName=self._flow.environ["TAKEAWAY_STREAM"],
            PartitionKey=event["order_id"],
            Data=json.dumps(event).encode(),
        )
        pause(SECONDS_BETWEEN)


@pytest.mark.timeout(480)
def test_releases_roll_in_every_order_and_back_without_a_stop_or_a_loss(
    flow: Flow, tmp_path: Path, tables: Tables
) -> None:
    release = NextRelease(tmp_path / "next")
    roll = Roll(flow, release)
    roll.start("api", newer=False)
    for consumer in readers():
        roll.start(consumer, newer=False)
    flow.start_load(orders=5000, rate=2, seed=5)
    until(lambda: bool(ledger_facts(flow.ledger)))
    orders = list(itertools.permutations(ROLLING))
    for order in orders:
        for name in order:
            roll.turn(name, newer=True)
        for name in order:
            roll.turn(name, newer=False)
    for name in (*ROLLING, "restaurant_notifier"):
        roll.turn(name, newer=True)
    flow.stop("load")
    letters = aws.client("s3", flow.environ)

    def newer_letters() -> int:
        listed = letters.list_objects_v2(Bucket=flow.environ["TAKEAWAY_DEAD_LETTER_BUCKET"])
        return sum(not one["Key"].startswith("dropped/") for one in listed.get("Contents", []))

    # The process that knows them gives them again by itself.
    until(lambda: newer_letters() == 0, within=60, every=1)
    flow.drain()
    until(lambda: flow.look(ignore_others=True).at_rest, every=1)
    verdict = flow.audit(Bounds(), ignore_others=True)
    stopped = [name for name in readers() if '"ShardStopped"' in flow.log(name)]
    rows = (
        Lake.from_environment(flow.environ)
        .sql("SELECT event_type, schema_version, count(*) AS rows FROM records GROUP BY ALL ORDER BY ALL")
        .to_pylist()
    )
    versions = {(row["event_type"], row["schema_version"]): row["rows"] for row in rows}
    tables.add(
        "two releases, every order of upgrade and back",
        restarts=roll.steps,
        orders=verdict.orders,
        stopped=len(stopped),
        lost=verdict.count(LOST),
        doubled=verdict.count(DOUBLED),
        repeated_effects=verdict.count(REPEATED_EFFECT),
        accepted_v1=versions.get(("order_accepted", 1), 0),
        accepted_v2=versions.get(("order_accepted", 2), 0),
        order_ready=versions.get(("order_ready", 1), 0),
    )
    assert stopped == []
    assert [verdict.count(kind) for kind in (LOST, DOUBLED, UNEXPECTED, REPEATED_EFFECT)] == [0, 0, 0, 0], (
        verdict.findings
    )
    assert versions["order_ready", 1] == roll.ready
    assert min(versions["order_accepted", 1], versions["order_accepted", 2]) > 5
    assert verdict.accounts
