"""One request to the orders API, from command to acknowledged event: decide, store, publish, wait.

The store comes first, so a repeat after any failure finds its event and publishes the same bytes again.
"""

from concurrent.futures import TimeoutError as NotInTime
from dataclasses import dataclass
from datetime import timedelta

from events.envelope import EventEnvelope
from events.orders import Event
from foundation.clock import Clock
from foundation.diagnostics import Emit
from producers.commands import (
    Order,
    OrderState,
    Performed,
    PlaceOrder,
    Refusal,
    RestaurantCommand,
    perform,
    place,
    same_placing,
    unknown_order,
)
from producers.diagnostics import NotPublished
from producers.orders_table import Orders
from producers.publisher import EventPublisher, PublishFailed


@dataclass(frozen=True)
class Done:
    """The command's event is on the stream; `state` is where it brought the order."""

    order_id: str
    state: OrderState
    event_id: str


class Unacknowledged(Refusal):
    """The command is stored, but Kinesis has not acknowledged its event: it has to be sent again."""


class Ordering:
    """Carries out commands. Equal repeats, also at the same time, get equal answers and publish the same event."""

    def __init__(
        self, orders: Orders, publisher: EventPublisher, *, clock: Clock, emit: Emit, answer_within: timedelta
    ) -> None:
        self._orders = orders
        self._publisher = publisher
        self._clock = clock
        self._emit = emit
        self._answer_within = answer_within.total_seconds()

    def place(
        self, command: PlaceOrder, *, customer_id: str, idempotency_key: str, traceparent: str | None
    ) -> Done | Refusal:
        order = place(
            command,
            customer_id=customer_id,
            idempotency_key=idempotency_key,
            at=self._clock.now(),
            traceparent=traceparent,
        )
        if isinstance(order, Refusal):
            return order
        stored = same_placing(order, self._orders.create(order))
        return stored if isinstance(stored, Refusal) else self._publish(stored.placing)

    def perform(
        self, command: RestaurantCommand, *, order_id: str, restaurant_id: str, idempotency_key: str
    ) -> Done | Refusal:
        order = self._orders.get(order_id)
        if order is None:
            return unknown_order()
        performed = self._decide(command, order, restaurant_id, idempotency_key)
        if isinstance(performed, Performed) and performed not in order.later:
            # Another command, or a repeat of this one, may have come first: what is stored decides.
            order = self._orders.advance(order, performed)
            performed = self._decide(command, order, restaurant_id, idempotency_key)
        return performed if isinstance(performed, Refusal) else self._publish(performed)

    def find(self, order_id: str) -> Order | None:
        return self._orders.get(order_id)

    def _decide(
        self, command: RestaurantCommand, order: Order, restaurant_id: str, idempotency_key: str
    ) -> Performed[Event] | Refusal:
        return perform(
            command, order, restaurant_id=restaurant_id, idempotency_key=idempotency_key, at=self._clock.now()
        )

    def _publish(self, performed: Performed[Event]) -> Done | Refusal:
        envelope = performed.envelope
        try:
            self._publisher.publish(envelope).result(self._answer_within)
        except (PublishFailed, NotInTime) as error:
            return self._unacknowledged(envelope, error)
        return Done(envelope.order_id, performed.leads_to, envelope.event_id)

    def _unacknowledged(self, envelope: EventEnvelope[Event], error: Exception) -> Unacknowledged:
        reason = str(error) or f"no answer within {self._answer_within:g} s"
        self._emit(NotPublished(envelope.event_type, envelope.event_id, envelope.order_id, reason))
        return Unacknowledged(
            "The request is stored, but the event stream has not confirmed it yet.",
            f"Send the same request again with the header Idempotency-Key: {envelope.cause}",
        )
