"""A real step of the choreography for the suite: its tickets, its outcomes and its dead letters outlive processes."""

from collections import Counter
from collections.abc import Sequence
from concurrent.futures import Future
from typing import Any

from consumers.batching.rules import BatchRules
from consumers.dead_letters.letters import DeadLetter
from consumers.dead_letters.set_apart import SetsApart
from consumers.processing import ProcessorFactory
from consumers.steps.step import HandlerStep, performs
from events.envelope import EventEnvelope
from events.orders import Event, OrderPlaced, RestaurantNotified
from events.wire import EncodedEvent, encode
from tests.conformance.scene import Scene
from tests.support.builders import an_envelope, packed


class Kitchen:
    """Counts the tickets of each order, and fails as a test wrote down, one error a time."""

    def __init__(self, scene: Scene, *, keys_at_once: int = 1) -> None:
        self.tickets: list[str] = []
        self.told: list[str] = []
        self.letters: list[DeadLetter] = []
        self.errors: dict[str, list[BaseException]] = {}
        self.die_after: dict[str, Any] = {}
        self.refuses_outcomes: Exception | None = None
        self._outcomes: dict[str, bytes] = {}
        self._scene = scene
        self._rules = BatchRules(parallelization_factor=keys_at_once)
        scene.consumer = self._process

    def place(self, *orders: str) -> None:
        self._scene.put_data(*(_placed(order) for order in orders))

    def place_apart(self, *orders: str) -> None:
        """Each with a partition key of its own."""
        for order in orders:
            self._scene.put_data(_placed(order), key=order)

    def place_together(self, *orders: str) -> None:
        """In one aggregate, all of one key."""
        data = packed([_placed(order) for order in orders], key="order-1")
        self._scene.put_data(data)

    @property
    def repeated(self) -> list[str]:
        return [order for order, tickets in Counter(self.tickets).items() if tickets > 1]

    def _process(self, scene: Scene) -> ProcessorFactory:
        apart = SetsApart(
            "kitchen", self, clock=scene.time.clock, emit=scene.happened.append, thread=scene.threads.thread
        )
        publisher: Any = self
        return performs(
            HandlerStep("kitchen", OrderPlaced, self._cook),
            self._rules,
            outcomes=self,
            publisher=publisher,
            apart=apart,
            clock=scene.time.clock,
            emit=scene.happened.append,
            thread=scene.threads.thread,
        )

    def _cook(self, placed: EventEnvelope[OrderPlaced]) -> RestaurantNotified:
        if self.errors.get(placed.order_id):
            raise self.errors[placed.order_id].pop(0)
        self.tickets.append(placed.order_id)
        self.die_after.pop(placed.order_id, lambda: None)()
        return RestaurantNotified(restaurant_id="restaurant-1", channel="sns", message_id=placed.event_id)

    # The stores it is given: outcomes, dead letters and the publisher.

    def recall(self, event_ids: Sequence[str]) -> dict[str, bytes]:
        return {event_id: self._outcomes[event_id] for event_id in event_ids if event_id in self._outcomes}

    def remember(self, event_id: str, outcome: bytes) -> bytes:
        if self.refuses_outcomes is not None:
            raise self.refuses_outcomes
        return self._outcomes.setdefault(event_id, outcome)

    def put(self, letter: DeadLetter) -> None:
        if letter.key not in {written.key for written in self.letters}:
            self.letters.append(letter)

    def publish(self, event: EncodedEvent[Event]) -> "Future[None]":
        self.told.append(event.envelope.order_id)
        acknowledged: Future[None] = Future()
        acknowledged.set_result(None)
        return acknowledged


def _placed(order: str) -> bytes:
    return encode(an_envelope(order_id=order, cause=f"key-of-{order}"))
