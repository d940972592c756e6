"""Several consumers in one process: each is given all there is, once; the least of them says how far they are."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumers.diagnostics import ShardStopped, ShardWaits
from consumers.engines.feeding import Feeder
from consumers.hosting import hosting, member
from consumers.processing import (
    Pace,
    ProcessorFactory,
    Progress,
    RecordFailure,
    RecordProcessor,
    ShardAssignment,
    ShardStop,
    Standstill,
)
from foundation.diagnostics import Diagnostic
from foundation.kinesis.records import Batch, Position, Record, Sentinel, SequenceNumber, position_key
from tests.support.builders import a_batch
from tests.support.fakes.clock import FakeClock

BEGINNING = Sentinel.TRIM_HORIZON
AWAY = OSError("no route")
STOP = ShardStop("the lake contradicts itself")
REFUSES = (
    "archiver refuses to go on with shardId-000000000000: the lake contradicts itself. fix: mend that, and "
    "deploy again; nothing is lost"
)


def at(number: int) -> SequenceNumber:
    return SequenceNumber(str(number))


def a_record(number: int, size: int = 1) -> Record:
    return Record(str(number), "order-1", b"x" * size, 0.0)


def numbered(first: int, last: int, *, millis: int = 0, size: int = 1) -> Batch:
    """The records of these numbers, read behind the one before."""
    after: Position = at(first - 1) if first > 1 else BEGINNING
    records = (a_record(number, size) for number in range(first, last + 1))
    return replace(a_batch(*records, after=after), millis_behind_latest=millis)


def idle(after: int) -> Batch:
    return a_batch(after=at(after))


GONE = replace(a_batch(after=Sentinel.SHARD_END), millis_behind_latest=1)


class Taker:
    """Takes what it is given, as its moods say one after the other, and then willingly.

    `lags` until a flush, as one does whose rows wait for a file. It minds what is missing, and what comes twice.
    """

    def __init__(self, *moods: str, place: Position = BEGINNING, lags: bool = False) -> None:
        self.moods = list(moods)
        self.place = place
        self.lags = lags
        self.taken: list[int] = []
        self.batches: list[Batch] = []
        self.tips: list[int] = []
        self.opened = 0
        self.flushed = 0
        self.told_gone = 0
        self.is_away = False
        self.cannot_open: list[Exception] = []
        self.cannot_flush: list[Exception] = []
        self._keeps: int | None = None

    def factory(self, _: ShardAssignment) -> RecordProcessor:
        if self.cannot_open:
            raise self.cannot_open.pop(0)
        self.opened += 1
        self._upto = int(self.place.number) if isinstance(self.place, SequenceNumber) else 0
        self.taken = self.taken or [self._upto] if self._upto else []
        return self

    @property
    def resume_after(self) -> Position:
        return self.place

    def process(self, batch: Batch) -> Progress:
        self.batches.append(batch)
        mood = self.moods.pop(0) if self.moods and (batch.records or batch.after is Sentinel.SHARD_END) else "takes"
        if mood == "raises" or self.is_away:
            raise AWAY
        if mood == "stops":
            raise STOP
        self.told_gone += batch.after is Sentinel.SHARD_END
        numbers = [int(record.number) for record in batch.records]
        if mood in ("half", "half, and stops"):
            done = numbers[: len(numbers) // 2]
            self._take(done)
            error: Exception = STOP if mood == "half, and stops" else AWAY
            return Progress(self.place, RecordFailure(at(numbers[len(done)]), error))
        if mood == "names another":
            return Progress(self.place, RecordFailure(at(999), AWAY))
        first = next(iter(numbers), self._keeps)
        if mood in ("slow", "full") and first is not None:
            self._keeps = self._keeps or first
            self._take(numbers)
            return Progress(self.place, RecordFailure(at(self._keeps), AWAY, Pace[mood.upper()]))
        self._keeps = None
        self._take(numbers)
        if batch.millis_behind_latest == 0:
            self.tips.append(self._upto)
        return Progress(self.place)

    def flush(self) -> Progress:
        self.flushed += 1
        if self.cannot_flush:
            raise self.cannot_flush.pop(0)
        self._keeps = None
        self._done(self._upto)
        return Progress(self.place)

    def _take(self, numbers: Sequence[int]) -> None:
        for number in numbers:
            assert number == self._upto + 1, f"{number} comes behind {self._upto}"
            self._upto = number
            self.taken.append(number)
        if not self.lags:
            self._done(self._upto)

    def _done(self, number: int) -> None:
        if number and self._keeps is None:
            self.place = at(number)


class Host:
    """The processor of several takers, under nothing."""

    def __init__(self, *takers: Taker, checkpoint: Position = BEGINNING) -> None:
        self.time = FakeClock()
        factories: dict[str, ProcessorFactory] = {
            name: taker.factory for name, taker in zip(("archiver", "tracker", "watcher"), takers, strict=False)
        }
        self.assignment = ShardAssignment("orders", "shardId-000000000000", checkpoint)
        self.processor = hosting(factories, clock=self.time.clock)(self.assignment)

    def process(self, batch: Batch) -> Progress:
        return self.processor.process(batch)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """A bound that a test can reach."""
    monkeypatch.setattr(member, "MOST_WAITING", 6)
    monkeypatch.setattr(member, "MOST_WAITING_BYTES", 100)


def test_one_alone_stays_as_it_is() -> None:
    alone = Taker().factory
    assert hosting({"archiver": alone}, clock=FakeClock().clock) is alone


def test_the_least_says_how_far_they_are() -> None:
    one, other = Taker(lags=True), Taker()
    host = Host(one, other)
    assert host.process(numbered(1, 3)) == Progress(BEGINNING)
    assert (one.taken, other.taken) == ([1, 2, 3], [1, 2, 3])
    assert host.processor.resume_after is BEGINNING
    assert host.processor.flush() == Progress(at(3))


def test_reading_begins_where_the_least_is_and_each_is_given_what_is_behind_its_own_place() -> None:
    one, other = Taker(place=at(2)), Taker(place=at(5))
    host = Host(one, other, checkpoint=at(3))
    assert host.processor.resume_after == at(2)
    assert host.process(numbered(3, 4)).resume_after == at(4)
    assert host.process(numbered(5, 7)).resume_after == at(7)
    assert (one.taken, other.taken) == ([2, 3, 4, 5, 6, 7], [5, 6, 7])
    assert [batch.after for batch in other.batches] == [at(5), at(5)]


def test_nothing_lies_before_the_streams_beginning() -> None:
    """The other was to begin at a moment, and the one has nothing yet: it wants all there is."""
    host = Host(Taker(place=Sentinel.AT_TIMESTAMP), Taker(place=BEGINNING), checkpoint=Sentinel.AT_TIMESTAMP)
    assert host.processor.resume_after is BEGINNING


def test_a_gap_is_told_to_those_that_it_is_one_for() -> None:
    one, other = Taker(place=at(2)), Taker(place=at(5))
    host = Host(one, other, checkpoint=at(2))
    host.process(idle(4))
    assert [batch.after for batch in one.batches] == [at(4)]
    assert [batch.after for batch in other.batches] == [at(5)]


@pytest.mark.parametrize("mood", ["raises", "half", "slow", "full", "names another"])
def test_one_that_fails_keeps_no_other_from_what_follows(mood: str) -> None:
    one, other = Taker(*[mood] * 3), Taker()
    host = Host(one, other)
    answers = [host.process(numbered(first, first + 1)) for first in (1, 3, 5)]
    assert other.taken == [1, 2, 3, 4, 5, 6]
    assert all(answer.failure is None or answer.failure.pace is Pace.FULL for answer in answers)
    assert all(position_key(answer.resume_after) < (3, 0) for answer in answers)
    failure = answers[0].failure
    assert failure is not None
    assert "archiver fails on shardId-000000000000: OSError: no route" in str(failure.error)
    host.time.advance(60)
    for _ in range(4):
        host.process(idle(6))
        host.time.advance(60)
    assert one.taken == [1, 2, 3, 4, 5, 6]
    assert host.processor.resume_after == at(6)


def test_what_failed_is_tried_after_growing_pauses_and_told_each_time() -> None:
    one = Taker(*["raises"] * 5)
    host = Host(one, Taker())
    tried = []
    host.process(numbered(1, 2))
    for _ in range(40):
        host.time.advance(1)
        failure = host.process(idle(2)).failure
        if failure is not None:
            tried.append(host.time.monotonic())
    assert tried == [1, 3, 7, 15]
    assert one.taken == [1, 2]


def test_the_one_that_is_least_far_is_told_of() -> None:
    host = Host(Taker("takes", "raises"), Taker("raises"))
    host.process(numbered(1, 1))
    host.time.advance(1)
    failure = host.process(numbered(2, 2)).failure
    assert failure is not None
    assert failure.at == at(2)
    host = Host(Taker("takes", "raises"), Taker("raises", "raises"))
    host.process(numbered(1, 1))
    host.time.advance(1)
    failure = host.process(numbered(2, 2)).failure
    assert failure is not None
    assert failure.at == at(1)
    assert "tracker" in str(failure.error)


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("size", [1, 24], ids=["records", "bytes"])
def test_what_waits_for_one_is_bounded_and_nothing_is_given_twice(size: int) -> None:
    one, other = Taker(*["raises"] * 4), Taker()
    host = Host(one, other)
    first, paces, refused = 1, [], 0
    while first < 12:
        failure = host.process(numbered(first, first + 1, size=size)).failure
        paces.append(failure.pace if failure else None)
        if failure is None or failure.pace is Pace.FULL:
            first += 2
            continue
        refused += 1
        assert failure.at == at(1)
        assert len(other.taken) == (6 if size == 1 else 4)
        host.time.advance(30)
    assert paces[:4] == [Pace.FULL, None, None, Pace.STILL] if size == 1 else [Pace.FULL, None, Pace.STILL]
    assert refused > 1
    assert one.taken == other.taken == list(range(1, 13))


@pytest.mark.usefixtures("small")
def test_time_passes_for_the_others_while_the_shard_waits_for_one() -> None:
    one, other = Taker(*["raises"] * 9), Taker()
    host = Host(one, other)
    host.process(numbered(1, 6))
    host.process(numbered(7, 8))
    last = other.batches[-1]
    assert (last.after, last.records) == (at(6), ())
    assert last.millis_behind_latest > 0
    assert other.tips == [6]


@pytest.mark.usefixtures("small")
def test_a_batch_that_is_larger_than_the_bound_may_wait_alone() -> None:
    one = Taker("raises")
    host = Host(one, Taker())
    answer = host.process(numbered(1, 9))
    assert answer.failure is not None
    assert answer.failure.pace is Pace.FULL
    host.time.advance(1)
    assert host.process(idle(9)) == Progress(at(9))


def test_what_waited_is_no_tip() -> None:
    one = Taker("raises")
    host = Host(one, Taker())
    host.process(numbered(1, 1))
    host.process(numbered(2, 2))
    host.time.advance(60)
    host.process(numbered(3, 3))
    assert one.taken == [1, 2, 3]
    assert one.tips == []
    host.process(idle(3))
    assert one.tips == [3]


def test_one_that_catches_up_lets_the_others_have_their_turn() -> None:
    one, other = Taker("raises"), Taker()
    host = Host(one, other)
    for number in range(1, 9):
        host.process(numbered(number, number))
    host.time.advance(60)
    takes = one.process

    def takes_long(batch: Batch) -> Progress:
        host.time.advance(2)
        return takes(batch)

    one.process = takes_long  # type: ignore[method-assign]
    host.process(numbered(9, 9))
    assert one.taken == [1, 2, 3]
    assert other.taken[-1] == 9


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("mood", ["stops", "half, and stops"])
def test_one_that_refuses_to_go_on_stops_the_shard_when_no_more_may_wait_for_it(mood: str) -> None:
    one, other = Taker(mood), Taker()
    host = Host(one, other)
    first = host.process(numbered(1, 4)).failure
    assert first is not None
    assert first.pace is Pace.FULL
    assert isinstance(first.error, Standstill)
    assert str(first.error) == REFUSES
    host.time.advance(60)
    told_again = host.process(numbered(5, 5)).failure
    assert told_again is not None
    assert len(one.batches) == 1
    last = host.process(numbered(6, 9))
    assert last.failure is not None
    assert isinstance(last.failure.error, ShardStop)
    assert str(last.failure.error) == REFUSES
    assert other.taken == [1, 2, 3, 4, 5]
    assert last.resume_after == (at(2) if mood == "half, and stops" else BEGINNING)


def test_where_all_refuse_to_go_on_the_shard_stops_at_once() -> None:
    host = Host(Taker("stops"), Taker("stops"))
    failure = host.process(numbered(1, 4)).failure
    assert failure is not None
    assert isinstance(failure.error, ShardStop)
    one, other = Taker(), Taker()
    one.cannot_open, other.cannot_open = [STOP], [STOP]
    with pytest.raises(
        ShardStop, match="archiver refuses to go on with shardId-000000000000: the lake contradicts itself"
    ):
        Host(one, other)


def test_where_none_can_be_opened_the_engine_opens_them_again() -> None:
    one, other = Taker(), Taker()
    one.cannot_open, other.cannot_open = [STOP], [AWAY]
    with pytest.raises(OSError, match="no route"):
        Host(one, other)


def test_what_was_read_before_one_was_opened_is_no_tip_to_it() -> None:
    one = Taker()
    one.cannot_open = [AWAY]
    host = Host(one, Taker())
    host.time.advance(1)
    host.process(numbered(1, 1))
    assert (one.taken, one.tips) == ([1], [])
    host.process(idle(1))
    assert one.tips == [1]


def test_one_that_cannot_be_opened_is_opened_later_and_misses_nothing() -> None:
    one, other = Taker(place=at(4)), Taker(place=at(3))
    one.cannot_open = [AWAY, AWAY]
    host = Host(one, other, checkpoint=at(3))
    failure = host.process(numbered(4, 5)).failure
    assert failure is not None
    assert "archiver fails on shardId-000000000000: OSError: no route" in str(failure.error)
    assert other.taken == [3, 4, 5]
    assert host.processor.resume_after == at(3)
    host.time.advance(1)
    host.process(idle(5))
    host.time.advance(2)
    assert host.process(numbered(6, 6)) == Progress(at(6))
    assert one.taken == [4, 5, 6]


def test_one_that_is_opened_late_and_lies_before_what_was_read_stops_the_shard_to_be_read_from_there() -> None:
    one, other = Taker(place=at(1)), Taker(place=at(3))
    one.cannot_open = [AWAY]
    host = Host(one, other, checkpoint=at(3))
    host.process(numbered(4, 5))
    host.time.advance(1)
    failure = host.process(idle(5)).failure
    assert failure is not None
    assert isinstance(failure.error, ShardStop)
    assert one.batches == []


def test_all_are_flushed_though_one_fails() -> None:
    one, other = Taker(lags=True), Taker(lags=True)
    one.cannot_flush = [AWAY]
    host = Host(one, other)
    host.process(numbered(1, 2))
    progress = host.processor.flush()
    assert progress.failure is not None
    assert "archiver fails on shardId-000000000000: OSError: no route" in str(progress.failure.error)
    assert (one.place, other.place) == (BEGINNING, at(2))
    assert host.processor.flush() == Progress(at(2))


def test_a_flush_gives_what_waits_first() -> None:
    one, other = Taker("raises", lags=True), Taker()
    host = Host(one, other)
    host.process(numbered(1, 2))
    host.process(numbered(3, 4))
    assert host.processor.flush() == Progress(at(4))


def test_a_flush_stops_for_one_that_refuses_to_go_on_and_says_what_is_done() -> None:
    one, other = Taker("half, and stops"), Taker()
    host = Host(one, other)
    host.process(numbered(1, 2))
    progress = host.processor.flush()
    assert progress.resume_after == at(1)
    assert progress.failure is not None
    assert isinstance(progress.failure.error, ShardStop)
    assert other.flushed == 1


def test_a_shard_that_is_gone_waits_for_all_to_put_up_with_it() -> None:
    one, other = Taker("takes", "raises", "raises"), Taker()
    host = Host(one, other)
    host.process(numbered(1, 2))
    for _ in range(2):
        failure = host.process(GONE).failure
        assert failure is not None
        assert failure.pace is Pace.STILL
    assert host.process(GONE) == Progress(at(2))
    assert (one.told_gone, other.told_gone) == (1, 1)


def test_a_shard_that_is_gone_stops_at_once_for_one_that_does_not_put_up_with_it() -> None:
    one, other = Taker("takes", "stops"), Taker()
    host = Host(one, other)
    host.process(numbered(1, 2))
    failure = host.process(GONE).failure
    assert failure is not None
    assert isinstance(failure.error, ShardStop)
    assert other.told_gone == 1


def test_idle_reads_are_given_to_each_and_what_one_fails_on_then_is_told() -> None:
    one, other = Taker(), Taker()
    host = Host(one, other)
    host.process(numbered(1, 1))
    one.is_away = True
    failure = host.process(idle(1)).failure
    assert failure is not None
    assert failure.at == at(1)
    one.is_away = False
    host.time.advance(1)
    assert host.process(idle(1)) == Progress(at(1))
    assert one.tips == [1, 1]
    assert other.tips == [1, 1, 1]


def test_the_engine_says_whose_failure_it_is_and_that_one_has_stopped() -> None:
    happened: list[Diagnostic] = []
    host = Host(Taker("raises"), Taker("stops"))
    feeder = Feeder(
        host.processor, host.assignment, checkpoint=lambda _: True, wait=host.time.wait, emit=happened.append
    )
    assert feeder.feed(numbered(1, 2))
    host.time.advance(60)
    assert feeder.feed(numbered(3, 4))
    waits, stopped = happened
    assert isinstance(waits, ShardWaits)
    assert isinstance(stopped, ShardStopped)
    assert "archiver fails on shardId-000000000000: OSError" in str(waits.error)
    assert str(stopped.error).startswith("tracker refuses to go on with shardId-000000000000: the lake contradicts")
    assert not feeder.is_done


MOODS = st.lists(st.sampled_from(["takes", "raises", "half", "slow", "full"]), max_size=12)


@pytest.mark.slow
@given(
    moods=st.tuples(MOODS, MOODS, MOODS),
    lags=st.tuples(st.booleans(), st.booleans(), st.booleans()),
    sizes=st.lists(st.integers(0, 4), max_size=12),
    places=st.tuples(st.integers(0, 3), st.integers(0, 3), st.integers(0, 3)),
    cannot_open=st.integers(0, 3),
)
def test_whatever_each_fails_on_each_is_given_everything_once_and_in_order(
    moods: Any, lags: Any, sizes: list[int], places: Any, cannot_open: int
) -> None:
    checkpoint = min(places)
    takers = [
        Taker(*mood, lags=lag, place=at(place) if place else BEGINNING)
        for mood, lag, place in zip(moods, lags, places, strict=True)
    ]
    takers[0].cannot_open = [AWAY] * cannot_open
    with small_bound():
        host = Host(*takers, checkpoint=at(checkpoint) if checkpoint else BEGINNING)
        written: list[Position] = []

        def checkpoint_at(position: Position) -> bool:
            assert all(position_key(position) <= position_key(taker.place) for taker in takers)
            written.append(position)
            return True

        feeder = Feeder(
            host.processor, host.assignment, checkpoint=checkpoint_at, wait=host.time.wait, emit=lambda _: None
        )
        last = checkpoint
        for size in (*sizes, 4):
            assert feeder.feed(numbered(last + 1, last + size) if size else after(last))
            last += size
            host.time.advance(0.5)
        assert feeder.finish()
    for taker in takers:
        assert [number for number in taker.taken if number > checkpoint][-1] == last
    assert written[-1] == at(last)


def after(number: int) -> Batch:
    return idle(number) if number else a_batch()


class small_bound:  # noqa: N801 - used as a context
    """As the fixture, for hypothesis, which has no function-scoped ones."""

    def __enter__(self) -> None:
        self._patch = pytest.MonkeyPatch()
        self._patch.setattr(member, "MOST_WAITING", 6)

    def __exit__(self, *_: object) -> None:
        self._patch.undo()
