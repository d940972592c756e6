"""Duties of the reader: every record behind the position, once and in order; within the shard's limits; never stuck."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import islice
from typing import Any

import pytest
from aws_kinesis_agg.aggregator import RecordAggregator
from botocore.exceptions import EndpointConnectionError

from consumers.diagnostics import AggregateDropped, ReadFailed, ReadThrottled, RecordsTrimmed, ShardGone
from consumers.engines.worker.reading.cursor import ShardCursor
from consumers.engines.worker.reading.polling import ShardReader
from consumers.engines.worker.settings import WorkerSettings
from consumers.processing import ShardStop
from foundation.diagnostics import Diagnostic
from foundation.kinesis.get_records import decoding
from foundation.kinesis.hash_keys import HashKeyRange
from foundation.kinesis.records import Batch, Position, Sentinel, SequenceNumber
from tests.support.fakes.clock import FakeClock
from tests.support.fakes.kinesis import FakeKinesis

SHARD = "shardId-000000000000"
LOW = HashKeyRange(0, 2**127 - 1)
START = Sentinel.TRIM_HORIZON


class Setting:
    def __init__(self, **kinesis: Any) -> None:
        self.time = FakeClock()
        self.kinesis = FakeKinesis(self.time.clock, **kinesis)
        self.happened: list[Diagnostic] = []

    def reader(
        self, hash_keys: HashKeyRange | None = None, latest_since: datetime | None = None, **settings: Any
    ) -> ShardReader:
        return ShardReader(
            decoding(self.kinesis.client),
            WorkerSettings(application="app", stream="orders", **settings),
            self.cursor(hash_keys, latest_since, **settings),
            clock=self.time.clock,
            wait=self.time.wait,
            emit=self.happened.append,
        )

    def cursor(self, *where: Any, **settings: Any) -> ShardCursor:
        worker = WorkerSettings(application="app", stream="orders", **settings)
        return ShardCursor(worker, SHARD, *where, clock=self.time.clock, emit=self.happened.append)

    def failures(self) -> list[Any]:
        """All that was told, which is nothing but failed reads."""
        assert {type(event) for event in self.happened} <= {ReadFailed}
        return self.happened

    def put(self, *texts: str) -> list[str]:
        put = self.kinesis.put_record
        return [put(StreamName="orders", Data=text.encode(), PartitionKey="k")["SequenceNumber"] for text in texts]

    def put_aggregate(self, *records: tuple[str, str], outer_key: str = "k") -> str:
        aggregator = RecordAggregator()
        for key, text in records:
            aggregator.add_user_record(key, text.encode())
        data = aggregator.clear_and_get().get_contents()[2]
        answer = self.kinesis.put_record(StreamName="orders", Data=data, PartitionKey=outer_key, ExplicitHashKey="0")
        return str(answer["SequenceNumber"])


@pytest.fixture
def setting() -> Setting:
    return Setting()


def texts(batches: Iterator[Batch] | list[Batch]) -> list[str]:
    return [record.data.decode() for batch in batches for record in batch.records]


def read(reader: ShardReader, after: Position = START, batches: int = 1) -> list[Batch]:
    return list(islice(reader.batches(after), batches))


def test_it_reads_from_the_beginning_with_the_place_it_read_from(setting: Setting) -> None:
    numbers = setting.put("a", "b")
    (batch,) = read(setting.reader())
    assert texts([batch]) == ["a", "b"]
    assert (batch.stream, batch.shard_id, batch.after) == ("orders", SHARD, START)
    assert [record.sequence_number for record in batch.records] == [SequenceNumber(number) for number in numbers]
    assert batch.records[0].arrived_at == setting.time.now()


def test_a_batch_says_when_it_was_asked_for_however_long_the_answer_took(
    setting: Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    setting.put("a")
    asked_at, answer = setting.time.now(), setting.kinesis.get_records

    def slowly(**asked: Any) -> Any:
        setting.time.advance(7)
        return answer(**asked)

    monkeypatch.setattr(setting.kinesis, "get_records", slowly)
    (batch,) = read(setting.reader())
    assert (texts([batch]), batch.asked_at) == (["a"], asked_at)


def test_each_batch_comes_after_the_one_before(setting: Setting) -> None:
    numbers = setting.put("a", "b", "c")
    batches = read(setting.reader(read_records=2), batches=3)
    assert [batch.after for batch in batches] == [START, SequenceNumber(numbers[1]), SequenceNumber(numbers[2])]
    assert [len(batch.records) for batch in batches] == [2, 1, 0]


def test_it_resumes_behind_a_plain_record(setting: Setting) -> None:
    first, *_ = setting.put("a", "b")
    (batch,) = read(setting.reader(), SequenceNumber(first))
    assert texts([batch]) == ["b"]
    assert batch.after == SequenceNumber(first)
    assert not setting.happened


def test_polling_resumes_inside_an_aggregate(setting: Setting) -> None:
    number = setting.put_aggregate(("k", "a"), ("k", "b"), ("k", "c"))
    setting.put("d")
    (batch,) = read(setting.reader(), SequenceNumber(number, 1))
    assert texts([batch]) == ["c", "d"]
    assert [record.sequence_number.sub for record in batch.records] == [2, 0]
    assert setting.kinesis.calls("get_shard_iterator")[0]["ShardIteratorType"] == "AT_SEQUENCE_NUMBER"


def test_a_number_goes_back_as_it_came() -> None:
    setting = Setting(number_width=60)
    (number,) = setting.put("a")
    read(setting.reader(), SequenceNumber(number))
    assert setting.kinesis.calls("get_shard_iterator")[0]["StartingSequenceNumber"] == number
    assert len(number) == 60


def test_a_damaged_aggregate_is_delivered_as_it_is(setting: Setting) -> None:
    damaged = b"\xf3\x89\x9a\xc2 is how this begins, and no more"
    setting.kinesis.put_record(StreamName="orders", Data=damaged, PartitionKey="k")
    (batch,) = read(setting.reader())
    assert [record.data for record in batch.records] == [damaged]


def test_an_aggregate_of_the_kpl_that_strayed_is_dropped_whole_and_counted(setting: Setting) -> None:
    number = setting.put_aggregate(*((f"k{n}", "x") for n in range(20)), outer_key="a")
    (last,) = setting.put("next")
    batches = read(setting.reader(LOW), batches=2)
    assert texts(batches) == ["next"]
    assert setting.happened == [AggregateDropped(SHARD, number, 20)]
    assert batches[1].after == SequenceNumber(last)


def test_an_aggregate_of_another_writer_is_delivered_wherever_it_lands(setting: Setting) -> None:
    setting.put_aggregate(*((f"k{n}", "x") for n in range(20)), outer_key="k0")
    assert len(texts(read(setting.reader(LOW)))) == 20


def test_idle_reads_are_empty_and_within_its_share(setting: Setting) -> None:
    batches = read(setting.reader(reads_per_second=0.5), batches=4)
    assert [batch.records for batch in batches] == [()] * 4
    assert all(2.0 <= wait <= 2.2 for wait in setting.time.waits)


@pytest.mark.parametrize(("share", "interval"), [(5, 0.2), (1.25, 0.8), (0.5, 2.0)])
def test_behind_it_reads_no_more_often_than_its_share(setting: Setting, share: float, interval: float) -> None:
    setting.put(*"abcdefghijklmnopqrstuvwxyz")
    batches = read(setting.reader(read_records=2, reads_per_second=share), batches=13)
    assert len(texts(batches)) == 26
    assert len(setting.time.waits) == 12
    assert all(interval <= wait <= interval * 1.1 for wait in setting.time.waits)
    assert not setting.happened


def test_time_spent_on_a_batch_counts_towards_the_pause(setting: Setting) -> None:
    batches = setting.reader(reads_per_second=1.0).batches(START)
    next(batches)
    setting.time.advance(0.7)
    next(batches)
    setting.time.advance(5)
    next(batches)
    assert setting.time.waits == [pytest.approx(0.3, abs=0.1), 0.0]


def test_a_batch_that_took_longer_than_an_iterator_lives_costs_nothing(setting: Setting) -> None:
    setting.put("a")
    batches = setting.reader().batches(START)
    assert texts([next(batches)]) == ["a"]
    setting.time.advance(400)
    setting.put("b")
    assert texts([next(batches)]) == ["b"]
    assert not setting.happened


def test_at_the_tip_nothing_is_missed_while_the_first_batch_takes_long(setting: Setting) -> None:
    setting.put("old")
    setting.time.advance(10)
    batches = setting.reader().batches(Sentinel.LATEST)
    assert texts([next(batches)]) == []
    setting.put("new")
    setting.time.advance(400)
    assert texts([next(batches)]) == ["new"]


def test_at_the_tip_nothing_is_missed_although_its_first_reader_crashed_before_any_record(setting: Setting) -> None:
    since = setting.time.now()
    setting.time.advance(10)
    setting.put("while nobody read")
    setting.time.advance(10)
    (batch,) = read(setting.reader(latest_since=since), Sentinel.LATEST)
    assert texts([batch]) == ["while nobody read"]
    assert batch.after is Sentinel.LATEST


def test_throttling_is_waited_out_on_the_same_iterator(setting: Setting) -> None:
    setting.put("a")
    setting.kinesis.fail("get_records", "ProvisionedThroughputExceededException", times=3)
    assert texts(read(setting.reader(reads_per_second=5))) == ["a"]
    assert setting.time.waits == [pytest.approx(pause, rel=0.1) for pause in (0.4, 0.8, 1.6)]
    assert len(setting.kinesis.calls("get_shard_iterator")) == 1
    assert [type(event) for event in setting.happened] == [ReadThrottled] * 3


@pytest.mark.parametrize("error", ["InternalFailure", EndpointConnectionError(endpoint_url="http://kinesis")])
def test_any_other_error_is_waited_out_with_a_fresh_iterator(setting: Setting, error: str | Exception) -> None:
    setting.put("a")
    batches = setting.reader().batches(START)
    assert texts([next(batches)]) == ["a"]
    setting.kinesis.fail("get_records", error, times=4)
    setting.put("b")
    assert texts([next(batches)]) == ["b"]
    assert len(setting.kinesis.calls("get_shard_iterator")) == 5
    assert [type(event) for event in setting.happened] == [ReadFailed] * 4
    assert setting.time.waits[-4:] == [1, 2, 4, 8]


class Outage:
    """Its `calls` are what Kinesis was asked meanwhile, and `seconds` how long it took to get over it."""

    def __init__(self, setting: Setting) -> None:
        setting.put("a")
        reader = setting.reader()
        before = setting.time.monotonic()
        assert texts(read(reader)) == ["a"]
        self.seconds = setting.time.monotonic() - before
        self.calls = len(setting.kinesis.log) - 1


@pytest.mark.parametrize("operation", ["get_records", "get_shard_iterator"])
@pytest.mark.parametrize("code", ["ExpiredTokenException", "InternalFailure", "AccessDeniedException"])
def test_what_lasts_is_waited_out_loudly_and_hardly_ever_asked_about(
    setting: Setting, operation: str, code: str
) -> None:
    setting.kinesis.fail(operation, code, times=25)
    outage = Outage(setting)
    assert outage.seconds >= 600
    assert outage.calls <= 2 * 26
    assert [event.error.response["Error"]["Code"] for event in setting.failures()] == [code] * 25


def test_iterators_that_expire_at_once_are_no_busy_loop(setting: Setting) -> None:
    setting.kinesis.fail("get_records", "ExpiredIteratorException", times=10)
    outage = Outage(setting)
    assert outage.seconds >= 150
    assert outage.calls == 2 * 11
    assert len(setting.failures()) == 9


@pytest.mark.parametrize(
    "body", [b"", b"null", b"<html>", b'{"Records": [null]}', b'{"Records": null}', b'{"Records": [']
)
def test_an_answer_that_is_none_is_waited_out_and_loses_nothing(setting: Setting, body: bytes) -> None:
    setting.kinesis.garble(body, times=5)
    outage = Outage(setting)
    assert outage.seconds >= 31
    assert outage.calls == 2 * 6
    assert len(setting.failures()) == 5


def test_a_tip_that_lies_in_the_future_of_a_clock_set_back_is_waited_for(setting: Setting) -> None:
    reader = setting.reader(latest_since=setting.time.now() + timedelta(seconds=40))
    batches = reader.batches(Sentinel.LATEST)
    next(batches)
    setting.put("new")
    assert texts([next(batches)]) == ["new"]
    assert 40 <= setting.time.monotonic() <= 80
    assert len(setting.failures()) <= 6


def test_reads_keep_their_pace_when_the_wall_clock_jumps(setting: Setting) -> None:
    batches = setting.reader(reads_per_second=1.0).batches(START)
    for hours in (0, 24, -48):
        setting.time._start += timedelta(hours=hours)
        next(batches)
    assert len(setting.time.waits) == 2
    assert all(1 <= wait <= 1.1 for wait in setting.time.waits)


def test_a_shard_that_is_not_listed_for_a_while_is_read_on(setting: Setting) -> None:
    batches = setting.reader().batches(START)
    next(batches)
    setting.kinesis.shards_per_page = 0
    setting.kinesis.fail("get_records", "InternalFailure", times=3)
    setting.put("a")
    assert texts([next(batches)]) == ["a"]


def test_without_a_moment_to_start_at_the_shard_stops_and_says_so(setting: Setting) -> None:
    with pytest.raises(ShardStop, match="fix: name it in the settings"):
        read(setting.reader(), Sentinel.AT_TIMESTAMP)


def test_a_lost_answer_loses_no_record(setting: Setting) -> None:
    setting.put("a")
    setting.kinesis.lose_answer("get_records", times=2)
    assert texts(read(setting.reader())) == ["a"]


def test_a_wait_cut_short_ends_the_batches_without_ending_the_shard(setting: Setting) -> None:
    reader = setting.reader()
    setting.time.stopping = True
    assert len(list(reader.batches(START))) == 1
    setting.kinesis.fail("get_records", "InternalFailure")
    assert list(reader.batches(START)) == []
    assert reader.end is None


def test_a_closed_shard_ends_after_its_last_record_and_names_its_children(setting: Setting) -> None:
    setting.put("a", "b")
    setting.kinesis.split_shard(StreamName="orders", ShardToSplit=SHARD, NewStartingHashKey=str(2**127))
    reader = setting.reader(read_records=1)
    assert texts(reader.batches(START)) == ["a", "b"]
    assert reader.end is not None
    assert [child.shard_id for child in reader.end.children] == ["shardId-000000000001", "shardId-000000000002"]
    assert {child.parents for child in reader.end.children} == {frozenset({SHARD})}
    assert not reader.end.gone


def test_reading_a_closed_shard_again_ends_only_when_it_is_read_to_its_end_again(setting: Setting) -> None:
    setting.put("a", "b")
    setting.kinesis.split_shard(StreamName="orders", ShardToSplit=SHARD, NewStartingHashKey=str(2**127))
    reader = setting.reader(read_records=1)
    list(reader.batches(START))
    assert reader.end is not None
    setting.time.advance(1)
    setting.time.stopping = True
    assert texts(reader.batches(START)) == ["a"]
    assert reader.end is None


def test_a_shard_that_has_vanished_ends_loudly(setting: Setting) -> None:
    setting.put("a")
    setting.kinesis.split_shard(StreamName="orders", ShardToSplit=SHARD, NewStartingHashKey=str(2**127))
    setting.time.advance(25 * 3600)
    reader = setting.reader()
    assert list(reader.batches(START)) == []
    assert reader.end is not None
    assert reader.end.gone
    assert setting.happened == [ShardGone(SHARD, "TRIM_HORIZON")]


def test_a_stream_that_has_vanished_ends_nothing(setting: Setting) -> None:
    reader = setting.reader()
    del setting.kinesis.streams["orders"]
    batches = reader.batches(START)
    setting.time.stopping = True
    assert list(batches) == []
    assert reader.end is None
    assert [type(event) for event in setting.happened] == [ReadFailed]


def test_a_gap_is_told_and_batches_say_where_they_really_begin(setting: Setting) -> None:
    numbers = setting.put("a", "b", "c")
    setting.kinesis.trim(SHARD, 2)
    reader = setting.reader()
    (batch,) = read(reader, SequenceNumber(numbers[0]))
    assert texts([batch]) == ["c"]
    assert setting.happened == [RecordsTrimmed(SHARD, numbers[0], numbers[2])]
    assert isinstance(batch.after, SequenceNumber)
    assert SequenceNumber(numbers[1]) < batch.after < SequenceNumber(numbers[2])
    assert batch.after == reader.gap


def test_a_gap_is_told_once_and_reading_goes_on_from_real_places(setting: Setting) -> None:
    numbers = setting.put("a", "b", "c")
    setting.kinesis.trim(SHARD, 2)
    batches = setting.reader().batches(SequenceNumber(numbers[0]))
    next(batches)
    setting.time.advance(400)
    setting.put("d")
    assert texts([next(batches)]) == ["d"]
    assert len(setting.happened) == 1
    places = [call.get("StartingSequenceNumber") for call in setting.kinesis.calls("get_shard_iterator")]
    assert places == [numbers[0], numbers[2]]


def blip_after(setting: Setting, reader: ShardReader, hours: float, wall_hours: float = 0) -> Batch:
    """Reads "a" at the tip; so much later it is trimmed, "b" is there, and the iterator is lost."""
    batches = reader.batches(START)
    assert next(batches).millis_behind_latest == 0
    setting.time.advance(hours * 3600)
    setting.time._start += timedelta(hours=wall_hours)
    setting.put("b")
    setting.kinesis.trim(SHARD, 1)
    setting.kinesis.fail("get_records", "InternalFailure")
    return next(batches)


def test_what_is_trimmed_behind_a_tip_seen_lately_was_read(setting: Setting) -> None:
    (first,) = setting.put("a")
    reader = setting.reader()
    batch = blip_after(setting, reader, hours=22.9)
    assert texts([batch]) == ["b"]
    assert batch.after == SequenceNumber(first)
    assert reader.gap is None
    assert [type(event) for event in setting.happened] == [ReadFailed]


@pytest.mark.parametrize(
    ("hours", "wall_hours"), [(23.1, 0), (23.1, -10), (0, 24), (0, -1)], ids=["late", "set back", "slept", "future"]
)
def test_behind_a_tip_seen_too_long_ago_something_may_be_lost(
    setting: Setting, hours: float, wall_hours: float
) -> None:
    setting.put("a")
    reader = setting.reader()
    batch = blip_after(setting, reader, hours, wall_hours)
    assert batch.after == reader.gap is not None
    assert [type(event) for event in setting.happened] == [ReadFailed, RecordsTrimmed]


def test_a_tip_counts_from_before_its_read(setting: Setting) -> None:
    """A batch may be worked on for long before the next read; what came meanwhile was not seen."""
    setting.put("a")
    batches = setting.reader().batches(START)
    next(batches)
    setting.time.advance(24 * 3600)
    setting.put("b", "c")
    setting.kinesis.trim(SHARD, 2)
    assert texts([next(batches)]) == ["c"]
    assert [type(event) for event in setting.happened] == [RecordsTrimmed]


def test_a_tip_says_nothing_when_reading_begins_again_before_it(setting: Setting) -> None:
    first, *_ = setting.put("a", "b")
    reader = setting.reader()
    assert texts(read(reader)) == ["a", "b"]
    setting.time.advance(1)
    setting.put("c")
    setting.kinesis.trim(SHARD, 2)
    (batch,) = read(reader, SequenceNumber(first))
    assert batch.after == reader.gap is not None
    assert [type(event) for event in setting.happened] == [RecordsTrimmed]


def test_a_tip_still_counts_when_reading_begins_again_where_it_was(setting: Setting) -> None:
    _, second = setting.put("a", "b")
    reader = setting.reader()
    read(reader)
    setting.time.advance(1)
    setting.put("c")
    setting.kinesis.trim(SHARD, 2)
    assert texts(read(reader, SequenceNumber(second))) == ["c"]
    assert setting.happened == []


def test_a_read_that_does_not_reach_the_tip_says_nothing(setting: Setting) -> None:
    setting.put("a", "b", "c")
    reader = setting.reader(read_records=1)
    batches = reader.batches(START)
    assert next(batches).millis_behind_latest
    setting.kinesis.trim(SHARD, 2)
    setting.kinesis.fail("get_records", "InternalFailure")
    assert next(batches).after == reader.gap is not None
    assert [type(event) for event in setting.happened] == [ReadFailed, RecordsTrimmed]
