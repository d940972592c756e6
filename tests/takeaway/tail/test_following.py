"""The tail of a stream on the local AWS: all shards, through a split, each record once and in its shard's order."""

import threading
import uuid
from collections.abc import Iterator
from itertools import islice
from typing import TYPE_CHECKING, Any

import pytest

from events.wire import encode
from foundation.clock import SYSTEM_CLOCK
from foundation.kinesis.records import Record
from takeaway.errors import UserError
from takeaway.tail import StreamTail
from tests.support.builders import an_envelope, packed
from tests.support.flow import until

if TYPE_CHECKING:
    from tests.conftest import LocalAws

pytestmark = pytest.mark.local_aws


class Stream:
    """A stream of its own, of two shards."""

    def __init__(self, local_aws: "LocalAws") -> None:
        self.kinesis = local_aws.client("kinesis")
        self.name = f"tail-{uuid.uuid4()}"
        self.environ = {**local_aws.environ, "TAKEAWAY_STREAM": self.name}
        self.kinesis.create_stream(StreamName=self.name, ShardCount=2)
        self.until_active()
        self.began = SYSTEM_CLOCK.now()

    def until_active(self) -> None:
        until(lambda: self._described()["StreamStatus"] == "ACTIVE", within=60, every=0.2)

    def _described(self) -> Any:
        return self.kinesis.describe_stream_summary(StreamName=self.name)["StreamDescriptionSummary"]

    def put(self, *orders: str, hash_key: int = 0) -> None:
        for order in orders:
            data = encode(an_envelope(order_id=order))
            self.kinesis.put_record(StreamName=self.name, Data=data, PartitionKey=order, ExplicitHashKey=str(hash_key))

    def tail(self, stop: threading.Event, *, follow: bool) -> Iterator[tuple[str, Record]]:
        return StreamTail(self.environ, self.began, stop.wait).records(follow=follow)


@pytest.fixture
def stream(local_aws: "LocalAws") -> Iterator[Stream]:
    made = Stream(local_aws)
    yield made
    made.kinesis.delete_stream(StreamName=made.name)


def keys(found: Iterator[tuple[str, Record]], count: int) -> list[str]:
    return [str(record.partition_key) for _, record in islice(found, count)]


def test_it_ends_at_the_tip_of_all_shards_with_what_came_since(stream: Stream) -> None:
    stream.put("a", "b")
    stream.put("c", hash_key=2**127)
    aggregate = packed([encode(an_envelope(order_id="d")), encode(an_envelope(order_id="d"))], "d")
    stream.kinesis.put_record(StreamName=stream.name, Data=aggregate, PartitionKey="d", ExplicitHashKey="1")
    found = list(stream.tail(threading.Event(), follow=False))
    assert sorted(str(record.partition_key) for _, record in found) == ["a", "b", "c", "d", "d"]
    assert len({shard for shard, _ in found}) == 2
    assert [record.sub for _, record in found if record.partition_key == "d"] == [0, 1]


@pytest.mark.timeout(120)
def test_it_follows_a_shard_into_its_children_and_tells_each_record_once(stream: Stream) -> None:
    stop = threading.Event()
    stream.put("a", "b")
    found = stream.tail(stop, follow=True)
    assert keys(found, 2) == ["a", "b"]
    (first, _) = sorted(one["ShardId"] for one in stream.kinesis.list_shards(StreamName=stream.name)["Shards"])
    stream.kinesis.split_shard(StreamName=stream.name, ShardToSplit=first, NewStartingHashKey=str(2**125))
    stream.until_active()
    stream.put("c", "d")
    stream.put("e", hash_key=2**126)
    assert sorted(keys(found, 3)) == ["c", "d", "e"]
    stop.set()
    assert list(found) == []


def test_a_stream_that_is_not_there_is_told_with_its_fix(stream: Stream) -> None:
    environ = {**stream.environ, "TAKEAWAY_STREAM": f"{stream.name}-none"}
    with pytest.raises(UserError, match="cannot list the shards"):
        list(StreamTail(environ, stream.began, threading.Event().wait).records(follow=False))
