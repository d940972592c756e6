"""Duties of the reader that is pushed to: every record behind the position, once and in order, whatever breaks off."""

import threading
from collections.abc import Iterator
from datetime import datetime
from itertools import islice
from typing import Any

import pytest
from aws_kinesis_agg.aggregator import RecordAggregator
from botocore.exceptions import EventStreamError
from urllib3.exceptions import ProtocolError, ReadTimeoutError

from consumers.diagnostics import ReadFailed, RecordsTrimmed, ShardGone, StreamConsumerRegistered
from consumers.engines.worker.reading.cursor import ShardCursor
from consumers.engines.worker.reading.event_pump import Subscription, pumped
from consumers.engines.worker.reading.fan_out import Event, FanOutReader
from consumers.engines.worker.reading.stream_consumer import StreamConsumer
from consumers.engines.worker.settings import WorkerSettings
from foundation.diagnostics import Diagnostic
from foundation.kinesis.get_records import decoding
from foundation.kinesis.records import Batch, Position, Sentinel, SequenceNumber
from tests.support.fakes.clock import FakeClock
from tests.support.fakes.kinesis import FakeKinesis
from tests.support.fakes.kinesis_fan_out import arn_of

SHARD = "shardId-000000000000"
START = Sentinel.TRIM_HORIZON
CONSUMER = {"StreamARN": arn_of("orders"), "ConsumerName": "app"}


class Setting:
    def __init__(self) -> None:
        self.time = FakeClock()
        self.kinesis = FakeKinesis(self.time.clock)
        self.happened: list[Diagnostic] = []

    def reader(self, latest_since: datetime | None = None, **settings: Any) -> FanOutReader:
        worker = WorkerSettings(application="app", stream="orders", retrieval="fan_out", **settings)
        kinesis = decoding(self.kinesis.client)
        return FanOutReader(
            kinesis,
            worker,
            ShardCursor(worker, SHARD, None, latest_since, clock=self.time.clock, emit=self.happened.append),
            StreamConsumer(kinesis, "orders", "app", emit=self.happened.append),
            clock=self.time.clock,
            wait=self.time.wait,
            emit=self.happened.append,
            listen=in_this_thread,
        )

    def put(self, *texts: str) -> list[str]:
        put = self.kinesis.put_record
        return [put(StreamName="orders", Data=text.encode(), PartitionKey="k")["SequenceNumber"] for text in texts]

    def split(self) -> None:
        self.kinesis.split_shard(StreamName="orders", ShardToSplit=SHARD, NewStartingHashKey=str(2**127))

    def starts(self) -> list[dict[str, Any]]:
        return [call["StartingPosition"] for call in self.kinesis.calls("subscribe_to_shard")]

    def failures(self) -> list[type[Diagnostic]]:
        return [type(event) for event in self.happened if not isinstance(event, StreamConsumerRegistered)]


def in_this_thread(subscription: Subscription[Event]) -> Iterator[Event | None]:
    yield from subscription


@pytest.fixture
def setting() -> Setting:
    return Setting()


def texts(batches: Iterator[Batch] | list[Batch]) -> list[str]:
    return [record.data.decode() for batch in batches for record in batch.records]


def read(reader: FanOutReader, after: Position = START, batches: int = 1) -> list[Batch]:
    return list(islice(reader.batches(after), batches))


def test_it_registers_the_application_waits_until_it_is_active_and_gets_what_is_pushed(setting: Setting) -> None:
    (number,) = setting.put("a")
    arrived_at = setting.time.now()
    batches = setting.reader().batches(START)
    first = next(batches)
    assert (texts([first]), first.after, first.records[0].arrived_at) == (["a"], START, arrived_at)
    setting.put("b")
    assert texts([next(batches)]) == ["b"]
    assert next(batches).records == ()
    assert setting.happened == [StreamConsumerRegistered("orders", "app")]
    assert setting.time.monotonic() == pytest.approx(3)
    assert first.records[0].sequence_number == SequenceNumber(number)


def test_a_registered_application_is_not_registered_again(setting: Setting) -> None:
    setting.kinesis.register_stream_consumer(**CONSUMER)
    setting.time.advance(10)
    read(setting.reader())
    assert setting.happened == []


def test_another_shards_thread_that_registers_first_does_no_harm(setting: Setting) -> None:
    setting.kinesis.fail("register_stream_consumer", "ResourceInUseException")
    setting.put("a")
    assert texts(read(setting.reader())) == ["a"]
    assert setting.failures() == []


def test_after_five_minutes_it_subscribes_again_where_it_was_and_says_nothing(setting: Setting) -> None:
    batches = setting.reader().batches(START)
    for text in "abc":
        (number,) = setting.put(text)
        assert texts([next(batches)]) == [text]
        setting.time.advance(301)
    setting.put("d")
    assert texts([next(batches)]) == ["d"]
    assert setting.failures() == []
    assert setting.starts()[-1] == {"Type": "AT_SEQUENCE_NUMBER", "SequenceNumber": number}


def test_it_resumes_inside_an_aggregate(setting: Setting) -> None:
    aggregator = RecordAggregator()
    for text in "abc":
        aggregator.add_user_record("k", text.encode())
    data = aggregator.clear_and_get().get_contents()[2]
    number = setting.kinesis.put_record(StreamName="orders", Data=data, PartitionKey="k")["SequenceNumber"]
    setting.put("d")
    (batch,) = read(setting.reader(), SequenceNumber(number, 1))
    assert texts([batch]) == ["c", "d"]
    assert setting.starts() == [{"Type": "AT_SEQUENCE_NUMBER", "SequenceNumber": number}]


def test_at_the_tip_nothing_is_missed_although_its_first_reader_crashed_before_any_record(setting: Setting) -> None:
    since = setting.time.now()
    setting.time.advance(10)
    setting.put("while nobody read")
    assert texts(read(setting.reader(since), Sentinel.LATEST)) == ["while nobody read"]


def test_it_begins_at_a_moment(setting: Setting) -> None:
    setting.put("old")
    setting.time.advance(10)
    moment = setting.time.now()
    setting.put("new")
    reader = setting.reader(start=Sentinel.AT_TIMESTAMP, start_at=moment)
    assert texts(read(reader, Sentinel.AT_TIMESTAMP)) == ["new"]


@pytest.mark.parametrize(
    "error",
    [
        ProtocolError("Connection broken"),
        ReadTimeoutError(None, "", "Read timed out."),  # type: ignore[arg-type]  # no pool
        EventStreamError({"Error": {"Code": "InternalFailureException"}}, "SubscribeToShard"),
        ConnectionResetError("reset by peer"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_a_connection_that_breaks_is_replaced_and_nothing_is_lost(setting: Setting, error: Exception) -> None:
    setting.put("a")
    batches = setting.reader().batches(START)
    assert texts([next(batches)]) == ["a"]
    setting.put("b")
    setting.kinesis.fan_out.break_all(error)
    assert texts([next(batches)]) == ["b"]
    assert setting.failures() == [ReadFailed]


class Garbled:
    """One event that is none, in a subscription that nobody has made yet."""

    def __init__(self, event: Any) -> None:
        self._events = [event]

    def once(self, subscription: Subscription[Event]) -> Iterator[Event | None]:
        while self._events:
            yield self._events.pop()
        yield from subscription


@pytest.mark.parametrize(
    "event",
    [
        {},
        {"SDK_UNKNOWN_MEMBER": {"name": "News"}},
        {"SubscribeToShardEvent": {"Records": None, "MillisBehindLatest": 0}},
        {"SubscribeToShardEvent": {"Records": []}},
        {"SubscribeToShardEvent": {"Records": [{"SequenceNumber": "1"}], "MillisBehindLatest": 0}},
    ],
)
def test_an_event_that_is_none_is_waited_out_and_loses_nothing(setting: Setting, event: Any) -> None:
    setting.put("a")
    reader = setting.reader()
    reader._listen = Garbled(event).once
    assert texts(read(reader)) == ["a"]
    assert set(setting.failures()) == {ReadFailed}


def test_a_subscription_that_breaks_time_and_again_is_no_busy_loop(setting: Setting) -> None:
    read(setting.reader())
    setting.kinesis.fail("subscribe_to_shard", "InternalFailure", times=1000)
    before, calls = setting.time.monotonic(), len(setting.starts())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(setting.time, "wait", lambda seconds: stop_after(setting, seconds, before + 600))
        reader = setting.reader()
        assert list(reader.batches(START)) == []
    assert reader.end is None
    assert len(setting.starts()) - calls < 600 / 30 + 6


def stop_after(setting: Setting, seconds: float, until: float) -> bool:
    setting.time.advance(seconds)
    return setting.time.monotonic() >= until


def test_a_subscription_of_its_predecessor_is_waited_out(setting: Setting) -> None:
    setting.put("a")
    read(setting.reader())
    assert texts(read(setting.reader())) == ["a"]
    assert set(setting.failures()) == {ReadFailed}
    assert setting.time.monotonic() < 3 + 10


def test_a_subscription_that_another_holder_takes_over_is_told(setting: Setting) -> None:
    batches = setting.reader().batches(START)
    next(batches)
    setting.time.advance(6)
    other = setting.reader().batches(START)
    next(other)
    setting.put("a")
    assert texts([next(batches)]) == ["a"]
    assert set(setting.failures()) == {ReadFailed}


def test_a_consumer_that_was_deregistered_is_registered_again(setting: Setting) -> None:
    batches = setting.reader().batches(START)
    next(batches)
    setting.kinesis.deregister_stream_consumer(**CONSUMER)
    setting.time.advance(301)
    setting.put("a")
    assert texts(islice(batches, 2)) == ["a"]
    assert setting.failures() == [ReadFailed]
    assert len(setting.kinesis.calls("register_stream_consumer")) == 2


def test_a_closed_shard_ends_after_its_last_record_and_names_its_children(setting: Setting) -> None:
    setting.put("a", "b")
    setting.split()
    reader = setting.reader()
    assert texts(reader.batches(START)) == ["a", "b"]
    assert reader.end is not None
    assert [child.shard_id for child in reader.end.children] == ["shardId-000000000001", "shardId-000000000002"]


@pytest.mark.parametrize("end", ["silent_ends", "polite_ends"])
def test_where_nobody_says_that_a_shard_has_ended_its_rest_is_polled(setting: Setting, end: str) -> None:
    setattr(setting.kinesis.fan_out, end, True)
    numbers = setting.put("a", "b")
    setting.split()
    reader = setting.reader()
    batches = list(reader.batches(START))
    assert texts(batches) == ["a", "b"]
    assert reader.end is not None
    assert len(reader.end.children) == 2
    assert reader.position == SequenceNumber(numbers[-1])


def test_a_closed_shard_whose_connection_breaks_early_is_still_read_to_its_end(setting: Setting) -> None:
    setting.put(*"abcdef")
    setting.split()
    setting.kinesis.fail("subscribe_to_shard", "InternalFailure")
    reader = setting.reader()
    assert texts(reader.batches(START)) == list("abcdef")
    assert reader.end is not None


def test_a_shard_that_has_vanished_ends_loudly(setting: Setting) -> None:
    setting.put("a")
    setting.split()
    setting.time.advance(25 * 3600)
    reader = setting.reader()
    assert list(reader.batches(START)) == []
    assert reader.end is not None
    assert reader.end.gone
    assert setting.failures() == [ShardGone]


def test_a_stream_that_has_vanished_ends_nothing(setting: Setting) -> None:
    reader = setting.reader()
    del setting.kinesis.streams["orders"]
    setting.time.stopping = True
    assert list(reader.batches(START)) == []
    assert reader.end is None
    assert setting.failures() == [ReadFailed]


def test_a_gap_is_told(setting: Setting) -> None:
    numbers = setting.put("a", "b", "c")
    setting.kinesis.trim(SHARD, 2)
    reader = setting.reader()
    (batch,) = read(reader, SequenceNumber(numbers[0]))
    assert texts([batch]) == ["c"]
    assert batch.after == reader.gap
    assert setting.failures() == [RecordsTrimmed]


def test_behind_a_subscription_that_ended_long_ago_something_may_be_lost(setting: Setting) -> None:
    setting.put("a")
    batches = setting.reader().batches(START)
    next(batches)
    setting.time.advance(24 * 3600)
    setting.put("b", "c")
    setting.kinesis.trim(SHARD, 1)
    assert texts(islice(batches, 1)) == ["c"]
    assert setting.failures() == [RecordsTrimmed]


def test_a_stop_ends_the_batches_without_ending_the_shard(setting: Setting) -> None:
    setting.put("a")
    reader = setting.reader()
    batches = reader.batches(START)
    next(batches)
    setting.time.stopping = True
    assert list(batches) == []
    assert reader.end is None


# Its own thread, for real.


class Connection:
    """Events as they are pushed, and then silence for as long as `silent` is not set."""

    def __init__(self, *events: int) -> None:
        self._events = events
        self.taken = 0
        self.silent = threading.Event()
        self.closed = threading.Event()

    def __iter__(self) -> Iterator[int]:
        for event in self._events:
            self.taken += 1
            yield event
        self.silent.wait(10)

    def close(self) -> None:
        self.closed.set()


def test_events_come_through_in_order_and_who_leaves_in_a_silence_does_not_wait_for_its_end() -> None:
    connection = Connection(1, 2, 3)
    events = pumped(connection)
    assert [next(events) for _ in range(4)] == [1, 2, 3, None]
    events.close()  # type: ignore[attr-defined]  # a generator
    assert not connection.closed.is_set()
    connection.silent.set()
    assert connection.closed.wait(20)


@pytest.mark.slow
def test_while_nobody_listens_two_events_wait_and_no_more() -> None:
    connection = Connection(*range(100))
    events = pumped(connection)
    assert next(events) == 0
    threading.Event().wait(0.5)
    assert connection.taken <= 3
    events.close()  # type: ignore[attr-defined]  # a generator
    assert connection.closed.wait(20)


def test_what_breaks_in_the_thread_is_raised_here() -> None:
    class Broken(Connection):
        def __iter__(self) -> Iterator[int]:
            yield 1
            raise ProtocolError("broken")

    events = pumped(Broken())
    assert next(events) == 1
    with pytest.raises(ProtocolError):
        next(events)


def test_an_end_in_good_order_ends_here_too() -> None:
    class Ending(Connection):
        def __iter__(self) -> Iterator[int]:
            yield 1

    assert list(pumped(Ending())) == [1]
