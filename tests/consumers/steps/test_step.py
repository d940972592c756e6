"""One step on one shard: effects before progress, outcomes remembered, bad records set apart, outages waited out."""

import itertools
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import pytest
from botocore.exceptions import ClientError

from consumers.batching.rules import BatchRules
from consumers.dead_letters.letters import DeadLetter
from consumers.dead_letters.set_apart import SetsApart
from consumers.diagnostics import RecordSetApart
from consumers.processing import Progress, RecordProcessor, ShardAssignment, ShardStop, Unprocessable
from consumers.steps.step import HandlerStep, performs
from events.envelope import EventEnvelope
from events.orders import Event, OrderPlaced, RestaurantNotified
from events.wire import EncodedEvent, decode, encode
from foundation.clock import Clock
from foundation.diagnostics import Diagnostic
from foundation.kinesis.records import Batch, Record, Sentinel, SequenceNumber
from producers.publishing.publisher import PublisherClosed, PublishFailed
from tests.support.builders import NOON, a_batch, a_record, an_envelope, an_order_accepted


class Later:
    """Each look at the clock is a minute later, so that all that waits is due."""

    def __init__(self) -> None:
        self._minutes = itertools.count()

    def monotonic(self) -> float:
        return 60.0 * next(self._minutes)


CLOCK = Clock(now=lambda: NOON, monotonic=Later().monotonic)
RULES = BatchRules(parallelization_factor=1)
MAX_ATTEMPTS = RULES.max_attempts
THROTTLED = ClientError({"Error": {"Code": "Throttling", "Message": "slow down"}}, "Publish")


@dataclass
class Outcomes:
    """`late` recalls nothing yet, as when another holder remembers only after we asked."""

    stored: dict[str, bytes] = field(default_factory=dict)
    late: bool = False
    asked: list[Sequence[str]] = field(default_factory=list)

    def recall(self, event_ids: Sequence[str]) -> dict[str, bytes]:
        self.asked.append(event_ids)
        return {event_id: self.stored[event_id] for event_id in event_ids if event_id in self.stored and not self.late}

    def remember(self, event_id: str, outcome: bytes) -> bytes:
        return self.stored.setdefault(event_id, outcome)


@dataclass
class Publisher:
    """Acknowledges at once, or fails the publications named in `failing` by their order."""

    published: list[EncodedEvent[Event]] = field(default_factory=list)
    failing: set[str] = field(default_factory=set)
    failing_ids: set[str] = field(default_factory=set)
    closed: bool = False

    def publish(self, event: EncodedEvent[Event]) -> "Future[None]":
        if self.closed:
            raise PublisherClosed("its thread died")
        answer: Future[None] = Future()
        told: Any = event.envelope.event
        if event.envelope.order_id in self.failing or told.message_id in self.failing_ids:
            answer.set_exception(PublishFailed("the stream is away"))
        else:
            self.published.append(event)
            answer.set_result(None)
        return answer


@dataclass
class Letters:
    written: list[DeadLetter] = field(default_factory=list)
    refusing: bool = False

    def put(self, letter: DeadLetter) -> None:
        if self.refusing:
            raise THROTTLED
        self.written.append(letter)


@dataclass
class Kitchen:
    """The effect: counts who was told, and fails as scripted, once per scripted error."""

    told: list[str] = field(default_factory=list)
    errors: dict[str, list[Exception]] = field(default_factory=dict)

    def handle(self, placed: EventEnvelope[OrderPlaced]) -> RestaurantNotified:
        if self.errors.get(placed.order_id):
            raise self.errors[placed.order_id].pop(0)
        self.told.append(placed.order_id)
        return RestaurantNotified(restaurant_id="restaurant-1", channel="sns", message_id=f"m-{len(self.told)}")


@dataclass
class Shard:
    """Everything around one processor; `processor()` is a new holder of the shard, with only the stores kept."""

    outcomes: Outcomes = field(default_factory=Outcomes)
    publisher: Publisher = field(default_factory=Publisher)
    letters: Letters = field(default_factory=Letters)
    kitchen: Kitchen = field(default_factory=Kitchen)
    happened: list[Diagnostic] = field(default_factory=list)
    rules: BatchRules = RULES

    def __post_init__(self) -> None:
        self._apart = SetsApart("restaurant_notifier", self.letters, clock=CLOCK, emit=self.happened.append)

    def processor(self) -> RecordProcessor:
        publisher: Any = self.publisher
        factory = performs(
            HandlerStep("restaurant_notifier", OrderPlaced, self.kitchen.handle),
            self.rules,
            outcomes=self.outcomes,
            publisher=publisher,
            apart=self._apart,
            clock=CLOCK,
            emit=self.happened.append,
        )
        return factory(ShardAssignment("orders", "shardId-000000000000", Sentinel.TRIM_HORIZON))


def orders(*names: str) -> Batch:
    return a_batch(*(a_record(index, order_id=name) for index, name in enumerate(names, start=1)))


def number(value: int) -> SequenceNumber:
    return SequenceNumber(str(value))


def test_each_order_is_told_once_and_what_follows_is_published_in_order() -> None:
    shard = Shard()
    assert shard.processor().process(orders("a", "b", "c")) == Progress(number(3))
    assert shard.kitchen.told == ["a", "b", "c"]
    assert [event.envelope.order_id for event in shard.publisher.published] == ["a", "b", "c"]
    first = shard.publisher.published[0].envelope
    heard = decode(a_record(1, order_id="a").data)
    assert (first.event_type, first.cause, first.producer) == (
        "restaurant_notified",
        heard.event_id,
        "restaurant_notifier",
    )


def test_events_of_other_steps_are_passed_over() -> None:
    shard = Shard()
    batch = a_batch(a_record(1, data=encode(an_envelope(an_order_accepted()))))
    assert shard.processor().process(batch) == Progress(number(1))
    assert shard.kitchen.told == []
    assert shard.publisher.published == []


def test_an_empty_batch_changes_nothing() -> None:
    processor = Shard().processor()
    assert processor.process(a_batch()) == Progress(Sentinel.TRIM_HORIZON)


def test_hearing_again_repeats_no_effect_and_publishes_the_very_same_event() -> None:
    shard = Shard()
    shard.processor().process(orders("a"))
    shard.processor().process(orders("a"))
    assert shard.kitchen.told == ["a"]
    assert shard.publisher.published[0].data == shard.publisher.published[1].data


def several(placed: EventEnvelope[OrderPlaced]) -> list[Event]:
    """The restaurant is told, and told again."""
    told = RestaurantNotified(restaurant_id="restaurant-1", channel="sns", message_id=placed.order_id)
    return [told, msgspec.structs.replace(told, message_id="again")]


def test_several_events_are_told_in_order_and_again_as_they_were() -> None:
    shard = Shard()
    handle: Any = several
    shard.kitchen.handle = handle  # type: ignore[method-assign]
    assert shard.processor().process(orders("a", "b")) == Progress(number(2))
    ids = [(one.envelope.order_id, one.envelope.event_id) for one in shard.publisher.published]
    assert [order_id for order_id, _ in ids] == ["a", "a", "b", "b"]
    assert len(set(ids)) == 4
    shard.processor().process(orders("a", "b"))
    assert [(one.envelope.order_id, one.envelope.event_id) for one in shard.publisher.published[4:]] == ids


def test_progress_waits_for_every_event_of_an_answer() -> None:
    shard = Shard()
    handle: Any = several
    shard.kitchen.handle = handle  # type: ignore[method-assign]
    shard.publisher.failing_ids = {"again"}
    progress = shard.processor().process(orders("a"))
    assert progress.resume_after == Sentinel.TRIM_HORIZON
    assert progress.failure is not None


def test_an_effect_alone_is_remembered_and_not_repeated() -> None:
    shard, mailed = Shard(), list[str]()
    handle: Any = lambda placed: mailed.append(placed.order_id)  # noqa: E731
    shard.kitchen.handle = handle  # type: ignore[method-assign]
    for _ in range(2):
        assert shard.processor().process(orders("a", "b")) == Progress(number(2))
    assert (mailed, shard.publisher.published) == (["a", "b"], [])


def test_the_same_event_twice_in_one_batch_has_one_effect() -> None:
    shard = Shard()
    data = encode(an_envelope(order_id="a"))
    shard.processor().process(a_batch(a_record(1, data=data), a_record(2, data=data)))
    assert shard.kitchen.told == ["a"]


def test_two_holders_agree_on_the_first_outcome() -> None:
    shard = Shard()
    event_id = decode(a_record(1, order_id="a").data).event_id
    other = Shard()
    other.processor().process(orders("a"))
    rival = other.outcomes.stored[event_id].replace(b"m-1", b"m-9")
    shard.outcomes = Outcomes({event_id: rival}, late=True)
    shard.processor().process(orders("a"))
    assert shard.publisher.published[0].data == rival


def test_progress_never_runs_ahead_of_an_effect() -> None:
    shard = Shard()
    shard.kitchen.errors = {"b": [THROTTLED]}
    processor = shard.processor()
    progress = processor.process(orders("a", "b", "c"))
    assert progress.resume_after == number(1)
    assert progress.failure is not None
    assert progress.failure.at == number(2)
    assert progress.failure.error.__cause__ is THROTTLED
    assert shard.kitchen.told == ["a", "c"]
    assert processor.process(orders("a", "b", "c")) == Progress(number(3))
    assert shard.kitchen.told == ["a", "c", "b"]


def test_progress_never_runs_ahead_of_an_acknowledgement() -> None:
    shard = Shard()
    shard.publisher.failing = {"b"}
    batch = orders("a", "b", "c")
    progress = shard.processor().process(batch)
    assert progress.resume_after == number(1)
    assert progress.failure is not None
    assert progress.failure.at == number(2)
    shard.publisher.failing = set()
    assert shard.processor().process(a_batch(*batch.records[1:])) == Progress(number(3))
    assert shard.kitchen.told == ["a", "b", "c"]


def test_a_broken_world_is_waited_out_for_as_long_as_it_lasts() -> None:
    shard = Shard()
    shard.kitchen.errors = {"a": [THROTTLED] * 50}
    processor = shard.processor()
    for _ in range(50):
        assert processor.process(orders("a")).resume_after == Sentinel.TRIM_HORIZON
    assert processor.process(orders("a")) == Progress(number(1))
    assert shard.letters.written == []


def test_what_comes_behind_a_broken_promise_without_partition_keys_is_its_orders_alone() -> None:
    shard = Shard()
    shard.publisher.failing = {"a"}
    batch = a_batch(*(msgspec.structs.replace(record, partition_key=None) for record in orders("a", "b", "a").records))
    processor = shard.processor()
    assert processor.process(batch).resume_after == Sentinel.TRIM_HORIZON
    assert shard.kitchen.told == ["a", "a", "b"]
    shard.publisher.failing = set()
    assert processor.process(batch) == Progress(number(3))
    assert shard.kitchen.told == ["a", "a", "b"]
    assert [event.envelope.order_id for event in shard.publisher.published] == ["b", "a", "a"]


def bad(value: int) -> Record:
    return a_record(value, data=b'{"event_id": "torn')


@pytest.mark.parametrize(
    ("break_it", "error"),
    [
        (lambda _: bad(2), "UnreadableEvent: envelope: Input data was truncated"),
        (lambda shard: shard.kitchen.errors.update(b=[Unprocessable("SNS refuses")]), "Unprocessable: SNS refuses"),
    ],
)
def test_a_bad_record_is_set_apart_whole_and_the_rest_goes_on(
    break_it: Callable[[Shard], Record | None], error: str
) -> None:
    shard = Shard()
    broken = break_it(shard) or a_record(2, order_id="b")
    batch = a_batch(a_record(1, order_id="a"), broken, a_record(3, order_id="c"))
    assert shard.processor().process(batch) == Progress(number(3))
    assert shard.kitchen.told == ["a", "c"]
    (letter,) = shard.letters.written
    assert letter.payload == broken.data
    assert (letter.consumer, letter.shard_id, letter.sequence_number) == (
        "restaurant_notifier",
        "shardId-000000000000",
        "2",
    )
    assert letter.error == error
    assert [type(one) for one in shard.happened].count(RecordSetApart) == 1


def test_a_handlers_own_error_is_retried_and_then_the_record_is_poison() -> None:
    shard = Shard()
    shard.kitchen.errors = {"a": [KeyError("menu")] * MAX_ATTEMPTS}
    processor = shard.processor()
    for _ in range(MAX_ATTEMPTS - 1):
        progress = processor.process(orders("a", "b"))
        assert progress.failure is not None
    assert processor.process(orders("a", "b")) == Progress(number(2))
    (letter,) = shard.letters.written
    assert (letter.attempts, letter.error) == (MAX_ATTEMPTS, "KeyError: 'menu'")
    assert shard.kitchen.told == ["b"]


def test_bad_records_are_set_apart_in_any_number() -> None:
    shard = Shard()
    records = [a_record(1, order_id="a"), *(bad(value) for value in range(2, 1002)), a_record(1002, order_id="b")]
    assert shard.processor().process(a_batch(*records)) == Progress(number(1002))
    assert shard.kitchen.told == ["a", "b"]
    assert {int(letter.sequence_number) for letter in shard.letters.written} == set(range(2, 1002))


def test_so_are_events_that_a_service_refuses() -> None:
    shard = Shard()
    shard.kitchen.errors = {f"o{value}": [Unprocessable("SNS refuses")] for value in range(100)}
    assert shard.processor().process(orders(*(f"o{value}" for value in range(101)))) == Progress(number(101))
    assert shard.kitchen.told == ["o100"]
    assert len(shard.letters.written) == 100


def test_a_publisher_that_is_closed_for_good_stops_the_shard_loudly() -> None:
    shard = Shard()
    shard.publisher.closed = True
    progress = shard.processor().process(orders("a"))
    assert progress.failure is not None
    assert isinstance(progress.failure.error, ShardStop)
    assert "restart the process" in str(progress.failure.error)


def test_no_log_quotes_a_record_through_a_handlers_own_error() -> None:
    shard = Shard()
    shard.kitchen.errors = {"a": [KeyError("ada@example.com")] * MAX_ATTEMPTS}
    processor = shard.processor()
    for _ in range(MAX_ATTEMPTS):
        processor.process(orders("a", "b"))
    (apart,) = [one for one in shard.happened if isinstance(one, RecordSetApart)]
    assert apart.error.startswith(f"KeyError at {Path(__file__).name}:")
    assert "ada@" not in str(shard.happened)


def test_a_dead_letter_that_cannot_be_written_holds_the_shard() -> None:
    shard = Shard(letters=Letters(refusing=True))
    progress = shard.processor().process(a_batch(a_record(1, order_id="a"), bad(2)))
    assert progress.resume_after == number(1)
    assert progress.failure is not None
    assert progress.failure.error.__cause__ is THROTTLED


def test_events_of_other_steps_are_not_judged_not_even_unknown_or_broken_ones() -> None:
    shard = Shard()
    unknown = encode(an_envelope()).replace(b'"order_placed"', b'"order_blessed"')
    broken = encode(an_envelope(an_order_accepted())).replace(b'"ready_at"', b'"ready_by"')
    assert shard.processor().process(a_batch(a_record(1, data=unknown), a_record(2, data=broken))) == Progress(
        number(2)
    )
    assert shard.letters.written == []


def test_a_handler_that_answers_no_event_stops_the_shard_before_its_effect_is_repeated() -> None:
    shard = Shard()
    tell = shard.kitchen.handle
    handle: Any = lambda placed: tell(placed).message_id  # noqa: E731
    shard.kitchen.handle = handle  # type: ignore[method-assign]
    processor = shard.processor()
    progress = processor.process(orders("a", "b"))
    assert progress.failure is not None
    assert isinstance(progress.failure.error, ShardStop)
    assert "answered str, no event" in str(progress.failure.error)
    assert len(shard.kitchen.told) == 1
    assert shard.outcomes.stored == {}


@pytest.mark.parametrize("keyed", [True, False], ids=["by their partition key", "without a partition key"])
def test_orders_are_handled_side_by_side_and_told_each_in_order(*, keyed: bool) -> None:
    """Real threads: the kitchen answers nobody until four orders wait for it."""
    together = threading.Barrier(4, timeout=10)
    shard = Shard(rules=BatchRules(parallelization_factor=4))
    told = shard.kitchen.handle

    def handle(placed: EventEnvelope[OrderPlaced]) -> RestaurantNotified:
        together.wait()
        return told(placed)

    shard.kitchen.handle = handle  # type: ignore[method-assign]
    records = [a_record(turn * 4 + key, order_id=f"order-{key}") for turn in range(5) for key in range(4)]
    if not keyed:
        records = [msgspec.structs.replace(record, partition_key=None) for record in records]
    assert shard.processor().process(a_batch(*records)) == Progress(number(19))
    for key in range(4):
        events = [decode(record.data) for record in records]
        heard = [event.event_id for event in events if event.order_id == f"order-{key}"]
        published = [event.envelope for event in shard.publisher.published]
        causes = [envelope.cause for envelope in published if envelope.order_id == f"order-{key}"]
        assert causes == heard


def test_what_is_remembered_is_recalled_in_one_read_for_a_batch() -> None:
    shard = Shard()
    shard.processor().process(orders(*"abcdefgh"))
    assert [len(asked) for asked in shard.outcomes.asked] == [8]


def test_all_is_published_before_the_first_acknowledgement_is_waited_for() -> None:
    """Else every order would wait for a PutRecords of its own."""
    answers: list[Future[None]] = []

    class Slow(Publisher):
        def publish(self, event: EncodedEvent[Event]) -> "Future[None]":
            self.published.append(event)
            answers.append(Future())
            if len(answers) == 3:
                for answer in answers:
                    answer.set_result(None)
            return answers[-1]

    shard = Shard(publisher=Slow())
    assert shard.processor().process(orders("a", "b", "c")) == Progress(number(3))


def under_one_id(value: int, order: str) -> Record:
    """A foreign producer's: its events count from 1 for each order."""
    placed = msgspec.structs.replace(an_envelope(order_id=order), event_id="1")
    return a_record(value, data=encode(placed), order_id=order)


@pytest.mark.parametrize("late", [False, True], ids=["recalled", "remembered by another holder meanwhile"])
@pytest.mark.parametrize("together", [False, True])
def test_two_orders_under_one_event_id_have_an_effect_and_an_outcome_each(*, together: bool, late: bool) -> None:
    shard = Shard(outcomes=Outcomes(late=late))
    records = under_one_id(1, "a"), under_one_id(2, "b")
    for batch in [a_batch(*records)] if together else [a_batch(record) for record in records]:
        shard.processor().process(batch)
    assert shard.kitchen.told == ["a", "b"]
    assert [event.envelope.order_id for event in shard.publisher.published] == ["a", "b"]
    assert shard.letters.written == []


def test_and_hearing_them_again_repeats_neither() -> None:
    shard = Shard()
    batch = a_batch(under_one_id(1, "a"), under_one_id(2, "b"))
    for _ in range(3):
        assert shard.processor().process(batch) == Progress(number(2))
    assert shard.kitchen.told == ["a", "b"]
    first, *again = (shard.publisher.published[at : at + 2] for at in (0, 2, 4))
    assert again == [first, first]


def test_an_outcome_that_nobody_can_read_makes_a_letter_and_no_second_effect() -> None:
    shard = Shard()
    shard.outcomes.stored["1"] = b"torn"
    assert shard.processor().process(a_batch(under_one_id(1, "a"))) == Progress(number(1))
    assert shard.kitchen.told == []
    assert [letter.kind for letter in shard.letters.written] == ["UnreadableEvent"]
