"""Pacing: within the share when all keep to theirs, slower when they do not, and back."""

import threading
from collections.abc import Iterator

import pytest

from consumers.diagnostics import ReadThrottled
from consumers.engines.worker.reading.cursor import ShardCursor
from consumers.engines.worker.reading.pacing import Pace
from consumers.engines.worker.reading.polling import ShardReader
from consumers.engines.worker.settings import WorkerSettings
from foundation.diagnostics import Diagnostic
from foundation.kinesis.get_records import decoding
from foundation.kinesis.limits import READ_BYTES_PER_SECOND
from foundation.kinesis.records import Sentinel
from tests.support.fakes.clock import FakeClock
from tests.support.fakes.kinesis import FakeKinesis
from tests.support.fakes.threads import SimulatedThreads

MEGABYTE = 1000 * 1000


def test_a_small_read_costs_its_share_of_the_reads_and_a_big_one_of_the_bytes() -> None:
    pace = Pace(reads_per_second=2.0, bytes_per_second=MEGABYTE)
    assert pace.until_next(0) == pace.until_next(0, MEGABYTE // 2) == 0.5
    assert pace.until_next(0, 10 * MEGABYTE) == 10
    assert pace.until_next(1, 10 * MEGABYTE) == pytest.approx(11)


def test_a_read_asks_for_what_its_share_pays_for_in_a_second() -> None:
    pace = Pace(reads_per_second=2.0, bytes_per_second=MEGABYTE)
    assert pace.answered(records=10, size=1000).limit == 10_000
    assert pace.answered(records=10, size=1000).answered(records=0, size=0).limit == 10_000
    assert pace.answered(records=2, size=100_000).limit == 20
    assert pace.answered(records=1, size=10 * MEGABYTE).limit == 1
    assert pace.answered(records=1, size=0).limit == MEGABYTE


def test_each_refusal_doubles_the_pause_up_to_half_a_minute_and_reads_bring_it_back() -> None:
    pace = Pace(reads_per_second=1.0, bytes_per_second=MEGABYTE)
    pauses = []
    for _ in range(5):
        pace = pace.refused()
        pauses.append(pace.until_next(0))
    assert pauses == [2, 4, 8, 8, 8]
    assert Pace(0.1, MEGABYTE).refused().until_next(0) == 20
    assert Pace(0.1, MEGABYTE).refused().refused().until_next(0) == 30
    for _ in range(30):
        pace = pace.answered(0, 0)
    assert pace.until_next(0) == 1


class Shard:
    """One shard, polled by several applications at once, on simulated time."""

    def __init__(self) -> None:
        self.time = FakeClock()
        self.threads = SimulatedThreads(self.time)
        self.kinesis = FakeKinesis(self.time.clock)
        self.happened: list[Diagnostic] = []
        self.got: list[int] = []
        self._stop = threading.Event()

    def poll(self, **share: float) -> None:
        application, shard_id = len(self.got), self.kinesis.shard_ids()[0]
        settings = WorkerSettings(f"application-{application}", "orders", **share)  # type: ignore[arg-type]  # two numbers
        self.got.append(0)

        def run() -> None:
            reader = ShardReader(
                decoding(self.kinesis.client),
                settings,
                ShardCursor(settings, shard_id, None, clock=self.time.clock, emit=self.happened.append),
                clock=self.time.clock,
                wait=lambda seconds: self.threads.wait(self._stop, seconds),
                emit=self.happened.append,
            )
            for batch in reader.batches(Sentinel.TRIM_HORIZON):
                self.got[application] += len(batch.records)

        self.threads.thread(target=run, name=settings.application).start()

    def run(self, seconds: int, put_each_second: int, size: int = 100) -> None:
        for _ in range(seconds):
            for _ in range(put_each_second):
                self.kinesis.put_record(StreamName="orders", Data=b"x" * size, PartitionKey="k")
            self.threads.run(1)

    def end(self) -> None:
        self._stop.set()
        self.threads.run(1)
        assert self.threads.crashes == []

    @property
    def refused(self) -> float:
        """The share of reads that Kinesis refused."""
        throttled = [event for event in self.happened if isinstance(event, ReadThrottled)]
        assert len(throttled) == len(self.happened)
        return len(throttled) / len(self.kinesis.calls("get_records"))


@pytest.fixture
def shard() -> Iterator[Shard]:
    shard = Shard()
    yield shard
    shard.end()


@pytest.mark.slow
def test_applications_that_keep_to_their_share_are_never_refused(shard: Shard) -> None:
    for share in (1.75, 1.75, 0.5):
        shard.poll(reads_per_second=share)
    shard.run(60, put_each_second=10)
    assert shard.refused == 0
    assert all(got >= 580 for got in shard.got)


@pytest.mark.slow
def test_applications_that_all_take_the_whole_shard_still_all_get_everything(shard: Shard) -> None:
    for _ in range(3):
        shard.poll(reads_per_second=5)
    shard.run(120, put_each_second=10)
    assert shard.refused < 0.3
    assert all(got >= 1000 for got in shard.got)


@pytest.mark.slow
@pytest.mark.parametrize(("size", "used", "refused"), [(100_000, 0.9, 0.02), (MEGABYTE, 0.7, 0.15)])
def test_applications_that_catch_up_share_the_bytes(shard: Shard, size: int, used: float, refused: float) -> None:
    shard.run(60, put_each_second=MEGABYTE // size, size=size)
    for _ in range(3):
        shard.poll(reads_per_second=1.5, read_bytes_per_second=READ_BYTES_PER_SECOND / 3)
    shard.run(75, put_each_second=0)
    assert sum(shard.got) * size >= used * 75 * READ_BYTES_PER_SECOND
    assert min(shard.got) >= 0.75 * max(shard.got)
    assert shard.refused < refused


def test_it_goes_back_to_its_share_when_the_others_are_gone(shard: Shard) -> None:
    shard.poll(reads_per_second=5)
    shard.kinesis.fail("get_records", "ProvisionedThroughputExceededException", times=5)
    shard.run(60, put_each_second=1)
    before = len(shard.kinesis.calls("get_records"))
    shard.run(10, put_each_second=1)
    assert len(shard.kinesis.calls("get_records")) - before >= 45


def test_who_reads_seldom_may_still_read_its_share() -> None:
    for reads in (0.1, 0.5, 1.75):
        pace = Pace(reads_per_second=reads, bytes_per_second=MEGABYTE).answered(records=1, size=1)
        assert pace.limit / pace.until_next(0, size=pace.limit) == pytest.approx(MEGABYTE)
