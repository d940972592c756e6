"""Dead letters of a step in memory, and redrives of them that crash, meet and come back."""

from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, TypeVar

from analytics.privacy.customer_keys import CustomerKeys
from consumers.batching.rules import BatchRules
from consumers.dead_letters.dropping import Drops
from consumers.dead_letters.letters import DeadLetter, dead_letter
from consumers.dead_letters.set_apart import SetsApart
from consumers.dead_letters.stored import S3DeadLetters, StoredLetter
from consumers.redrive.redrive import Redrive, Summary
from consumers.redrive.steps import SetAsideAgain, ThroughProcessor
from consumers.steps.step import HandlerStep, performs
from events.envelope import EventEnvelope
from events.orders import Event, OrderPlaced, RestaurantNotified
from events.wire import EncodedEvent
from foundation.diagnostics import Diagnostic
from tests.support.builders import NOON, a_record
from tests.support.fakes.bucket import FakeBucket, Gate
from tests.support.fakes.clock import FakeClock
from tests.support.worlds.lake_world import some_keys

SHARD = "shardId-000000000000"
_BUCKET = FakeBucket("dead-letters")
_ERROR = ValueError("no such restaurant")

Answer = TypeVar("Answer")


def a_letter(
    number: int,
    *,
    order: str | None = None,
    data: bytes | None = None,
    consumer: str = "restaurant_notifier",
    shard_id: str = SHARD,
    attempts: int = 5,
    error: Exception = _ERROR,
) -> DeadLetter:
    return dead_letter(
        consumer=consumer,
        stream="orders",
        shard_id=shard_id,
        record=a_record(number, order_id=order or f"order-{number}", data=data),
        failed_at=NOON,
        attempts=attempts,
        error=error,
    )


@dataclass
class World:
    """The stores and services that outlive a redrive. `errors` has what the step runs into, by order, until removed."""

    bucket: FakeBucket = field(default_factory=_BUCKET.another)
    keys: CustomerKeys = field(default_factory=some_keys)
    clock: FakeClock = field(default_factory=FakeClock)
    outcomes: dict[str, bytes] = field(default_factory=dict)
    tickets: list[str] = field(default_factory=list)
    told: list[str] = field(default_factory=list)
    errors: dict[str, Exception] = field(default_factory=dict)
    happened: list[Diagnostic] = field(default_factory=list)
    redrives: int = 0

    @property
    def letters(self) -> S3DeadLetters:
        return S3DeadLetters(self.bucket.client, self.bucket.name, self.keys)

    def put(self, *letters: DeadLetter) -> None:
        for letter in letters:
            self.letters.put(letter)

    def stored(self) -> list[StoredLetter]:
        return [found for _, found in self.letters.read_all(self.letters.keys()) if isinstance(found, StoredLetter)]

    def left(self) -> dict[str | None, DeadLetter]:
        return {stored.letter.partition_key: stored.letter for stored in self.stored()}

    @property
    def repeated(self) -> list[str]:
        return [order for order, tickets in Counter(self.tickets).items() if tickets > 1]

    def way(self, gate: Gate | None = None) -> ThroughProcessor:
        """The step's own processors, as a new process has them."""
        again, process = SetAsideAgain(), _Process(self, gate or Gate())
        stores: Any = process
        factory = performs(
            HandlerStep("restaurant_notifier", OrderPlaced, process.cook),
            BatchRules(parallelization_factor=1, max_attempts=1, compares=False),
            outcomes=stores,
            publisher=stores,
            apart=SetsApart("restaurant_notifier", again, clock=self.clock.clock, emit=self.happened.append),
            clock=self.clock.clock,
            emit=self.happened.append,
        )
        return ThroughProcessor(factory, again, stores, wait=self.clock.wait, emit=self.happened.append)

    def redrive(
        self, gate: Gate | None = None, of: Sequence[str] | None = None, way: Any = None, hands: int = 1
    ) -> Summary:
        """A new process: lists the letters and redrives them, one call after the other."""
        gate = gate or Gate()
        self.redrives += 1
        name = f"redrive-{self.redrives}"
        letters = S3DeadLetters(self.bucket.through(gate), self.bucket.name, self.keys)
        return Redrive(
            letters,
            way or self.way(gate),
            clock=self.clock.clock,
            wait=self.clock.wait,
            new_id=lambda: name,
            emit=self.happened.append,
            hands=hands,
        ).run(self.letters.keys() if of is None else of)

    def drops(self, gate: Gate | None = None) -> Drops:
        """A new process that drops letters, or brings them back."""
        letters = S3DeadLetters(self.bucket.through(gate or Gate()), self.bucket.name, self.keys)
        return Drops(letters, clock=self.clock.clock, wait=self.clock.wait, new_id=lambda: "drop")


@dataclass
class _Process:
    """The step, its outcomes and its publisher, as one process reaches them."""

    world: World
    gate: Gate

    def cook(self, placed: EventEnvelope[OrderPlaced]) -> RestaurantNotified:
        def cook() -> RestaurantNotified:
            if placed.order_id in self.world.errors:
                raise self.world.errors[placed.order_id]
            self.world.tickets.append(placed.order_id)
            return RestaurantNotified(restaurant_id="restaurant-1", channel="sns", message_id=placed.event_id)

        return self._through(cook)

    def recall(self, event_ids: Sequence[str]) -> dict[str, bytes]:
        known = self.world.outcomes
        return self._through(lambda: {event_id: known[event_id] for event_id in event_ids if event_id in known})

    def remember(self, event_id: str, outcome: bytes) -> bytes:
        return self._through(lambda: self.world.outcomes.setdefault(event_id, outcome))

    def publish(self, event: EncodedEvent[Event]) -> "Future[None]":
        def publish() -> "Future[None]":
            self.world.told.append(event.envelope.order_id)
            acknowledged: Future[None] = Future()
            acknowledged.set_result(None)
            return acknowledged

        return self._through(publish)

    def _through(self, call: Callable[[], Answer]) -> Answer:
        answer: Answer = self.gate.through(call)
        return answer
