"""The publisher on a real Kinesis API and on the one in memory: what it acknowledges can be read, in order."""

import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from events.wire import decode, encode
from foundation.clock import SYSTEM_CLOCK, uninterrupted_wait
from foundation.diagnostics import Diagnostic
from foundation.kinesis.deaggregation import unpack
from foundation.kinesis.records import Record
from producers.publishing.publisher import EventPublisher, PublishFailed
from tests.support.builders import an_envelope, an_order_placed
from tests.support.fakes.kinesis import FakeKinesis

if TYPE_CHECKING:
    from tests.conftest import LocalAws


@dataclass
class Place:
    """A stream of two shards, just for one test."""

    client: Any
    stream: str

    def publisher(self, diagnostics: list[Diagnostic], **changes: Any) -> EventPublisher:
        return EventPublisher(
            self.client,
            changes.pop("stream", self.stream),
            clock=SYSTEM_CLOCK,
            wait=uninterrupted_wait(),
            emit=diagnostics.append,
            **changes,
        )

    def records(self, shard_id: str) -> list[Record]:
        """What consumers are given of the shard."""
        iterator = self.client.get_shard_iterator(
            StreamName=self.stream, ShardId=shard_id, ShardIteratorType="TRIM_HORIZON"
        )["ShardIterator"]
        held = [
            Record(
                one["SequenceNumber"], one["PartitionKey"], one["Data"], one["ApproximateArrivalTimestamp"].timestamp()
            )
            for one in self.client.get_records(ShardIterator=iterator)["Records"]
        ]
        opened = [(unpack(record), record) for record in held]
        return [user for aggregate, record in opened for user in (aggregate.records if aggregate else [record])]


@pytest.fixture(params=["fake", pytest.param("kinesis", marks=pytest.mark.local_aws)])
def place(request: pytest.FixtureRequest) -> Iterator[Place]:
    if request.param == "fake":
        yield Place(FakeKinesis(SYSTEM_CLOCK, shards=2), "orders")
        return
    local_aws: LocalAws = request.getfixturevalue("local_aws")
    client, stream = local_aws.client("kinesis"), f"publisher-{uuid.uuid4()}"
    client.create_stream(StreamName=stream, ShardCount=2)
    client.get_waiter("stream_exists").wait(StreamName=stream, WaiterConfig={"Delay": 1})
    yield Place(client, stream)
    client.delete_stream(StreamName=stream)


def test_what_is_acknowledged_can_be_read_where_it_was_said_to_be(place: Place) -> None:
    with place.publisher([]) as publisher:
        envelope = an_envelope()
        published = publisher.publish(envelope).result(30)
    [record] = place.records(published.shard_id)
    assert (record.number, record.sub) == (published.sequence_number, published.sub_sequence_number)
    assert record.partition_key == "order-1"
    assert record.data == encode(envelope)


def test_each_orders_events_are_in_order_and_none_is_missing(place: Place) -> None:
    sent = [an_envelope(order_id=f"order-{order}", cause=f"key-{step}") for step in range(10) for order in range(60)]
    with place.publisher([]) as publisher:
        published = [future.result(30) for future in publisher.publish_all(sent)]
    shards = {each.shard_id for each in published}
    read = [decode(record.data) for shard_id in sorted(shards) for record in place.records(shard_id)]
    assert len(shards) == 2
    assert len(read) == len(sent)
    for order in range(60):
        order_id = f"order-{order}"
        ours = [[each.event_id for each in events if each.order_id == order_id] for events in (sent, read)]
        assert ours[0] == ours[1]


def test_a_large_event_goes_through(place: Place) -> None:
    """Kinesis' limit is a mebibyte; the envelope takes some of it."""
    envelope = an_envelope(an_order_placed(customer_name="x" * (1024 * 1024 - 2000)))
    with place.publisher([]) as publisher:
        published = publisher.publish(envelope).result(30)
    assert [record.data for record in place.records(published.shard_id)] == [encode(envelope)]


class WithoutRecords:
    """A client whose first PutRecords goes through, and is answered without a word about the records."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self.meta = client.meta
        self.list_shards = client.list_shards
        self.describe_stream_summary = client.describe_stream_summary
        self._answers = iter([{"ResponseMetadata": {"HTTPStatusCode": 200}}])

    def put_records(self, **parameters: Any) -> Any:
        answer = self._client.put_records(**parameters)
        return next(self._answers, answer)


def test_after_an_answer_without_records_the_publisher_goes_on(place: Place) -> None:
    envelope = an_envelope()
    with Place(WithoutRecords(place.client), place.stream).publisher([]) as publisher:
        published = publisher.publish(envelope).result(30)
    assert published.attempts == 2
    assert [record.data for record in place.records(published.shard_id)] == [encode(envelope)] * 2


def test_a_stream_that_is_not_there_is_given_up_with_the_services_own_words(place: Place) -> None:
    diagnostics: list[Diagnostic] = []
    with place.publisher(diagnostics, stream="nowhere", deliver_within=timedelta(seconds=2)) as publisher:
        error = publisher.publish(an_envelope()).exception(30)
    assert isinstance(error, PublishFailed)
    assert "ResourceNotFoundException" in str(error)
    assert diagnostics
