"""Looking on: every event is counted once, and a stream that cannot be read is said at once, not waited out."""

from typing import Any

import pytest

from events.wire import encode
from foundation import aws
from takeaway.audit.observer import StreamObserver
from takeaway.audit.stream import StreamAway, retained_records
from tests.support.builders import an_envelope, packed
from tests.support.fakes.clock import FakeClock
from tests.support.fakes.kinesis import FakeKinesis

ENVIRON = {"TAKEAWAY_STREAM": "orders"}


class PagedKinesis(FakeKinesis):
    """With boto3's paginator of ListShards, which is all that the one who looks on needs besides."""

    def get_paginator(self, _: str) -> Any:
        return self

    def paginate(self, StreamName: str) -> list[Any]:  # noqa: N803 - boto3's name
        return [self.client.list_shards(StreamName=StreamName)]


@pytest.fixture
def time() -> FakeClock:
    return FakeClock()


@pytest.fixture
def kinesis(time: FakeClock, monkeypatch: pytest.MonkeyPatch) -> FakeKinesis:
    kinesis = PagedKinesis(time.clock, shards=2)
    monkeypatch.setattr(aws, "client", lambda *_: kinesis)
    return kinesis


def put(kinesis: FakeKinesis, *orders: str, data: bytes | None = None) -> None:
    for order in orders:
        payload = data or encode(an_envelope(order_id=order))
        kinesis.client.put_record(StreamName="orders", PartitionKey=order, Data=payload)


def test_each_look_counts_what_is_new(kinesis: FakeKinesis, time: FakeClock) -> None:
    observer = StreamObserver(ENVIRON)
    put(kinesis, "a", "b", "c")
    observer.look()
    put(kinesis, "c", "d")
    put(kinesis, "e", data=b"torn")
    time.advance(1)
    observer.look()
    assert (observer.counts["order_placed"], observer.records, observer.unreadable) == (4, 5, 1)


def test_a_look_that_fails_says_so_and_the_next_one_goes_on(kinesis: FakeKinesis, time: FakeClock) -> None:
    observer = StreamObserver(ENVIRON)
    put(kinesis, "a")
    observer.look()
    put(kinesis, "b")
    kinesis.fail("get_records", "InternalFailure", times=1)
    time.advance(1)
    with pytest.raises(StreamAway, match="cannot be read"):
        observer.look()
    for _ in range(2):
        time.advance(1)
        observer.look()
    assert observer.records == 2


def test_whoever_reads_all_of_it_is_told_when_that_is_not_possible(kinesis: FakeKinesis) -> None:
    put(kinesis, "a")
    kinesis.fail("get_records", "InternalFailure", times=1)
    with pytest.raises(StreamAway) as raised:
        list(retained_records(ENVIRON))
    assert "takeaway doctor" in raised.value.fix


def test_a_shard_that_was_split_under_our_eyes_goes_on_in_its_children(kinesis: FakeKinesis, time: FakeClock) -> None:
    observer = StreamObserver(ENVIRON)
    put(kinesis, "a", "b", "c")
    observer.look()
    for shard_id in kinesis.shard_ids():
        hash_keys = next(
            shard["HashKeyRange"]
            for shard in kinesis.client.list_shards(StreamName="orders")["Shards"]
            if shard["ShardId"] == shard_id
        )
        middle = (int(hash_keys["StartingHashKey"]) + int(hash_keys["EndingHashKey"])) // 2
        kinesis.client.split_shard(StreamName="orders", ShardToSplit=shard_id, NewStartingHashKey=str(middle))
    put(kinesis, "d", "e", "f", "g")
    for _ in range(4):
        time.advance(1)
        observer.look()
    assert observer.records == 7


def test_an_aggregate_is_its_records_each_in_its_place(kinesis: FakeKinesis) -> None:
    events = [encode(an_envelope(order_id="a", cause=f"key-{number}")) for number in range(3)]
    put(kinesis, "a", data=packed(events, "a"))
    put(kinesis, "a")
    retained = [record for _, record in retained_records(ENVIRON)]
    assert [record.data for record in retained] == [*events, encode(an_envelope(order_id="a"))]
    assert [record.sequence_number.sub for record in retained] == [0, 1, 2, 0]
    assert len({record.sequence_number.number for record in retained}) == 2
