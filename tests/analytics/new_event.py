"""Run with a copy of the code whose contract has one event more: through the lake and out again, as JSON."""

import json
import sys
from pathlib import Path

from analytics.archiving.columnar import read_columns
from analytics.archiving.decode import _one_by_one, decode_records
from analytics.archiving.sink import LakeSink
from analytics.lake import Lake
from analytics.maintenance.compaction import CompactionPolicy, Compactor
from analytics.table.log import DeltaLog
from events.envelope import following
from events.orders import Event, OrderRefunded, Refund  # type: ignore[attr-defined]
from events.wire import encode
from foundation.bucket import Bucket
from foundation.clock import SYSTEM_CLOCK
from foundation.kinesis.records import Record, SequenceNumber
from tests.support.builders import NOON, an_envelope
from tests.support.fakes.bucket import FakeBucket
from tests.support.worlds.lake_world import KEYS, NEVER, SHARD


def main(folder: str) -> None:
    """`folder` holds the bucket's objects; what a release without the event wrote is there already."""
    root, stored = Path(folder), FakeBucket()
    stored.objects.update({str(file.relative_to(root)): file.read_bytes() for file in root.rglob("*.parquet")})
    bucket, log = Bucket(stored.client, stored.name), DeltaLog(f"{root}/events", {}, SYSTEM_CLOCK)
    refund = Refund(amount=950, because=None)
    common = {"customer_id": "customer-1", "courier_name": "Grace Hopper", "is_late": True}
    events: list[Event] = [
        OrderRefunded(**common, note="cold", refunds=(refund, Refund(amount=1, because="late"))),
        OrderRefunded(**common | {"is_late": False}, refunds=(refund,)),
    ]
    placed = an_envelope()
    bodies = [encode(following(placed, event, occurred_at=NOON, producer=f"p{at}")) for at, event in enumerate(events)]
    bodies = [encode(an_envelope()), *bodies]
    # Both have one cause and one type: tell them apart.
    bodies[-1] = bodies[-1].replace(b'"event_id":"', b'"event_id":"2')
    read = read_columns(bodies)
    assert read is not None, "Arrow's reader doubts the new event"
    assert read.to_pylist() == _one_by_one(bodies, KEYS)[0].to_pylist()
    assert read_columns([bodies[0].replace(b'"city"', b'"is_late":true,"city"')]) is None
    records = [Record(str(number), "", body, NOON.timestamp()) for number, body in enumerate(bodies, start=10)]
    rows = decode_records(SHARD, records, KEYS).rows
    shard = LakeSink("orders", bucket, log, NEVER, SYSTEM_CLOCK, lambda _: None, keys=KEYS).open(SHARD)
    shard.append(rows, after=None, upto=SequenceNumber("12"))
    shard.flush()
    list(Compactor(bucket, log, CompactionPolicy(), SYSTEM_CLOCK, lambda _: None).run([NOON.date()]))
    for key, body in stored.objects.items():
        (root / key).parent.mkdir(parents=True, exist_ok=True)
        (root / key).write_bytes(body)
    query = (
        "SELECT event_type, is_late, note, refunds, courier_name_token FROM events WHERE is_late IS NOT NULL "
        "ORDER BY is_late DESC"
    )
    lake = Lake.open(f"{root}/events", {})
    told = lake.sql(query).to_pylist()
    KEYS.save()
    names = KEYS.objects.texts([row.pop("courier_name_token") for row in told])
    print(json.dumps({"rows": told, "names": list(names.values()), "in_all": len(lake.pandas())}))  # noqa: T201


if __name__ == "__main__":
    main(sys.argv[1])
