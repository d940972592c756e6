"""What our fan-out reader relies on in Kinesis: one suite for the fake and each local AWS."""

import threading
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from consumers.engines.worker.reading.cursor import ShardCursor
from consumers.engines.worker.reading.event_pump import Subscription, pumped
from consumers.engines.worker.reading.fan_out import Event, FanOutReader, Listen
from consumers.engines.worker.reading.stream_consumer import StreamConsumer
from consumers.engines.worker.settings import WorkerSettings
from foundation.clock import SYSTEM_CLOCK, Clock, Wait
from foundation.diagnostics import Diagnostic
from foundation.kinesis.get_records import decoding
from foundation.kinesis.records import Batch, Position, Sentinel
from tests.conftest import BACKEND_NAME
from tests.support.fakes.clock import FakeClock
from tests.support.fakes.kinesis import FakeKinesis

if TYPE_CHECKING:
    from mypy_boto3_kinesis import KinesisClient

KNOWN_DIFFERENCES = {
    "embedded": {"a_split_shard_is_read_to_its_end_and_names_its_children": "a split deletes the parent"}
}


@dataclass
class Backend:
    client: "KinesisClient"
    clock: Clock
    wait: Wait
    listen: Listen
    stream: str
    happened: list[Diagnostic] = field(default_factory=list)

    @property
    def shard_id(self) -> str:
        return self.client.list_shards(StreamName=self.stream)["Shards"][0]["ShardId"]

    def put(self, *texts: str) -> None:
        for text in texts:
            self.client.put_record(StreamName=self.stream, Data=text.encode(), PartitionKey="k")

    def reader(self, shard_id: str) -> FanOutReader:
        settings = WorkerSettings("contract", self.stream, retrieval="fan_out")
        kinesis = decoding(self.client)
        return FanOutReader(
            kinesis,
            settings,
            ShardCursor(settings, shard_id, None, clock=self.clock, emit=self.happened.append),
            StreamConsumer(kinesis, self.stream, "contract", emit=self.happened.append),
            clock=self.clock,
            wait=self.wait,
            emit=self.happened.append,
            listen=self.listen,
        )


def in_this_thread(subscription: Subscription[Event]) -> Iterator[Event | None]:
    yield from subscription


@pytest.fixture(params=["fake", pytest.param("local", marks=pytest.mark.local_aws)])
def backend(request: pytest.FixtureRequest) -> Iterator[Backend]:
    if request.param == "fake":
        time = FakeClock()
        yield Backend(FakeKinesis(time.clock).client, time.clock, time.wait, in_this_thread, "orders")
        return
    if difference := KNOWN_DIFFERENCES.get(BACKEND_NAME, {}).get(request.node.originalname.removeprefix("test_")):
        request.applymarker(pytest.mark.xfail(reason=f"{BACKEND_NAME}: {difference}", strict=True))
    client = request.getfixturevalue("local_aws").client("kinesis")
    stream = f"contract-{uuid.uuid4().hex[:12]}"
    client.create_stream(StreamName=stream, ShardCount=1)
    client.get_waiter("stream_exists").wait(StreamName=stream)
    yield Backend(client, SYSTEM_CLOCK, threading.Event().wait, pumped, stream)
    client.close()


def until(batches: Iterator[Batch], enough: Callable[[list[str]], bool]) -> tuple[list[str], Position]:
    """The texts of the records up to when there are enough, and where that is."""
    texts: list[str] = []
    position: Position = Sentinel.TRIM_HORIZON
    for batch in batches:
        texts += [record.data.decode() for record in batch.records]
        if batch.records:
            position = batch.records[-1].sequence_number
        if enough(texts):
            break
    return texts, position


def test_what_is_there_and_what_comes_is_pushed_in_order(backend: Backend) -> None:
    backend.put("a", "b", "c")
    batches = backend.reader(backend.shard_id).batches(Sentinel.TRIM_HORIZON)
    assert until(batches, lambda texts: len(texts) >= 3)[0] == ["a", "b", "c"]
    backend.put("d")
    backend.put("e")
    assert until(batches, lambda texts: len(texts) >= 2)[0] == ["d", "e"]


def test_it_resumes_behind_a_record_and_the_next_reader_takes_over(backend: Backend) -> None:
    backend.put("a", "b", "c")
    first = backend.reader(backend.shard_id).batches(Sentinel.TRIM_HORIZON)
    _, position = until(first, lambda texts: len(texts) >= 3)
    backend.put("d")
    again = backend.reader(backend.shard_id).batches(position)
    assert until(again, lambda texts: len(texts) >= 1)[0] == ["d"]


def test_a_split_shard_is_read_to_its_end_and_names_its_children(backend: Backend) -> None:
    backend.put("a", "b", "c")
    parent = backend.shard_id
    backend.client.split_shard(StreamName=backend.stream, ShardToSplit=parent, NewStartingHashKey=str(2**127))
    reader = backend.reader(parent)
    texts, _ = until(reader.batches(Sentinel.TRIM_HORIZON), lambda _: False)
    assert texts == ["a", "b", "c"]
    assert reader.end is not None
    assert not reader.end.gone
    assert len(reader.end.children) == 2
