"""One effect an outcome: while outcomes cannot be stored, only their writing is tried again, and nothing new begins."""

import random
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import pytest
from botocore.exceptions import ClientError

from consumers.batching.rules import BatchRules
from consumers.dead_letters.letters import DeadLetter
from consumers.dead_letters.set_apart import SetsApart
from consumers.engines.feeding import Feeder
from consumers.processing import ProcessorFactory, RecordProcessor, ShardAssignment, Unavailable
from consumers.steps import effects
from consumers.steps.answers import Attempts, Outcome, outcome_of, read_outcome
from consumers.steps.effects import Effects, OutcomesNotStored
from consumers.steps.step import HandlerStep, performs
from events.envelope import EventEnvelope
from events.orders import Event, OrderAccepted, UserNotified
from events.wire import EncodedEvent, encode
from foundation.diagnostics import Diagnostic
from foundation.kinesis.records import Batch, Record, Sentinel
from tests.support.builders import NOON, a_batch, an_envelope, an_order_accepted
from tests.support.fakes.clock import FakeClock

SHARD = "shardId-000000000000"


def refused(code: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": "no"}}, "PutItem")


@dataclass
class Table:
    """Outcomes that can always be read, and written unless `refuses` says why not."""

    refuses: Callable[[], Exception | None] = lambda: None
    stored: dict[str, bytes] = field(default_factory=dict)
    refused: int = 0

    def recall(self, event_ids: Sequence[str]) -> dict[str, bytes]:
        return {event_id: self.stored[event_id] for event_id in event_ids if event_id in self.stored}

    def remember(self, event_id: str, outcome: bytes) -> bytes:
        if error := self.refuses():
            self.refused += 1
            raise error
        return self.stored.setdefault(event_id, outcome)


@dataclass
class World:
    """A table, a mail service and a stream that outlive processes."""

    table: Table = field(default_factory=Table)
    time: FakeClock = field(default_factory=FakeClock)
    mails: Counter[str] = field(default_factory=Counter)
    told: list[str] = field(default_factory=list)
    letters: list[DeadLetter] = field(default_factory=list)
    happened: list[Diagnostic] = field(default_factory=list)
    under_way: Callable[[], Any] = lambda: None

    def process(self, keys_at_once: int = 4) -> ProcessorFactory:
        """Another process of the consumer."""
        publisher: Any = self
        emit = self.happened.append
        return performs(
            HandlerStep("user_notifier", OrderAccepted, self._mail),
            BatchRules(parallelization_factor=keys_at_once),
            outcomes=self.table,
            publisher=publisher,
            apart=SetsApart("user_notifier", self, clock=self.time.clock, emit=emit),
            clock=self.time.clock,
            emit=emit,
        )

    def _mail(self, accepted: EventEnvelope[OrderAccepted]) -> UserNotified:
        self.under_way()
        self.mails[accepted.order_id] += 1
        return UserNotified(customer_id="c", channel="ses", message_id=f"m-{accepted.order_id}")

    def publish(self, event: EncodedEvent[Event]) -> "Future[None]":
        self.told.append(event.envelope.order_id)
        acknowledged: Future[None] = Future()
        acknowledged.set_result(None)
        return acknowledged

    def put(self, letter: DeadLetter) -> None:
        self.letters.append(letter)

    def feeder(self, processor: RecordProcessor, shard_id: str = SHARD) -> Feeder:
        return Feeder(
            processor, assigned(shard_id), checkpoint=lambda _: True, wait=self.time.wait, emit=self.happened.append
        )


def assigned(shard_id: str = SHARD) -> ShardAssignment:
    return ShardAssignment("orders", shard_id, Sentinel.TRIM_HORIZON)


def accepted(*numbers: int) -> Batch:
    return a_batch(
        *(
            Record(str(n), f"order-{n}", encode(an_envelope(an_order_accepted(), order_id=f"order-{n}")), 0.0)
            for n in numbers
        )
    )


def refuses_until(time: FakeClock, seconds: float, code: str) -> Callable[[], Exception | None]:
    return lambda: refused(code) if time.monotonic() < seconds else None


@pytest.mark.parametrize("code", ["ProvisionedThroughputExceededException", "AccessDeniedException", "KMSDisabled"])
def test_each_customer_has_one_mail_while_outcomes_are_refused_for_ten_minutes(code: str) -> None:
    world = World()
    world.table.refuses = refuses_until(world.time, 600, code)
    assert world.feeder(world.process()(assigned())).feed(accepted(*range(1, 13)))
    assert world.mails == {f"order-{n}": 1 for n in range(1, 13)}
    assert len(world.table.stored) == 12
    assert sorted(world.told) == sorted(world.mails)
    assert world.letters == []
    assert world.time.monotonic() >= 600


def test_meanwhile_no_new_effect_begins_on_any_shard_of_the_process() -> None:
    world = World(Table(lambda: refused("AccessDeniedException")))
    process = world.process(keys_at_once=1)
    first, second = process(assigned()), process(assigned("shardId-000000000001"))
    for _ in range(5):
        assert isinstance(error_of(first, accepted(1, 2, 3)), OutcomesNotStored)
        assert isinstance(error_of(second, accepted(7, 8, 9)), OutcomesNotStored)
    assert world.mails == {"order-1": 1}
    world.table.refuses = lambda: None
    assert second.process(accepted(7, 8, 9)).failure is None
    assert first.process(accepted(1, 2, 3)).failure is None
    assert world.mails == {f"order-{n}": 1 for n in (1, 2, 3, 7, 8, 9)}


def test_nor_on_a_shard_that_is_in_the_middle_of_a_batch() -> None:
    world = World()
    refusals = iter([refused("AccessDeniedException")])
    world.table.refuses = lambda: next(refusals, None)
    process = world.process(keys_at_once=1)
    first, second = process(assigned()), process(assigned("shardId-000000000001"))

    def meanwhile() -> None:
        world.under_way = lambda: None
        first.process(accepted(1))

    world.under_way = meanwhile
    assert isinstance(error_of(second, accepted(7, 8)), OutcomesNotStored)
    assert world.mails == {"order-1": 1, "order-7": 1}
    assert second.process(accepted(7, 8)).failure is None
    assert world.mails == {"order-1": 1, "order-7": 1, "order-8": 1}


def error_of(processor: RecordProcessor, batch: Batch) -> Exception | None:
    failure = processor.process(batch).failure
    return failure.error if failure else None


def test_a_processor_that_is_made_anew_in_the_process_repeats_none_of_them() -> None:
    world = World(Table(lambda: refused("AccessDeniedException")))
    process = world.process(keys_at_once=3)
    for _ in range(10):
        process(assigned()).process(accepted(1, 2, 3))
    assert max(world.mails.values()) == 1
    world.table.refuses = lambda: None
    process(assigned()).process(accepted(1, 2, 3))
    assert world.mails == {f"order-{n}": 1 for n in (1, 2, 3)}


def test_what_a_hand_over_repeats_is_what_was_under_way() -> None:
    """Three processes one after the other, each stopped while the table refuses."""
    world = World(Table(lambda: refused("AccessDeniedException")))
    for _ in range(3):
        processor = world.process(keys_at_once=4)(assigned())
        for _ in range(20):
            processor.process(accepted(*range(1, 30)))
        assert isinstance(world.feeder(processor).flush(), OutcomesNotStored)
    assert sum(world.mails.values()) <= 3 * 4
    assert max(world.mails.values()) <= 3


def test_a_stop_ends_the_feeding_while_outcomes_are_refused() -> None:
    world = World(Table(lambda: refused("AccessDeniedException")))
    world.time.stopping = True
    assert not world.feeder(world.process()(assigned())).feed(accepted(1, 2, 3))
    assert world.table.refused <= 6


def test_all_that_is_under_way_is_noted_and_stored_later() -> None:
    """Real threads: four mails are sent before any outcome is stored."""
    together = threading.Barrier(4, timeout=10)
    world = World(Table(lambda: refused("AccessDeniedException")), under_way=together.wait)
    processor = world.process(keys_at_once=4)(assigned())
    processor.process(accepted(1, 2, 3, 4))
    world.table.refuses, world.under_way = lambda: None, lambda: None
    assert processor.process(accepted(1, 2, 3, 4)).failure is None
    assert world.mails == {f"order-{n}": 1 for n in (1, 2, 3, 4)}


def test_what_another_holder_stored_meanwhile_stands() -> None:
    world, other = World(Table(lambda: refused("AccessDeniedException"))), World()
    processor = world.process()(assigned())
    processor.process(accepted(1))
    other.process()(assigned()).process(accepted(1))
    world.table.stored = {
        event_id: data.replace(b"m-order", b"x-order") for event_id, data in other.table.stored.items()
    }
    world.table.refuses = lambda: None
    before = dict(world.table.stored)
    assert processor.process(accepted(1)).failure is None
    assert world.table.stored == before


class FailsTwice:
    """A mail service that does not take the first two mails to each of so many orders, and quotes them."""

    def __init__(self, mails: int) -> None:
        self.failures = [Unavailable(f"ada@example.com: {number}") for number in range(2 * mails)]

    def __call__(self) -> None:
        if self.failures:
            raise self.failures.pop()


def attempts_of(world: World) -> list[Attempts | None]:
    return [read_outcome(data).attempts for data in world.table.stored.values()]


def test_how_many_attempts_an_effect_took_is_remembered_with_it_and_no_word_of_its_failures() -> None:
    world = World(under_way=FailsTwice(1))
    assert world.feeder(world.process()(assigned())).feed(accepted(1))
    assert world.feeder(world.process()(assigned())).feed(accepted(2))
    assert attempts_of(world) == [Attempts(3, "Unavailable"), None]
    assert not any(b"ada" in data for data in world.table.stored.values())
    assert world.told == ["order-1", "order-2"]


def test_what_waits_to_be_stored_is_no_attempt() -> None:
    world = World(under_way=FailsTwice(1))
    world.table.refuses = refuses_until(world.time, 600, "AccessDeniedException")
    assert world.feeder(world.process()(assigned())).feed(accepted(1))
    assert attempts_of(world) == [Attempts(3, "Unavailable")]


def test_a_process_counts_the_attempts_of_so_many_effects_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(effects, "_MOST_COUNTED", 3)
    made = Effects(Table())
    heard = [an_envelope(an_order_accepted(), order_id=f"order-{number}") for number in range(4)]

    def fails() -> Outcome:
        raise TimeoutError

    for one in heard:
        with pytest.raises(TimeoutError):
            made.once(one, fails)
    counted = [made.once(one, partial(outcome_of, one, None, actor="a", at=NOON)).attempts for one in heard]
    assert counted == [None, *[Attempts(2, "TimeoutError")] * 3]


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(20))
def test_however_the_table_refuses_nobody_has_two_mails(seed: int) -> None:
    chance = random.Random(seed)
    world = World()
    world.table.refuses = lambda: refused("InternalServerError") if chance.random() < 0.6 else None
    feeder = world.feeder(world.process(keys_at_once=chance.randint(1, 8))(assigned()))
    assert feeder.feed(accepted(*range(1, 41)))
    assert feeder.finish()
    assert world.mails == {f"order-{n}": 1 for n in range(1, 41)}
    assert len(world.table.stored) == 40
