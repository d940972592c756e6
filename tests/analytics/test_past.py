"""The past is given as it came: each event once, in the order of its shard, as bytes that a consumer reads."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from analytics.archiving.decode import decode_records
from analytics.past import Past
from analytics.privacy.pages import KeyObjects
from events.orders import OrderAccepted, OrderCompleted, OrderPlaced
from events.wire import decode, encode, header_of
from foundation.bucket import Bucket
from foundation.kinesis.records import Record
from tests.events.test_timeline import ACCEPTED, COMPLETED, NOTIFIED, PLACED, TOLD
from tests.support.builders import NOON, a_record, an_envelope
from tests.support.fakes.bucket import FakeBucket
from tests.support.worlds.lake_folder import FolderLake
from tests.support.worlds.lake_world import some_keys

pytestmark = pytest.mark.slow

SHARD = "shardId-000000000001"
NEWER = encode(TOLD).replace(b'"schema_version":1', b'"schema_version":7').replace(TOLD.event_id.encode(), b"newer")
NEWS = encode(COMPLETED).replace(b'"order_completed"', b'"order_rated"').replace(COMPLETED.event_id.encode(), b"news")
# Numbers of different length, and a repeat.
STREAM = {
    9: encode(PLACED),
    10: encode(NOTIFIED),
    11: encode(ACCEPTED),
    100: encode(PLACED),
    101: NEWER,
    102: NEWS,
    1_000: encode(COMPLETED),
}


class World:
    """A lake in a folder, and the keys of its tokens."""

    def __init__(self, root: Path) -> None:
        bucket = FakeBucket()
        self.keys = some_keys(bucket)
        self.objects = KeyObjects(Bucket(bucket.client, bucket.name))
        self.lake = FolderLake(root)

    def archive(self, shard: str, data: Mapping[int, bytes], seconds: float = 0.0) -> None:
        records = [
            Record(str(number), "order-1", each, NOON.timestamp() + seconds + number) for number, each in data.items()
        ]
        rows = decode_records(shard, records, self.keys).rows.to_pylist()
        self.keys.save()
        self.lake.archive(*({**row, "event_date": NOON.date()} for row in rows))

    def past(self, types: Sequence[Any] | None = None) -> Past:
        return Past(self.lake.lake(), types, self.objects.texts)


@pytest.fixture
def world(tmp_path: Path) -> World:
    made = World(tmp_path)
    made.archive(SHARD, STREAM)
    return made


def all_of(past: Past, shard: str = SHARD) -> list[Record]:
    return [record for some in past.records(shard) for record in some]


def test_each_event_comes_once_in_the_order_of_the_stream_as_it_was(world: World) -> None:
    past = world.past()
    assert past.shards() == [SHARD]
    records = all_of(past)
    assert [record.number for record in records] == ["9", "10", "11", "102", "1000"]
    known = [record for record in records if record.number != "102"]
    assert [record.data for record in known] == [encode(one) for one in (PLACED, NOTIFIED, ACCEPTED, COMPLETED)]
    assert {record.partition_key for record in records} == {"order-1"}
    assert [record.arrived_at.timestamp() - NOON.timestamp() for record in records] == [9, 10, 11, 102, 1000]


@pytest.mark.parametrize("in_memory", [1, 2, 3, 5, 6])
def test_in_parts_that_fit_into_memory_it_is_the_same(
    world: World, in_memory: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.archive(SHARD, {5_000: encode(an_envelope(order_id="order-2"))})
    whole = all_of(world.past())
    monkeypatch.setattr("analytics.past._IN_MEMORY", in_memory)
    parts = [len(some) for some in world.past().records(SHARD)]
    assert max(parts) <= in_memory
    assert all_of(world.past()) == whole


def test_what_this_release_cannot_read_of_the_past_is_counted(world: World) -> None:
    past = world.past()
    assert all_of(past)
    assert (past.lacks.newer, past.lacks.texts) == (1, 0)
    # Of an unknown type there is what every event has.
    [news] = [record for record in all_of(past) if record.number == "102"]
    assert header_of(news.data).event_type == "order_rated"


def test_only_what_a_consumer_listens_to_is_read(world: World) -> None:
    assert [record.number for record in all_of(world.past((OrderCompleted, OrderAccepted)))] == ["11", "1000"]
    assert world.past(()).shards() == []


def test_names_whose_keys_are_gone_are_pseudonyms_or_left_out(world: World) -> None:
    ready = an_envelope(COMPLETED.event, order_id="order-2", cause="complete")
    told = encode(ready)[:-1] + b',"customer_name":"Ada Lovelace","customer_email":"ada@example.com"}'
    world.archive(SHARD, {2_000: told})
    assert all_of(world.past())[-1].data == told
    world.objects.forget(["customer-1"])
    past = world.past()
    placed, *_, completed = (decode(record.data).event for record in all_of(past) if record.number != "102")
    assert isinstance(placed, OrderPlaced)
    assert isinstance(completed, OrderCompleted)
    assert (completed.customer_name, completed.customer_email) == (None, None)
    assert "Ada" not in placed.customer_name
    assert placed.customer_name
    assert past.lacks.texts == 6


def test_shards_come_parents_first(world: World) -> None:
    child = encode(an_envelope(order_id="order-9"))
    world.archive("shardId-000000000000", {5: child}, seconds=10_000.0)
    assert world.past().shards() == [SHARD, "shardId-000000000000"]
    odd = "shard'; drop table events; --"
    world.archive(odd, {6: encode(an_envelope(order_id="order-10"))}, seconds=20_000.0)
    assert [record.number for record in all_of(world.past(), odd)] == ["6"]
    assert a_record().number == "1"
