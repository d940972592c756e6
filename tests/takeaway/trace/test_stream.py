"""One order is looked for on the shards of its key alone, first behind what the lake has, and for so long at most."""

from collections.abc import Mapping
from datetime import timedelta

import pytest

from events.wire import encode
from foundation import aws
from foundation.kinesis import Sentinel, SequenceNumber
from takeaway.audit import stream_shards
from takeaway.trace.facts import Source
from takeaway.trace.stream import OnStream, StreamReader, order_on_stream, shards_of
from tests.support.builders import an_envelope, packed
from tests.support.fakes.clock import START, FakeClock
from tests.support.fakes.kinesis import FakeKinesis
from tests.takeaway.trace.an_order import ORDER, PLACED

ENVIRON = {"TAKEAWAY_STREAM": "orders"}


@pytest.fixture
def time() -> FakeClock:
    return FakeClock()


@pytest.fixture
def kinesis(time: FakeClock, monkeypatch: pytest.MonkeyPatch) -> FakeKinesis:
    kinesis = FakeKinesis(time.clock, shards=4)
    monkeypatch.setattr(aws, "client", lambda *_: kinesis)
    return kinesis


def put(kinesis: FakeKinesis, data: bytes = encode(PLACED), key: str = ORDER) -> SequenceNumber:
    return SequenceNumber(kinesis.client.put_record(StreamName="orders", PartitionKey=key, Data=data)["SequenceNumber"])


def looked(
    time: FakeClock,
    archived: Mapping[str, SequenceNumber] | None = None,
    *,
    since: float | None = None,
    within: float = 20,
) -> OnStream:
    """`since` in seconds after the beginning."""
    moment = None if since is None else START + timedelta(seconds=since)
    reader = StreamReader(ENVIRON, ORDER, since=moment, within=within, clock=time.clock, wait=time.wait)
    shards = shards_of(ORDER, stream_shards(ENVIRON), ENVIRON)
    return order_on_stream(reader, shards, archived=archived or {}, name_of=lambda shard_id: shard_id)


def its_shard() -> str:
    (shard,) = shards_of(ORDER, stream_shards(ENVIRON), ENVIRON)
    return shard.shard_id


def test_only_its_own_shard_and_those_before_it_are_read(kinesis: FakeKinesis, time: FakeClock) -> None:
    before = its_shard()
    put(kinesis)
    kinesis.client.split_shard(StreamName="orders", ShardToSplit=before, NewStartingHashKey=middle(before))
    put(kinesis, encode(an_envelope(cause="again")))
    found = looked(time)
    assert len(found.read) == 2
    assert found.read[0].shard_id == before
    assert [one.place[0] for one in found.sightings if one.place] == [one.shard_id for one in found.read]
    assert all(one.up_to_tip for one in found.read)


def middle(shard_id: str) -> str:
    (shard,) = [one for one in stream_shards(ENVIRON) if one.shard_id == shard_id]
    return str((shard.hash_keys.first + shard.hash_keys.last) // 2)


@pytest.mark.usefixtures("kinesis")
def test_where_records_are_spread_all_shards_are_read() -> None:
    shards = shards_of(ORDER, stream_shards(ENVIRON), {"TAKEAWAY_ALLOW_UNORDERED": "true"})
    assert len(shards) == 4


def test_of_a_shard_the_orders_records_are_taken_from_aggregates_too(kinesis: FakeKinesis, time: FakeClock) -> None:
    other = encode(an_envelope(order_id="order-2"))
    put(kinesis, packed([other, encode(PLACED), b'{"order_id":"order-1"}', b"torn"], ORDER))
    found = looked(time)
    assert [(one.header.event_id, one.source) for one in found.sightings] == [(PLACED.event_id, Source.STREAM)]
    assert [one.place[1].sub for one in found.unreadable] == [2, 3]
    assert "torn" not in repr(found.unreadable)


def test_what_the_lake_has_is_read_from_the_time_of_the_order_on(kinesis: FakeKinesis, time: FakeClock) -> None:
    put(kinesis)
    time.advance(100)
    repeat = put(kinesis)
    archived = put(kinesis, encode(an_envelope(order_id="order-2")))
    new = put(kinesis, encode(an_envelope(cause="again")))
    found = looked(time, {its_shard(): archived}, since=50)
    assert [one.place[1] for one in found.sightings if one.place] == [repeat, new]
    (read,) = found.read
    assert (read.up_to_tip, read.since_first) == (True, True)
    # Without a time there is nothing to look for before that place.
    assert [one.place[1] for one in looked(time, {its_shard(): archived}).sightings if one.place] == [new]


@pytest.mark.parametrize(("within", "since_first"), [(0.5, False), (20, True)])
def test_when_time_is_up_what_the_lake_lacks_has_been_read_first(
    kinesis: FakeKinesis, time: FakeClock, within: float, since_first: bool
) -> None:
    put(kinesis)
    archived = put(kinesis)
    new = put(kinesis)
    found = looked(time, {its_shard(): archived}, since=0, within=within)
    assert new in [one.place[1] for one in found.sightings if one.place]
    (read,) = found.read
    assert read.since_first is since_first


def test_a_stream_that_never_ends_is_read_for_so_long_at_most(
    kinesis: FakeKinesis, time: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(kinesis)
    taken = kinesis.get_records

    def more_comes(**asked: object) -> object:
        assert time.monotonic() < 60, "it is read for ever"
        put(kinesis)
        return taken(**asked)

    monkeypatch.setattr(kinesis, "get_records", more_comes)
    (read,) = looked(time, within=10).read
    assert not read.up_to_tip
    assert read.last is not None
    assert time.monotonic() <= 11


def test_no_time_reads_nothing(kinesis: FakeKinesis, time: FakeClock) -> None:
    put(kinesis)
    (shard,) = shards_of(ORDER, stream_shards(ENVIRON), ENVIRON)
    reader = StreamReader(ENVIRON, ORDER, since=None, within=0, clock=time.clock, wait=time.wait)
    assert not reader.read(shard, after=Sentinel.TRIM_HORIZON).whole
