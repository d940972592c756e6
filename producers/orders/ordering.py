"""One request to the orders API, from command to acknowledged event: decide, store, publish, wait, note.

The store comes first, so a repeat after any failure finds its event and publishes the same bytes again. What Kinesis
acknowledged is noted last: until then every later command of the order publishes it first, so none overtakes it.
"""

from collections.abc import Callable, Collection
from concurrent.futures import TimeoutError as NotInTime
from dataclasses import dataclass
from datetime import timedelta

from botocore.exceptions import BotoCoreError, ClientError

from events import ACCEPT_WITHIN, STATES, Event, OrderState
from foundation.clock import Clock, Wait, uninterrupted_wait
from foundation.diagnostics import Emit
from producers.orders.commands import (
    Order,
    Performed,
    Refusal,
    UnknownOrder,
    perform,
    place,
    same_placing,
    unknown_order,
)
from producers.orders.diagnostics import AcknowledgementNotNoted, NotPublished, error_kind
from producers.orders.requests import DEFAULT_KEYS, Command, ExpireOrder, PlaceOrder
from producers.orders.table import Orders
from producers.publishing import EventPublisher, PublisherClosed, PublishFailed

# What another request stored is on its way to Kinesis and back, and then to its note in the table, for so long at most:
# a few milliseconds mostly, on a busy machine a second. After that it is published here too.
_BEING_NOTED_SECONDS = (0.1, 0.2, 0.4, 0.8, 1.6)


@dataclass(frozen=True)
class Done:
    """The command's event is on the stream, and all before it; `state` is where it brought the order."""

    order_id: str
    state: OrderState
    event_id: str


class Unacknowledged(Refusal):
    """Kinesis has not acknowledged all that is stored of the order: the command has to be sent again."""


class Ordering:
    """Carries out commands. Equal repeats, also at the same time, get equal answers and publish at most one event.

    It may be published several times, under its one `event_id`; an order's events first come up in their order.
    """

    def __init__(
        self,
        orders: Orders,
        publisher: EventPublisher,
        *,
        clock: Clock,
        emit: Emit,
        answer_within: timedelta,
        accept_within: timedelta | None = ACCEPT_WITHIN,
        wait: Wait | None = None,
        carried_out: Callable[[Order], None] | None = None,
    ) -> None:
        """`accept_within` is how long an order waits for its restaurant's answer; None: for ever.

        `carried_out` is told the order behind each command that was carried out here, a repeat too.
        """
        self._orders = orders
        self._publisher = publisher
        self._clock = clock
        self._emit = emit
        self._answer_within = answer_within.total_seconds()
        self._accept_within = accept_within
        self._wait = wait or uninterrupted_wait()
        self._carried_out = carried_out

    def place(
        self, command: PlaceOrder, *, customer_id: str, idempotency_key: str, traceparent: str | None
    ) -> Done | Refusal:
        order = place(
            command,
            customer_id=customer_id,
            idempotency_key=idempotency_key,
            at=self._clock.now(),
            traceparent=traceparent,
            accept_within=self._accept_within,
        )
        if isinstance(order, Refusal):
            return order
        stored = same_placing(order, self._orders.create(order))
        return stored if isinstance(stored, Refusal) else self._answer(stored, stored.placing, idempotency_key)

    def perform(
        self, command: Command, *, order_id: str, subject: str | None, idempotency_key: str | None
    ) -> Done | Refusal:
        """`subject` is the id of the restaurant or customer that gives the command, None for the clock's own."""
        order = self._orders.get(order_id)
        if order is None:
            return unknown_order()
        performed = self._decide(command, order, subject, idempotency_key)
        # Each write leads the order on or finds it led on, and no way is longer than there are states.
        for _ in STATES:
            if not isinstance(performed, Performed) or performed in order.later:
                break
            # Another command, or a repeat of this one, may have come first, or the time was over: what is stored
            # decides.
            order = self._orders.advance(order, performed)
            performed = self._decide(command, order, subject, idempotency_key)
        else:
            raise RuntimeError(f"order {order_id} takes no event. fix: find what else writes to the table of orders")
        if isinstance(performed, UnknownOrder):
            return performed
        return self._answer(order, performed, idempotency_key or DEFAULT_KEYS[type(command)])

    def expire(self, order_id: str) -> Done | Refusal:
        """Ends the order if it is unanswered in time. A refusal is the normal end of a race with an answer."""
        return self.perform(ExpireOrder(), order_id=order_id, subject=None, idempotency_key=None)

    def find(self, order_id: str) -> Order | None:
        return self._orders.get(order_id)

    def find_many(self, order_ids: Collection[str]) -> dict[str, Order]:
        """Those of them that there are, by id."""
        return self._orders.get_many(order_ids)

    def _decide(
        self, command: Command, order: Order, subject: str | None, idempotency_key: str | None
    ) -> Performed[Event] | Refusal:
        return perform(command, order, subject=subject, idempotency_key=idempotency_key, at=self._clock.now())

    def relay(self, order_id: str) -> int | None:
        """Publishes what is stored of the order and not acknowledged, without a command.

        Answers with the number of its events, or with None when not all of them are acknowledged and noted. What
        another process published meanwhile comes up again, under the same `event_id`.
        """
        order = self._orders.get(order_id)
        if order is None:
            return 0
        pending = order.unacknowledged(order.history[-1])
        if not pending:
            self._orders.settle(order)
            return 0
        _, order = self._publish(pending, order)
        return len(pending) if order.is_acknowledged else None

    def _answer(self, order: Order, decided: Performed[Event] | Refusal, idempotency_key: str) -> Done | Refusal:
        """A refusal waits for the events too: it tells a state, and whoever hears that relies on them."""
        own = None if isinstance(decided, Refusal) else decided
        refused, _ = self._publish(*self._unacknowledged_up_to(own or order.history[-1], order, own))
        if refused:
            return Unacknowledged(
                "The order's events are stored, but the event stream has not confirmed all of them yet.",
                f"Send the same request again with the header Idempotency-Key: {idempotency_key}",
            )
        if isinstance(decided, Refusal):
            return decided
        if self._carried_out:
            self._carried_out(order)
        return Done(order.order_id, decided.leads_to, decided.envelope.event_id)

    def _publish(self, pending: tuple[Performed[Event], ...], order: Order) -> tuple[NotPublished | None, Order]:
        """Publishes `pending` of `order` in turn; answers with what ended that early, and the order as it is noted."""
        give_up_at = self._clock.monotonic() + self._answer_within
        # One after another: two that wait together could be given up one by one, and the later one be sent.
        for performed in pending:
            try:
                published = self._publisher.publish(performed.encoded)
                # guarantee: an event goes when the one before it is acknowledged
                published.result(max(0.0, give_up_at - self._clock.monotonic()))
            except (PublishFailed, PublisherClosed, NotInTime) as error:
                envelope = performed.envelope
                reason = str(error) or f"no answer within {self._answer_within:g} s"
                refused = NotPublished(envelope.event_type, envelope.event_id, envelope.order_id, reason)
                self._emit(refused)
                return refused, order
            order = self._note(order, performed)
        return None, order

    def _unacknowledged_up_to(
        self, last: Performed[Event], order: Order, own: Performed[Event] | None
    ) -> tuple[tuple[Performed[Event], ...], Order]:
        """What has to be published. What is not of this request, as of what won, is being published already: that is
        awaited for a moment.
        """
        at, pending = order.history.index(last), order.unacknowledged(last)
        for seconds in _BEING_NOTED_SECONDS:
            # guarantee: a request leaves what another one is publishing to that one
            if all(performed == own for performed in pending):
                break
            self._wait(seconds)
            order = self._orders.get(order.order_id) or order
            pending = order.unacknowledged(order.history[at])
        return pending, order

    def _note(self, order: Order, performed: Performed[Event]) -> Order:
        """The event is on the stream whether or not this works; without it, it is published once more."""
        try:
            return self._orders.note_acknowledged(order, performed)
        except (BotoCoreError, ClientError) as error:
            envelope = performed.envelope
            self._emit(
                AcknowledgementNotNoted(envelope.event_type, envelope.event_id, order.order_id, error_kind(error))
            )
            return order
