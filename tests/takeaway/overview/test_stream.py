"""Looks at a stream on simulated time: what is counted of it, and what that costs those who read it."""

from datetime import timedelta
from typing import Any

import pytest

from events.wire import encode
from foundation.kinesis import SequenceNumber, get_records
from foundation.kinesis.aggregation import AGGREGATE_KEY
from foundation.kinesis.records import Record
from takeaway.overview import stream as under_test
from takeaway.overview.facts import Lag
from takeaway.overview.stream import FIRST_READS, LATER_READS, StreamWatch
from takeaway.overview.stretch import Mark
from tests.support.builders import an_envelope, packed
from tests.support.fakes.clock import FakeClock
from tests.support.fakes.kinesis import FakeKinesis

pytestmark = pytest.mark.slow

SHARD, OTHER = "shardId-000000000000", "shardId-000000000001"


class World:
    """A stream with as many shards, and one that watches it."""

    def __init__(self, shards: int = 1, **how: Any) -> None:
        self.time = FakeClock()
        self.kinesis = FakeKinesis(self.time.clock, shards=shards, **how)
        self.watch = StreamWatch(self.kinesis.client, "orders", self.time.clock, self.time.now())
        self.put_so_far = 0

    def put(self, count: int, *, data: bytes | None = None, key: str | None = None) -> list[str]:
        numbers = []
        for _ in range(count):
            self.put_so_far += 1
            order_id = f"order-{self.put_so_far}"
            event = encode(an_envelope(order_id=order_id, cause=order_id)) if data is None else data
            put = self.kinesis.client.put_record(StreamName="orders", PartitionKey=key or order_id, Data=event)
            numbers.append(put["SequenceNumber"])
        return numbers

    def look(self, *marks: Mark, shard: str = SHARD, pause: float = 2.0) -> int:
        took = self.watch.look({shard: marks} if marks else {}, self.time.now())
        self.time.advance(pause)
        return took

    def lag(self, mark: Mark) -> Lag:
        return self.watch.shards[SHARD].lag(mark, self.time.now().timestamp())


@pytest.fixture
def small_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten records a read."""
    monkeypatch.setattr(under_test, "_limit", lambda *_: 10)
    monkeypatch.setattr(under_test, "_FIRST_LIMIT", 10)


@pytest.mark.parametrize("width", [56, 70])
def test_what_lies_behind_each_checkpoint_is_counted_however_long_ago_it_came(width: int) -> None:
    world = World(number_width=width)
    first, *_ = world.put(50)
    world.time.advance(3600)
    _, near, *_ = world.put(5)
    far, late = SequenceNumber(first), SequenceNumber(near)
    assert world.look(far, late, pause=0) <= FIRST_READS
    assert (world.lag(far).records, world.lag(far).at_least, world.lag(far).seconds) == (54, False, 3600)
    assert (world.lag(late).records, world.lag(late).at_least) == (3, False)
    world.put(2)
    assert world.look(far, late) == 1
    assert world.lag(far).records == 56


@pytest.mark.usefixtures("small_reads")
def test_a_shard_is_read_once_a_look_and_twice_while_a_consumer_is_far_behind() -> None:
    world = World()
    first = SequenceNumber(world.put(100)[0])
    world.time.advance(60)
    world.put(5)
    counted = []
    reads = [world.look(first)]
    while world.lag(first).at_least:
        counted.append(world.lag(first).records)
        reads.append(world.look(first))
        assert len(reads) < 20
    assert reads[0] <= FIRST_READS
    assert max(reads[1:]) <= LATER_READS
    assert counted == sorted(counted)
    assert world.lag(first).records == 104
    assert world.look(first) == 1


def test_an_aggregate_is_its_records_and_the_rest_of_one_is_counted() -> None:
    world = World()
    inner = [encode(an_envelope(order_id=f"inner-{n}", cause=f"inner-{n}")) for n in range(4)]
    [number] = world.put(1, data=packed(inner, "inner"), key=AGGREGATE_KEY + "-")
    world.put(1)
    world.look(SequenceNumber(number, 1))
    assert world.lag(SequenceNumber(number, 1)).records == 3
    [flow] = world.watch.flows(world.time.now())
    assert flow.records_per_second == 0.2


def test_what_is_no_event_is_a_record_all_the_same() -> None:
    world = World()
    world.put(1, data=b"{garbage", key="k")
    world.look(None)
    lag = world.lag(None)
    assert (lag.records, dict(lag.of_types)) == (1, {})
    assert world.watch.events(world.time.now()) == ()


def test_rates_and_counts_are_those_of_lately() -> None:
    world = World()
    world.put(30)
    world.look()
    [flow] = world.watch.flows(world.time.now())
    assert (flow.records_per_second, flow.hot) == (3.0, False)
    [events] = world.watch.events(world.time.now())
    assert (events.event_type, events.count, events.per_second) == ("order_placed", 30, 3.0)
    world.look(pause=60)
    [flow] = world.watch.flows(world.time.now())
    assert flow.records_per_second == 0
    [events] = world.watch.events(world.time.now())
    assert (events.count, events.per_second) == (30, 0.0)


def test_a_shard_that_cannot_be_read_hides_no_other_and_is_read_anew_when_it_can() -> None:
    world = World(shards=2)
    world.put(20)
    assert world.look(None, pause=0) <= FIRST_READS
    world.kinesis.garble(b"no JSON", times=1)
    world.look(None, pause=0)
    told = {one.shard_id: one.trouble for one in world.watch.flows(world.time.now())}
    assert sum(trouble is not None for trouble in told.values()) == 1
    assert len(world.watch.shards) == 1
    world.time.advance(2)
    world.look(None)
    assert all(one.trouble is None for one in world.watch.flows(world.time.now()))


def test_what_a_look_has_no_time_for_is_unknown_and_comes_first_at_the_next() -> None:
    world = World(shards=2)
    world.put(20)
    fetch = get_records.fetch

    def slow(*arguments: Any) -> Any:
        world.time.advance(5)
        return fetch(*arguments)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(under_test, "fetch", slow)
        world.look()
        first = {one.shard_id: one.trouble for one in world.watch.flows(world.time.now())}
        world.look()
        then = {one.shard_id: one.trouble for one in world.watch.flows(world.time.now())}
    assert first == {SHARD: None, OTHER: "no time was left for it"}
    assert then[OTHER] is None


def test_a_closed_shard_is_read_while_a_consumer_is_not_through_with_it() -> None:
    world = World()
    first = SequenceNumber(world.put(8)[0])
    world.kinesis.client.split_shard(StreamName="orders", ShardToSplit=SHARD, NewStartingHashKey=str(2**127))
    world.look(first)
    world.look(first)
    assert (world.lag(first).records, world.lag(first).at_least) == (7, False)
    assert [one.shard_id for one in world.watch.flows(world.time.now())] == [OTHER, "shardId-000000000002"]
    world.look()
    assert SHARD not in world.watch.shards


def test_a_read_takes_a_part_of_what_a_shard_gives_however_large_its_records_are() -> None:
    large = [Record("1", "k", b"x" * 200_000, 0.0)]
    assert under_test._limit(250, large) == 1
    assert under_test._limit(250, [Record("1", "k", b"x" * 500, 0.0)]) * 500 <= 256 * 1024
    assert under_test._limit(77, []) == 77


@pytest.mark.usefixtures("small_reads")
def test_one_that_fills_faster_than_a_look_reads_is_sampled_and_its_lag_is_at_least_so_much() -> None:
    world = World()
    first = SequenceNumber(world.put(1)[0])
    for _ in range(12):
        world.put(40)
        world.look(first)
    lag = world.lag(first)
    assert lag.at_least
    assert 0 < lag.records < 481
    [flow] = world.watch.flows(world.time.now() - timedelta(seconds=2))
    assert (flow.records_per_second or 0) > 5
