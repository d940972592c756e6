"""The lake tells of an order what was seen of it on the stream: of repeats and news too, and from a compacted day."""

from pathlib import Path

import pytest

from analytics.archiving.decode import decode_records
from analytics.seen import seen_in_lake
from events.timeline import SeenEvents, order_timeline, seen, seen_event, timeline_bytes
from events.wire import encode, read
from foundation.kinesis.records import Record
from tests.events.test_timeline import ACCEPTED, COMPLETED, NOTIFIED, PLACED, TOLD
from tests.support.builders import NOON, a_record, an_envelope
from tests.support.worlds.lake_folder import FolderLake
from tests.support.worlds.lake_world import some_keys

pytestmark = pytest.mark.slow

SHARD = "shardId-000000000001"
NEWS = encode(COMPLETED).replace(b'"order_completed"', b'"order_rated"')
NEWER = encode(TOLD).replace(b'"schema_version":1', b'"schema_version":7')
STREAM = [
    *(encode(one) for one in (PLACED, ACCEPTED, NOTIFIED, PLACED, TOLD)),
    NEWS.replace(COMPLETED.event_id.encode(), b"event-of-news"),
    NEWER.replace(TOLD.event_id.encode(), b"event-that-is-newer"),
    encode(an_envelope(order_id="order-2")),
    encode(COMPLETED),
    encode(ACCEPTED),
]


def on_stream(records: list[Record]) -> dict[str, SeenEvents]:
    """As the tracker hears them."""
    found: dict[str, SeenEvents] = {}
    for record in records:
        header, event = read(record.data)
        noted = seen_event(
            header, event, arrived_at=record.arrived_at, shard=SHARD, sequence=record.number, sub=record.sub
        )
        found[header.order_id] = seen([*found.get(header.order_id, SeenEvents()).events, noted])
    return found


def test_the_lake_tells_the_same_as_the_stream_before_and_after_a_compaction(tmp_path: Path) -> None:
    records = [a_record(number, data=data) for number, data in enumerate(STREAM, 1)]
    rows = decode_records(SHARD, records, some_keys()).rows.to_pylist()
    lake = FolderLake(tmp_path)
    for part in (rows[:4], rows[4:]):
        lake.archive(*({**row, "event_date": NOON.date()} for row in part))
    expected = on_stream(records)
    assert seen_in_lake(lake.lake()) == expected
    lake.compact(NOON.date())
    found = seen_in_lake(lake.lake())
    assert found.keys() == {"order-1", "order-2"}
    for order_id, known in found.items():
        assert timeline_bytes(order_timeline(order_id, known)) == timeline_bytes(
            order_timeline(order_id, expected[order_id])
        )
    assert seen_in_lake(lake.lake(), ["order-2"]) == {"order-2": expected["order-2"]}
