"""An event that comes into `events` comes into the lake with all its fields, and nothing else is touched."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from analytics.files.writing import parquet
from analytics.table.layout import object_key
from analytics.table.log import AddedFile, DeltaLog, LogEntry
from tests.support import ROOT
from tests.support.worlds.lake_world import World, rows

_NEW = '''
class Refund(msgspec.Struct, frozen=True, kw_only=True):
    """What the customer gets back."""

    amount: Annotated[MinorUnits, Meta(extra={"field_id": 901})]
    because: Annotated[Literal["late", "cold"] | None, Meta(extra={"field_id": 902})] = None


class OrderRefunded(_Event, frozen=True, kw_only=True):
    """The customer got money back."""

    customer_id: CustomerId
    courier_name: Annotated[Text, Meta(extra={"field_id": 903, "personal": True})]
    is_late: Annotated[bool, Meta(extra={"field_id": 904})]
    note: Annotated[Annotated[str, Meta(max_length=9)] | None, Meta(extra={"field_id": 905})] = None
    refunds: Annotated[
        tuple[Annotated[Refund, Meta(extra={"field_id": 906})], ...],
        Meta(min_length=1, max_length=9, extra={"field_id": 907}),
    ]


Event = OrderRefunded | '''


def _an_older_lake(root: Path) -> None:
    log, table, path = DeltaLog(f"{root}/events", {}, World().clock.clock), rows(1), f"late-{1:032x}.parquet"
    day = table["occurred_at"][0].as_py().date()
    file = root / object_key(f"event_date={day}/{path}")
    file.parent.mkdir(parents=True)
    file.write_bytes(parquet(table, {}))
    added = AddedFile(f"event_date={day}/{path}", file.stat().st_size, day, 1)
    log.snapshot().commit([added], {"late/1": LogEntry(n=1, epoch=0, batch_id="b", hi=None)})


@pytest.mark.slow
def test_an_event_is_added_in_events_alone(tmp_path: Path) -> None:
    copy, root = tmp_path / "copy", tmp_path / "lake"
    for package in ("analytics", "events", "foundation", "producers", "tests"):
        shutil.copytree(ROOT / package, copy / package, ignore=shutil.ignore_patterns("__pycache__"))
    contract = copy / "events/orders.py"
    text = contract.read_text(encoding="utf-8")
    assert text.count("\nEvent = ") == 1
    contract.write_text(text.replace("\nEvent = ", _NEW), encoding="utf-8")
    _an_older_lake(root)
    command = [sys.executable, "-W", "ignore", "-m", "tests.analytics.new_event", str(root)]
    environ = os.environ | {"PYTHONPATH": str(copy)}
    done = subprocess.run(command, cwd=copy, env=environ, capture_output=True, text=True, check=False)  # noqa: S603
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    refund = {"amount": 950, "because": None}
    assert told["rows"] == [
        {
            "event_type": "order_refunded",
            "is_late": True,
            "note": "cold",
            "refunds": [refund, {"amount": 1, "because": "late"}],
        },
        {"event_type": "order_refunded", "is_late": False, "note": None, "refunds": [refund]},
    ]
    assert told["names"] == ["Grace Hopper"]
    assert told["in_all"] == 4
