"""Feeding a processor: wait and go on from the failed record, checkpoint what is done, stop when told; lose nothing."""

from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from consumers.diagnostics import ShardStopped, ShardWaits
from consumers.engines.feeding import Feeder
from consumers.processing import Pace, Progress, RecordFailure, ShardAssignment, ShardStop, Standstill
from foundation.diagnostics import Diagnostic
from foundation.kinesis.records import Batch, Position, Sentinel, SequenceNumber
from tests.support.builders import a_batch, a_record
from tests.support.fakes.clock import FakeClock

ANSWER = Callable[[Batch], Progress]


def number(value: int) -> SequenceNumber:
    return SequenceNumber(str(value))


def batch(first: int, last: int) -> Batch:
    return a_batch(*(a_record(value, data=b"") for value in range(first, last + 1)))


def done(given: Batch) -> Progress:
    return Progress(given.records[-1].sequence_number if given.records else Sentinel.TRIM_HORIZON)


def fails_at(at: int, error: Exception | None = None) -> ANSWER:
    return lambda _: Progress(number(at - 1), RecordFailure(number(at), error or OSError("down")))


def raises(error: Exception) -> ANSWER:
    def answer(_: Batch) -> Progress:
        raise error

    return answer


@dataclass
class Scripted:
    """Answers as scripted, then that all is done; notes which records it was given."""

    answers: list[ANSWER] = field(default_factory=list)
    flushes: list[ANSWER] = field(default_factory=list)
    given: list[list[int]] = field(default_factory=list)
    batches: list[Batch] = field(default_factory=list)
    resume_after: Position = Sentinel.TRIM_HORIZON

    def process(self, given: Batch) -> Progress:
        self.batches.append(given)
        self.given.append([int(record.number) for record in given.records])
        return (self.answers.pop(0) if self.answers else done)(given)

    def flush(self) -> Progress:
        return self.flushes.pop(0)(a_batch())


@dataclass
class Fed:
    processor: Scripted
    at_most: int | None = None
    checkpoint: Position = Sentinel.TRIM_HORIZON
    writable: bool = True
    written: list[Position] = field(default_factory=list)
    happened: list[Diagnostic] = field(default_factory=list)
    time: FakeClock = field(default_factory=FakeClock)

    def __post_init__(self) -> None:
        self.feeder = Feeder(
            self.processor,
            ShardAssignment("orders", "shardId-000000000000", self.checkpoint),
            checkpoint=self._write,
            wait=self.time.wait,
            emit=self.happened.append,
            at_most=self.at_most,
        )

    def _write(self, position: Position) -> bool:
        self.written.append(position)
        return self.writable


def test_what_is_done_is_checkpointed_once() -> None:
    fed = Fed(Scripted())
    assert fed.feeder.feed(batch(1, 3))
    assert fed.feeder.feed(a_batch())
    assert fed.written == [number(3)]


def test_a_checkpoint_that_was_not_written_is_told_again() -> None:
    fed = Fed(Scripted([done, lambda _: Progress(number(3))]), writable=False)
    fed.feeder.feed(batch(1, 3))
    fed.feeder.feed(a_batch())
    assert fed.written == [number(3), number(3)]


def test_progress_behind_the_checkpoint_is_no_news() -> None:
    fed = Fed(Scripted([lambda _: Progress(number(2))]), checkpoint=number(5))
    fed.feeder.feed(batch(6, 7))
    assert fed.written == []


def test_after_a_failure_it_waits_and_goes_on_from_the_failed_record() -> None:
    fed = Fed(Scripted([fails_at(2), fails_at(2), fails_at(3)]))
    assert fed.feeder.feed(batch(1, 3))
    assert fed.processor.given == [[1, 2, 3], [2, 3], [2, 3], [3]]
    assert fed.processor.batches[1].after == number(1)
    assert fed.written == [number(1), number(2), number(3)]
    assert fed.time.waits == [1, 2, 1]
    assert [event.position for event in fed.happened if isinstance(event, ShardWaits)] == ["2", "2", "3"]


def test_the_pauses_grow_while_the_same_record_fails() -> None:
    fed = Fed(Scripted([fails_at(1)] * 7))
    fed.feeder.feed(batch(1, 1))
    assert fed.time.waits == [1, 2, 4, 8, 16, 30, 30]


def test_after_an_error_all_of_it_is_given_again() -> None:
    fed = Fed(Scripted([raises(ValueError())] * 2))
    assert fed.feeder.feed(batch(1, 2))
    assert fed.processor.given == [[1, 2]] * 3


def test_a_failure_among_earlier_records_gives_the_batch_again_even_an_empty_one() -> None:
    fed = Fed(Scripted([fails_at(2), done, fails_at(2)]))
    assert fed.feeder.feed(batch(5, 6))
    assert fed.feeder.feed(a_batch())
    assert fed.processor.given == [[5, 6], [5, 6], [], []]


def test_a_failure_behind_the_batch_makes_no_sense_and_says_so() -> None:
    fed = Fed(Scripted([fails_at(9)]))
    with pytest.raises(ValueError, match=r"failed at 9, which is behind the batch.*fix:"):
        fed.feeder.feed(batch(1, 2))


def test_a_wait_that_is_cut_short_ends_the_feeding_and_skips_nothing() -> None:
    fed = Fed(Scripted([fails_at(2)] * 5))
    fed.time.stopping = True
    assert not fed.feeder.feed(batch(1, 3))
    assert fed.processor.given == [[1, 2, 3]]
    assert fed.written == [number(1)]


@pytest.mark.parametrize("answer", [fails_at(2, ShardStop("bad deployment")), raises(ShardStop("bad deployment"))])
def test_a_deliberate_stop_is_raised_after_the_checkpoint(answer: ANSWER) -> None:
    fed = Fed(Scripted([answer]))
    with pytest.raises(ShardStop):
        fed.feeder.feed(batch(1, 3))
    assert fed.written in ([number(1)], [])
    assert fed.time.waits == []


def test_a_large_batch_is_given_in_parts_with_a_checkpoint_after_each() -> None:
    fed = Fed(Scripted(), at_most=3)
    assert fed.feeder.feed(batch(1, 7))
    assert fed.processor.given == [[1, 2, 3], [4, 5, 6], [7]]
    assert [part.after for part in fed.processor.batches] == [Sentinel.TRIM_HORIZON, number(3), number(6)]
    assert fed.written == [number(3), number(6), number(7)]


def test_only_the_last_part_can_be_at_the_tip() -> None:
    fed = Fed(Scripted(), at_most=3)
    fed.feeder.feed(batch(1, 6))
    assert [part.millis_behind_latest for part in fed.processor.batches] == [1, 0]


def test_a_stop_is_noticed_between_two_parts() -> None:
    fed = Fed(Scripted(), at_most=3)
    fed.time.stopping = True
    assert not fed.feeder.feed(batch(1, 7))
    assert fed.processor.given == [[1, 2, 3]]


def test_finishing_flushes_until_all_that_was_fed_is_done() -> None:
    flushes: list[ANSWER] = [raises(OSError()), lambda _: Progress(number(2)), lambda _: Progress(number(3))]
    fed = Fed(Scripted([lambda _: Progress(number(1))], flushes))
    fed.feeder.feed(batch(1, 3))
    assert fed.feeder.finish()
    assert fed.written == [number(1), number(2), number(3)]
    assert fed.time.waits == [1, 2]


def test_finishing_ends_when_the_wait_is_cut_short() -> None:
    fed = Fed(Scripted([lambda _: Progress(number(1))], [lambda _: Progress(number(1))]))
    fed.feeder.feed(batch(1, 3))
    fed.time.stopping = True
    assert not fed.feeder.finish()


def test_a_flush_tells_what_went_wrong() -> None:
    error = OSError("no space")
    fed = Fed(Scripted(flushes=[raises(error), fails_at(2, error), done]))
    assert [fed.feeder.flush() for _ in range(3)] == [error, error, None]
    assert fed.written == [number(1)]


def keeps(at: int, pace: Pace, error: Exception | None = None) -> ANSWER:
    failure = RecordFailure(number(at), error or OSError("down"), pace, "a dependency's")
    return lambda _: Progress(number(at - 1), failure)


def test_what_the_processor_keeps_while_others_work_holds_up_nothing() -> None:
    fed = Fed(Scripted([keeps(2, Pace.FULL)] * 3))
    for first in (1, 4, 7):
        assert fed.feeder.feed(batch(first, first + 2))
    assert fed.processor.given == [[1, 2, 3], [4, 5, 6], [7, 8, 9]]
    assert fed.written == [number(1)]
    assert fed.time.waits == []
    told = [event for event in fed.happened if isinstance(event, ShardWaits)]
    assert {(event.position, event.retry_in_seconds, event.verdict) for event in told} == {("2", 0, "a dependency's")}


def test_what_it_keeps_while_nothing_works_is_waited_for_before_others_are_read() -> None:
    fed = Fed(Scripted([keeps(2, Pace.SLOW)] * 3))
    for first in (1, 4, 7):
        assert fed.feeder.feed(batch(first, first + 2))
    assert fed.processor.given == [[1, 2, 3], [4, 5, 6], [7, 8, 9]]
    assert fed.time.waits == [1, 2, 4]


def test_pauses_begin_anew_when_something_has_worked() -> None:
    paces = [Pace.SLOW, Pace.SLOW, Pace.FULL, Pace.SLOW]
    fed = Fed(Scripted([keeps(2, pace) for pace in paces]))
    for turn in range(4):
        assert fed.feeder.feed(batch(3 * turn + 1, 3 * turn + 3))
    assert fed.time.waits == [1, 2, 1]


@pytest.mark.parametrize("answer", [keeps(2, Pace.SLOW, Standstill("a bug")), raises(Standstill("a bug"))])
def test_a_standstill_is_told_as_a_stop_and_tried_again(answer: ANSWER) -> None:
    fed = Fed(Scripted([answer]))
    assert fed.feeder.feed(batch(1, 3))
    assert [type(event) for event in fed.happened] == [ShardStopped]


def test_finishing_may_be_bounded() -> None:
    fed = Fed(Scripted([keeps(2, Pace.FULL)], [keeps(2, Pace.FULL)] * 9))
    fed.feeder.feed(batch(1, 3))
    assert not fed.feeder.finish(within=20)
    assert fed.time.waits == [1, 2, 4, 8]
