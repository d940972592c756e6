"""`takeaway work archiver --engine kcl`: the real consumer under the real daemon, as a person starts it."""

from pathlib import Path
from typing import Any

from events.wire import encode
from foundation import aws
from takeaway.audit.lake import lake_evidence
from tests.support.builders import an_envelope
from tests.support.flow import Flow, until
from tests.support.tables import Tables

FIRST_START_SECONDS = 200.0
EVENTS = 500


def test_the_archiver_under_the_kcl_then_under_ours_holds_every_event_once(
    local_aws_reached: dict[str, str], tmp_path: Path, tables: Tables
) -> None:
    flow = Flow.deployed(tmp_path, local_aws_reached)
    try:
        put(flow, 0)
        flow.start("archiver", "work", "archiver", "--engine", "kcl")
        # A file is due when time has passed: with nothing more to read, too.
        until(lambda: rows(flow) == EVENTS, within=FIRST_START_SECONDS)
        put(flow, 1)
        until(lambda: rows(flow) > EVENTS, within=30)
        assert flow.stop("archiver") == 0
        under_the_kcl = rows(flow)
        put(flow, 2)
        flow.start("archiver", "work", "archiver")
        until(lambda: rows(flow) == 3 * EVENTS, within=60)
        assert flow.stop("archiver") == 0
    finally:
        flow.stop_all()
    places = {fact.place for fact in lake_evidence(flow.environ).rows}
    tables.add("the archiver under both engines", events=3 * EVENTS, under_the_KCL=under_the_kcl, in_lake=len(places))
    assert (rows(flow), len(places)) == (3 * EVENTS, 3 * EVENTS)


def put(flow: Flow, turn: int) -> None:
    kinesis: Any = aws.client("kinesis", flow.environ)
    events = [an_envelope(order_id=f"order-{turn}-{number}") for number in range(EVENTS)]
    records = [{"Data": encode(event), "PartitionKey": event.order_id} for event in events]
    answer = kinesis.put_records(StreamName=flow.environ["TAKEAWAY_STREAM"], Records=records)
    assert answer["FailedRecordCount"] == 0


def rows(flow: Flow) -> int:
    return len(lake_evidence(flow.environ).rows)
