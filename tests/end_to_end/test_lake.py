"""A lake's life, through the command line, on a local AWS: archived, loaded, compacted, cleaned, and proven right."""

import json
import os
import signal
import subprocess
import sys
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from analytics.lake import Lake
from analytics.maintenance.backfill import SLICE_LINES
from events.wire import encode
from foundation import aws
from foundation.clock import SYSTEM_CLOCK
from takeaway.audit.lake import lake_rows
from tests.support.builders import an_envelope
from tests.support.flow import Flow, until

pytestmark = [pytest.mark.end_to_end, pytest.mark.chaos]

# The second slice takes seconds, so that a kill after the first one meets it.
EVENTS = SLICE_LINES + 50_000
YESTERDAY = SYSTEM_CLOCK.now() - timedelta(days=2)


def run(flow: Flow, *arguments: str, code: int = 0) -> Any:
    """What `takeaway lake ... --json` answers."""
    command = [sys.executable, "-m", "takeaway.cli", "lake", *arguments, "--json"]
    done = subprocess.run(command, env=flow.environ, capture_output=True, text=True, timeout=100, check=False)  # noqa: S603
    assert done.returncode == code, done.stdout + done.stderr
    return json.loads(done.stdout)


def history(path: Path, events: int) -> Path:
    with path.open("wb") as file:
        for number in range(events):
            moment = YESTERDAY.replace(hour=1) + timedelta(milliseconds=number)
            file.write(encode(an_envelope(order_id=f"old-{number}", occurred_at=moment)) + b"\n")
        file.write(b"no event\n")
    return path


def put(flow: Flow, numbers: range, *, at: datetime = YESTERDAY) -> None:
    kinesis = aws.client("kinesis", flow.environ)
    for number in numbers:
        data = encode(an_envelope(order_id=f"order-{number}", occurred_at=at))
        kinesis.put_record(StreamName=flow.environ["TAKEAWAY_STREAM"], PartitionKey=f"order-{number}", Data=data)


@pytest.mark.timeout(200)
def test_the_life_of_a_lake(flow: Flow, tmp_path: Path) -> None:
    flow.start_consumer("archiver")
    for start in range(0, 12, 4):
        put(flow, range(start, start + 4))
        until(partial(_has_rows, flow, start + 4), within=40)
    put(flow, range(3))
    loaded = killed_and_loaded_again(flow, history(tmp_path / "history.jsonl", EVENTS))
    assert loaded["loaded_before"] == SLICE_LINES
    assert (loaded["rows"], loaded["bad"]) == (EVENTS - SLICE_LINES, 1)
    assert (tmp_path / "history.jsonl.bad-lines.jsonl").read_text().count("\n") == 1
    (day,) = run(flow, "ls")
    assert (day["day"], day["rows"], day["compacted"]) == (YESTERDAY.date().isoformat(), EVENTS + 12, False)
    before = rows(flow)
    (compacted,) = run(flow, "compact")
    assert (compacted["files_now"], compacted["rows"]) == (1, EVENTS + 12)
    assert rows(flow) == before
    assert run(flow, "ls")[0]["compacted"]
    assert run(flow, "compact") == []
    verified = run(flow, "verify", "--against-stream")
    assert verified["ok"], verified
    assert verified["counts"]["rows"] == EVENTS + 12
    assert (verified["counts"]["retained"], verified["counts"]["retained_waiting"]) == (15, 0)
    assert verified["counts"]["retained_duplicate"] == 3

    assert run(flow, "vacuum") == {"removed": False, "objects": []}
    victim = next(iter(local_keys(flow, "compact-")))
    s3, bucket = aws.client("s3", flow.environ), flow.environ["TAKEAWAY_LAKE_BUCKET"]
    s3.delete_object(Bucket=bucket, Key=victim)
    broken = run(flow, "verify", code=1)
    assert "missing-object" in {finding["kind"] for finding in broken["findings"]}
    assert flow.stop("archiver") == 0


def killed_and_loaded_again(flow: Flow, path: Path) -> Any:
    """kill -9 once the first slice is in the lake."""
    before = lake_rows(flow.environ)
    command = [sys.executable, "-m", "takeaway.cli", "lake", "backfill", str(path)]
    loading = subprocess.Popen(command, env=flow.environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # noqa: S603
    try:
        until(lambda: lake_rows(flow.environ) > before, within=90, every=0.05)
    finally:
        os.kill(loading.pid, signal.SIGKILL)
        loading.wait()
    first = run(flow, "backfill", str(path), code=1)
    again = run(flow, "backfill", str(path), code=1)
    assert (again["rows"], again["loaded_before"]) == (0, EVENTS + 1)
    return first


def _has_rows(flow: Flow, number: int) -> bool:
    return lake_rows(flow.environ) == number


def rows(flow: Flow) -> Any:
    names = ["order_id", "_shard", "_sequence_number", "_extra", "customer_email_token"]
    return Lake.from_environment(flow.environ).dataset().to_table(columns=names).sort_by("order_id").to_pydict()


def local_keys(flow: Flow, part: str) -> list[str]:
    s3, bucket = aws.client("s3", flow.environ), flow.environ["TAKEAWAY_LAKE_BUCKET"]
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix="events/event_date=")
    return [one["Key"] for page in pages for one in page.get("Contents", []) if part in one["Key"]]
