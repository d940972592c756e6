"""The batch rules: keys in parallel and each in order, attempts and halving, a window, an age; nothing done twice."""

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from consumers.batching.attempt import MOST_IN_A_ROW
from consumers.batching.handler import Handled
from consumers.batching.pace import HandlerFailed
from consumers.batching.processor import BatchProcessor
from consumers.batching.rules import BatchRules
from consumers.dead_letters.letters import DeadLetter
from consumers.dead_letters.set_apart import SetsApart
from consumers.processing import Pace, Progress, ShardAssignment, ShardStop, Unavailable, Unprocessable
from foundation.diagnostics import Diagnostic
from foundation.kinesis.records import Batch, Position, Record, Sentinel, SequenceNumber, position_key
from foundation.threads import StartThread
from tests.support.builders import a_batch, a_record
from tests.support.fakes.clock import FakeClock
from tests.support.fakes.threads import SimulatedThreads

BROKEN_WORLD = ClientError({"Error": {"Code": "Throttling", "Message": "slow down"}}, "Publish")
ONE_BY_ONE = BatchRules(parallelization_factor=1)


@dataclass
class Letters:
    written: list[DeadLetter] = field(default_factory=list)
    refusals: int = 0

    def put(self, letter: DeadLetter) -> None:
        if self.refusals:
            self.refusals -= 1
            raise BROKEN_WORLD
        self.written.append(letter)


@dataclass
class Handler:
    """Notes the text of each record it handles; `before` is asked first and may raise, or take its time.

    It names the record that failed, unless it is told to `raise` like a handler that does not know.
    """

    before: Callable[[str], Any] = lambda _: None
    names: bool = True
    done: list[str] = field(default_factory=list)
    calls: list[list[str]] = field(default_factory=list)
    recalled: list[list[str]] = field(default_factory=list)
    promises: dict[str, list[Future[object]]] = field(default_factory=dict)
    passes_over: str = "other"

    def hear(self, record: Record) -> str | None:
        if record.data == b"unreadable":
            raise Unprocessable("no text")
        return None if record.data.decode() == self.passes_over else record.data.decode()

    def order_of(self, heard: str) -> str:
        return heard.partition("-")[0]

    def recall(self, heard: Sequence[str]) -> None:
        self.recalled.append(list(heard))

    def handle(self, heard: Sequence[str]) -> Handled | None:
        self.calls.append(list(heard))
        if not self.names:
            for text in heard:
                self.before(text)
            self.done += heard
            return None
        promises: list[Future[object] | None] = []
        for text in heard:
            try:
                self.before(text)
            except Exception as error:  # noqa: BLE001 - named
                return Handled(promises, error)
            self.done.append(text)
            promises.append(self.promises[text].pop(0) if self.promises.get(text) else None)
        return Handled(promises)


@dataclass
class Shard:
    handler: Handler = field(default_factory=Handler)
    rules: BatchRules = ONE_BY_ONE
    letters: Letters = field(default_factory=Letters)
    happened: list[Diagnostic] = field(default_factory=list)
    time: FakeClock = field(default_factory=FakeClock)
    thread: StartThread = threading.Thread

    def __post_init__(self) -> None:
        apart = SetsApart("notes", self.letters, clock=self.time.clock, emit=self.happened.append)
        assignment = ShardAssignment("orders", "shardId-000000000000", Sentinel.TRIM_HORIZON)
        self.processor = BatchProcessor(
            self.handler, assignment, self.rules, apart=apart, clock=self.time.clock, thread=self.thread
        )

    def until_done(self, batch: Batch, at_most: int = 50) -> int:
        """As an engine does: again from the failed record on, after pauses. How often it took."""
        for times in range(1, at_most + 1):
            progress = self.processor.process(batch)
            if progress.resume_after == batch.records[-1].sequence_number:
                assert progress.failure is None
                return times
            if progress.failure is not None:
                failed_at = progress.failure.at
                batch = a_batch(
                    *(
                        record
                        for record in batch.records
                        if position_key(record.sequence_number) >= position_key(failed_at)
                    )
                )
            self.time.advance(30)
        raise AssertionError(f"not done after {at_most} times: {progress}")

    @property
    def apart(self) -> list[tuple[str, int]]:
        return [(letter.payload.decode(), letter.attempts) for letter in self.letters.written]


def texts(*each: str) -> Batch:
    """A record each, named `key:text`, or by its text alone."""
    return a_batch(
        *(a_record(index, data=text.encode(), order_id=text.partition(":")[0]) for index, text in enumerate(each, 1))
    )


def number(value: int, sub: int = 0) -> SequenceNumber:
    return SequenceNumber(str(value), sub)


def failing(text: str, *errors: BaseException) -> Callable[[str], None]:
    """Fails at this text, once with each of these errors, and without end with the last when it is the only one."""
    left = list(errors)

    def before(handled: str) -> None:
        if handled == text and left:
            raise left.pop(0) if len(errors) > 1 else left[0]

    return before


def always(error: Exception) -> Callable[[str], None]:
    def before(_: str) -> None:
        raise error

    return before


def resumes_at(shard: Shard, batch: Batch) -> Position:
    return shard.processor.process(batch).resume_after


# Keys: each in order, several at once.


def test_one_call_has_the_records_of_one_key_in_order() -> None:
    shard = Shard()
    shard.until_done(texts("a:1", "b:1", "a:2", "b:2", "a:3"))
    assert shard.handler.calls == [["a:1", "a:2", "a:3"], ["b:1", "b:2"]]


def test_what_is_remembered_is_asked_once_for_a_batch() -> None:
    shard = Shard(rules=BatchRules(batch_size=3, parallelization_factor=1))
    shard.until_done(texts("a:1", "b:1", "a:2", "b:2"))
    assert shard.handler.recalled == [["a:1", "a:2", "b:1"], ["b:2"]]


def test_records_of_no_concern_are_passed_over() -> None:
    shard = Shard()
    assert shard.processor.process(texts("other", "other")) == Progress(number(2))
    assert shard.handler.calls == []
    assert shard.handler.recalled == []


@pytest.fixture
def simulated() -> Iterator[tuple[FakeClock, SimulatedThreads]]:
    time = FakeClock()
    threads = SimulatedThreads(time)
    yield time, threads
    assert threads.crashes == []


@pytest.mark.parametrize(("factor", "seconds"), [(1, 80), (2, 40), (8, 10), (64, 10)])
def test_so_many_keys_are_handled_at_once(
    simulated: tuple[FakeClock, SimulatedThreads], factor: int, seconds: float
) -> None:
    time, threads = simulated
    handler = Handler(before=lambda _: threads.run(10))
    shard = Shard(handler, BatchRules(parallelization_factor=factor), time=time, thread=threads.thread)
    shard.until_done(texts(*"abcdefgh"))
    assert time.monotonic() == seconds
    assert sorted(handler.done) == list("abcdefgh")


def test_a_key_is_never_handled_by_two_at_once_and_keeps_its_order(
    simulated: tuple[FakeClock, SimulatedThreads],
) -> None:
    time, threads = simulated
    inside: set[str] = set()

    def before(text: str) -> None:
        key = text.partition(":")[0]
        assert key not in inside
        inside.add(key)
        threads.run(len(text) + ord(key) % 7)
        inside.remove(key)

    handler = Handler(before)
    shard = Shard(handler, BatchRules(parallelization_factor=4), time=time, thread=threads.thread)
    each = [f"{key}:{turn}" for turn in range(20) for key in "abcde"]
    shard.until_done(texts(*each))
    for key in "abcde":
        assert [text for text in handler.done if text[0] == key] == [f"{key}:{turn}" for turn in range(20)]
    assert handler.done != each


# The world is broken: wait, lose nothing, do nothing twice.


@pytest.mark.parametrize("error", [BROKEN_WORLD, OSError("no route"), Unavailable("down")])
def test_a_broken_world_is_no_attempt_however_long_it_lasts(error: Exception) -> None:
    shard = Shard(Handler(failing("b", *[error] * 40)))
    assert shard.until_done(texts("a", "b", "c")) == 41
    assert shard.handler.done == ["a", "c", "b"]
    assert shard.apart == []


def test_progress_is_the_longest_prefix_that_is_done() -> None:
    shard = Shard(Handler(failing("c", BROKEN_WORLD)))
    progress = shard.processor.process(texts("a", "b", "c", "d"))
    assert progress.resume_after == number(2)
    assert progress.failure is not None
    assert progress.failure.at == number(3)
    assert progress.failure.error.__cause__ is BROKEN_WORLD


def test_progress_names_the_place_inside_an_aggregate() -> None:
    shard = Shard(Handler(failing("c", BROKEN_WORLD)))
    aggregate = [a_record(7, sub=sub, data=text.encode(), order_id=text) for sub, text in enumerate("abcd")]
    progress = shard.processor.process(a_batch(*aggregate))
    assert progress.resume_after == number(7, 1)
    assert progress.failure is not None
    assert progress.failure.at == number(7, 2)


def test_a_broken_world_is_asked_for_ten_keys_and_for_others_after_each_pause() -> None:
    shard = Shard(Handler(always(BROKEN_WORLD)))
    each = [f"order-{value:02}" for value in range(30)]
    batch = texts(*each)
    for attempt in range(1, 4):
        progress = shard.processor.process(batch)
        assert progress.failure is not None
        assert progress.failure.pace is Pace.STILL
        assert len(shard.handler.calls) == attempt * MOST_IN_A_ROW
    assert sorted(text for (text,) in shard.handler.calls) == each


def test_what_is_done_behind_the_prefix_is_not_done_again(simulated: tuple[FakeClock, SimulatedThreads]) -> None:
    time, threads = simulated
    attempts = iter([BROKEN_WORLD] * 3)

    def before(text: str) -> None:
        threads.run(5)
        if text == "a" and (error := next(attempts, None)):
            raise error

    handler = Handler(before)
    shard = Shard(handler, BatchRules(parallelization_factor=4), time=time, thread=threads.thread)
    assert resumes_at(shard, texts(*"abcd")) is Sentinel.TRIM_HORIZON
    assert sorted(handler.done) == ["b", "c", "d"]
    shard.until_done(texts(*"abcd"))
    assert sorted(handler.done) == ["a", "b", "c", "d"]


def test_a_promise_that_is_not_kept_undoes_its_key_from_there_on_and_no_other() -> None:
    lost: Future[object] = Future()
    lost.set_exception(OSError("not acknowledged"))
    shard = Shard(Handler(promises={"a:2": [lost]}))
    batch = texts("a:1", "a:2", "b:1", "a:3")
    progress = shard.processor.process(batch)
    assert progress.resume_after == number(1)
    assert progress.failure is not None
    assert progress.failure.at == number(2)
    shard.until_done(a_batch(*batch.records[1:]))
    assert shard.handler.done == ["a:1", "a:2", "a:3", "b:1", "a:2", "a:3"]


def test_a_store_that_cannot_be_asked_is_waited_for_before_anything_is_done() -> None:
    class Forgetful(Handler):
        def recall(self, heard: Sequence[str]) -> None:
            assert heard
            raise BROKEN_WORLD

    shard = Shard(Forgetful())
    progress = shard.processor.process(texts("a"))
    assert progress.failure is not None
    assert progress.failure.error.__cause__ is BROKEN_WORLD
    assert shard.handler.calls == []


# Broken records.


def test_an_unprocessable_record_is_set_apart_at_once_and_its_key_goes_on() -> None:
    shard = Shard(Handler(failing("a:2", Unprocessable("refused"))))
    assert shard.until_done(texts("a:1", "a:2", "a:3", "b:1")) == 1
    assert shard.handler.done == ["a:1", "a:3", "b:1"]
    assert shard.apart == [("a:2", 1)]


def test_an_own_error_is_tried_so_often_and_then_the_named_record_is_set_apart() -> None:
    shard = Shard(Handler(failing("a:2", KeyError("menu"))))
    assert shard.until_done(texts("a:1", "a:2", "a:3", "b:1")) == ONE_BY_ONE.max_attempts
    assert sorted(shard.handler.done) == ["a:1", "a:3", "b:1"]
    assert shard.apart == [("a:2", ONE_BY_ONE.max_attempts)]


@pytest.mark.parametrize("poison", range(10))
def test_a_poison_record_in_an_aggregate_alone_is_set_apart_and_the_rest_delivered_once(poison: int) -> None:
    """By a handler that does not know which record it was."""
    shard = Shard(Handler(failing(f"text-{poison}", ValueError("?")), names=False))
    aggregate = [a_record(7, sub=sub, data=f"text-{sub}".encode()) for sub in range(10)]
    another = a_record(8, data=b"another", order_id="another")
    assert shard.until_done(a_batch(*aggregate, another)) == ONE_BY_ONE.max_attempts
    assert [letter.sub_sequence_number for letter in shard.letters.written] == [poison]
    assert shard.handler.done == ["another", *(f"text-{sub}" for sub in range(10) if sub != poison)]


def test_several_poison_records_of_a_key_are_all_found() -> None:
    def before(text: str) -> None:
        if text in {"a:3", "a:4", "a:9"}:
            raise ValueError(text)

    shard = Shard(Handler(before, names=False))
    shard.until_done(texts(*(f"a:{turn}" for turn in range(10))))
    assert sorted(text for text, _ in shard.apart) == ["a:3", "a:4", "a:9"]
    assert shard.handler.done == [f"a:{turn}" for turn in range(10) if turn not in {3, 4, 9}]


def test_an_unprocessable_one_that_is_not_named_is_found_at_once() -> None:
    shard = Shard(Handler(failing("a:2", Unprocessable("refused")), names=False))
    assert shard.until_done(texts("a:1", "a:2", "a:3")) == 1
    assert [text for text, _ in shard.apart] == ["a:2"]
    assert shard.handler.done == ["a:1", "a:3"]


def test_without_halving_all_that_was_in_the_call_is_set_apart() -> None:
    rules = BatchRules(parallelization_factor=1, bisect_batch_on_error=False, max_attempts=2)
    shard = Shard(Handler(failing("a:2", ValueError()), names=False), rules)
    assert shard.until_done(texts("a:1", "a:2", "b:1")) == 2
    assert [text for text, _ in shard.apart] == ["a:1", "a:2"]
    assert shard.handler.done == ["b:1"]


def test_a_world_that_breaks_while_halving_loses_nothing() -> None:
    errors = iter([*[ValueError()] * 5, None, BROKEN_WORLD, BROKEN_WORLD])

    def before(text: str) -> None:
        if text == "a:3" and (error := next(errors, ValueError())):
            raise error

    shard = Shard(Handler(before, names=False))
    shard.until_done(texts(*(f"a:{turn}" for turn in range(1, 5))))
    assert sorted({*shard.handler.done, *(text for text, _ in shard.apart)}) == ["a:1", "a:2", "a:3", "a:4"]


def test_a_poison_record_does_not_hold_the_other_keys() -> None:
    shard = Shard(Handler(failing("a", KeyError())))
    shard.processor.process(texts("a", "b", "c"))
    assert shard.handler.done == ["b", "c"]


def test_a_stop_is_what_the_engine_is_told_whatever_else_failed() -> None:
    def before(text: str) -> None:
        raise {"a": KeyError(), "b": ShardStop("bad deployment")}[text]

    progress = Shard(Handler(before)).processor.process(texts("a", "b", "c"))
    assert progress.failure is not None
    assert isinstance(progress.failure.error, ShardStop)
    assert progress.failure.at == number(1)


def test_a_letter_that_cannot_be_written_holds_the_shard_and_its_record_is_not_handled_again() -> None:
    shard = Shard(Handler(failing("b", Unprocessable("refused"))), letters=Letters(refusals=2))
    progress = shard.processor.process(texts("a", "b", "c"))
    assert progress.resume_after == number(1)
    assert progress.failure is not None
    assert progress.failure.error.__cause__ is BROKEN_WORLD
    assert shard.until_done(batch_at(2, "b", "c")) == 2
    assert shard.handler.calls == [["a"], ["b"], ["c"]]
    assert shard.apart == [("b", 1)]


def test_what_an_engine_logs_of_an_own_error_quotes_no_record() -> None:
    progress = Shard(Handler(failing("a", KeyError("ada@example.com")))).processor.process(texts("a"))
    assert progress.failure is not None
    assert isinstance(progress.failure.error, HandlerFailed)
    assert f"KeyError at {Path(__file__).name}:" in str(progress.failure.error)
    assert "attempt 1 of 5" in str(progress.failure.error)
    assert "ada@" not in str(progress.failure.error)


# Age.


def test_a_record_that_is_too_old_is_set_apart_without_being_tried() -> None:
    shard = Shard(rules=BatchRules(max_record_age=timedelta(hours=1)))
    shard.time.advance(3601)
    assert shard.until_done(texts(*"abcdefghijkl")) == 1
    assert shard.handler.calls == []
    assert sorted(shard.apart) == [(text, 0) for text in "abcdefghijkl"]
    assert "TooOld: older than 1:00:00" in shard.letters.written[0].error


def test_a_record_that_gets_too_old_while_it_fails_is_set_apart() -> None:
    shard = Shard(Handler(failing("a", BROKEN_WORLD)), BatchRules(max_record_age=timedelta(hours=1)))
    assert shard.processor.process(texts("a")).failure is not None
    shard.time.advance(3601)
    assert shard.until_done(texts("a")) == 1
    assert [text for text, _ in shard.apart] == ["a"]


# The window.


def gathering(**rules: Any) -> Shard:
    return Shard(rules=BatchRules(parallelization_factor=1, batching_window=timedelta(seconds=10), **rules))


def batch_at(first: int, *each: str) -> Batch:
    return a_batch(*(a_record(first + index, data=text.encode(), order_id=text) for index, text in enumerate(each)))


def test_records_are_gathered_until_the_window_closes() -> None:
    shard = gathering()
    assert resumes_at(shard, batch_at(1, "a")) is Sentinel.TRIM_HORIZON
    shard.time.advance(6)
    assert resumes_at(shard, batch_at(2, "b")) is Sentinel.TRIM_HORIZON
    assert shard.handler.calls == []
    shard.time.advance(4)
    assert resumes_at(shard, a_batch()) == number(2)
    assert shard.handler.recalled == [["a", "b"]]


def test_records_are_gathered_until_there_are_enough() -> None:
    shard = gathering(batch_size=3)
    resumes_at(shard, batch_at(1, "a", "b"))
    assert resumes_at(shard, batch_at(3, "c", "d")) == number(4)
    assert shard.handler.recalled == [["a", "b", "c"], ["d"]]


def test_a_flush_does_not_wait_for_the_window() -> None:
    shard = gathering()
    shard.processor.process(batch_at(1, "a", "b"))
    assert shard.processor.flush() == Progress(number(2))
    assert shard.handler.done == ["a", "b"]


def test_what_failed_does_not_wait_for_the_window_again() -> None:
    shard = gathering(batch_size=2)
    shard.handler.before = failing("a", BROKEN_WORLD, BROKEN_WORLD)
    for _ in range(2):
        assert shard.processor.process(batch_at(1, "a", "b")).failure is not None
        shard.time.advance(2)
    assert resumes_at(shard, batch_at(1, "a", "b")) == number(2)


def test_a_failure_among_what_was_gathered_earlier_names_that_record() -> None:
    shard = gathering()
    shard.handler.before = failing("a", BROKEN_WORLD, BROKEN_WORLD)
    shard.processor.process(batch_at(1, "a"))
    shard.time.advance(10)
    progress = shard.processor.process(batch_at(2, "b"))
    assert progress.failure is not None
    assert progress.failure.at == number(1)


# Handlers that misbehave.


@pytest.mark.parametrize("factor", [1, 4])
def test_a_handler_that_exits_the_process_is_an_own_error_like_any(factor: int) -> None:
    shard = Shard(Handler(failing("a", SystemExit(3))), BatchRules(parallelization_factor=factor))
    assert shard.until_done(texts("a", "b")) == ONE_BY_ONE.max_attempts
    (letter,) = shard.letters.written
    assert letter.error == "HandlerExited: the handler asked the process to exit: 3"
    assert shard.handler.done == ["b"]


@pytest.mark.parametrize("factor", [1, 4])
def test_an_interrupt_passes_through_and_is_never_swallowed(factor: int) -> None:
    shard = Shard(
        Handler(failing("a", KeyboardInterrupt(), KeyboardInterrupt())), BatchRules(parallelization_factor=factor)
    )
    with pytest.raises(KeyboardInterrupt):
        shard.processor.process(texts("a", "b"))
    assert shard.processor.resume_after is Sentinel.TRIM_HORIZON


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ("done", "answered str"),
        (Handled(()), "0 promises for 2 records, without an error"),
        (Handled((None, None), OSError()), "2 promises for 2 records, with an error"),
        (Handled((None,) * 3), "3 promises for 2 records"),
    ],
)
def test_an_answer_that_makes_no_sense_stops_the_shard(answer: Any, said: str) -> None:
    class Confused(Handler):
        def handle(self, heard: Sequence[str]) -> Any:
            return answer if heard else None

    shard = Shard(Confused())
    progress = shard.processor.process(texts("a:1", "a:2"))
    assert progress.resume_after is Sentinel.TRIM_HORIZON
    assert progress.failure is not None
    assert isinstance(progress.failure.error, ShardStop)
    assert said in str(progress.failure.error)
    assert "fix: " in str(progress.failure.error)


def test_memory_holds_no_more_than_what_is_not_done() -> None:
    shard = Shard()
    for first in range(1, 1000, 10):
        shard.until_done(batch_at(first, *(f"text-{turn}" for turn in range(10))))
    assert shard.processor._waiting == []
