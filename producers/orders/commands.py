"""The pure step from what is asked of an order to the event that it brings about, or to a refusal.

An `Order` is the history of its performed commands, so a repeated command finds the very event it made before.
"""

import hashlib
import uuid
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Generic, TypedDict

import msgspec

from events import (
    EVENT_TYPES,
    FINAL,
    TRANSITION_BY,
    EncodedEvent,
    Event,
    EventEnvelope,
    EventT_co,
    Item,
    OrderAccepted,
    OrderCancelled,
    OrderCompleted,
    OrderExpired,
    OrderPlaced,
    OrderRejected,
    OrderState,
    encoded,
    first,
    name_based_uuid,
)
from producers.orders.requests import (
    DEFAULT_KEYS,
    AcceptOrder,
    CancelOrder,
    Command,
    CompleteOrder,
    ExpireOrder,
    OrderItem,
    PlaceOrder,
    RejectOrder,
)

PRODUCER = "orders-api"
MAX_TOTAL = 10**12  # what `MinorUnits` can carry

_ORDERS = uuid.uuid5(uuid.NAMESPACE_URL, "urn:takeaway:order").bytes
_CAUSES = uuid.uuid5(uuid.NAMESPACE_URL, "urn:takeaway:cause").bytes

_BRINGS_ABOUT: dict[type[Command], type[Event]] = {
    AcceptOrder: OrderAccepted,
    RejectOrder: OrderRejected,
    CompleteOrder: OrderCompleted,
    CancelOrder: OrderCancelled,
    ExpireOrder: OrderExpired,
}
# An order about which no restaurant has done anything for so long is one that nobody will.
ABANDONED_AFTER = timedelta(days=14)


@dataclass(frozen=True)
class Performed(Generic[EventT_co]):
    """A command that was carried out: the event it brought about, and the fingerprint of its request.

    The envelope's `cause` stands for the command's idempotency key. `acknowledged`: the event is known to be on the
    stream; while it is not, nobody knows.
    """

    fingerprint: str
    encoded: EncodedEvent[EventT_co]
    acknowledged: bool = False

    @property
    def envelope(self) -> EventEnvelope[EventT_co]:
        return self.encoded.envelope

    @property
    def leads_to(self) -> OrderState:
        return TRANSITION_BY[type(self.envelope.event)].state


@dataclass(frozen=True)
class Order:
    """An order as its commands left it; `later` has what followed its placing, oldest first."""

    placing: Performed[OrderPlaced]
    later: tuple[Performed[Event], ...] = ()

    @property
    def order_id(self) -> str:
        return self.placing.envelope.order_id

    @property
    def placed(self) -> OrderPlaced:
        return self.placing.envelope.event

    @property
    def history(self) -> tuple[Performed[Event], ...]:
        return (self.placing, *self.later)

    @property
    def state(self) -> OrderState:
        return self.history[-1].leads_to

    def expires_by(self, at: datetime) -> bool:
        """Whether it is unanswered when its time is over: whatever command comes now is its expiry."""
        accept_by = self.placed.accept_by
        waits = self.state == TRANSITION_BY[OrderExpired].before
        # guarantee: an order that is unanswered in time expires
        return waits and accept_by is not None and at >= accept_by

    def is_over(self, now: datetime) -> bool:
        """Whether nothing is to come of it: it ended, and all of it is on the stream; or it was left alone for long."""
        ended = self.state in FINAL and self.is_acknowledged
        return ended or now - self.history[-1].envelope.occurred_at > ABANDONED_AFTER

    @property
    def is_acknowledged(self) -> bool:
        """Whether all of it is known to be on the stream."""
        return all(performed.acknowledged for performed in self.history)

    def acknowledging(self, performed: Performed[Event]) -> "Order":
        """The order once the event of `performed`, one of its own, is known to be on the stream."""
        at = self.history.index(performed)
        if at == 0:
            return replace(self, placing=replace(self.placing, acknowledged=True))
        noted = replace(performed, acknowledged=True)
        return replace(self, later=(*self.later[: at - 1], noted, *self.later[at:]))

    def after(self, performed: Performed[Event]) -> "Order":
        return Order(self.placing, (*self.later, performed))

    def unacknowledged(self, last: Performed[Event]) -> tuple[Performed[Event], ...]:
        """Of the history up to `last`, what is not known to be on the stream, oldest first."""
        until = self.history[: self.history.index(last) + 1]
        return tuple(performed for performed in until if not performed.acknowledged)


@dataclass(frozen=True)
class Refusal:
    """Why a command is not carried out, and what its sender can do about it."""

    detail: str
    fix: str


@dataclass(frozen=True)
class WrongState(Refusal):
    """The order has gone another way already, or not far enough: it is in `state`."""

    state: OrderState


class TooEarly(Refusal):
    """There is time for an answer yet."""


class KeyReused(Refusal):
    """The idempotency key stands for another request."""


class UnknownOrder(Refusal):
    """There is no such order, or it is somebody else's: one answer, so that nobody learns which."""


class TotalTooLarge(Refusal):
    """The items add up to more than an event can carry."""


def unknown_order() -> UnknownOrder:
    return UnknownOrder("You have no order of this id.", "Use an order_id that this API gave you, and its token.")


def derive_order_id(customer_id: str, idempotency_key: str) -> str:
    """The one order a customer's key can make: a client that heard no answer retries blindly."""
    return name_based_uuid(_ORDERS, f"{customer_id}\n{idempotency_key}".encode())


def derive_cause(event: type[Event], idempotency_key: str) -> str:
    """The `cause` of the event that a command under this key brings about.

    A client's key is free text and may hold a name or an address; what travels and is kept is this.
    """
    return name_based_uuid(_CAUSES, f"{EVENT_TYPES[event]}\n{idempotency_key}".encode())


def place(
    command: PlaceOrder,
    *,
    customer_id: str,
    idempotency_key: str,
    at: datetime,
    traceparent: str | None = None,
    accept_within: timedelta | None = None,
) -> Order | Refusal:
    """The order this command makes. It expires when it is unanswered after `accept_within`; None: never."""
    total = sum(item.quantity * item.unit_price for item in command.items)
    if total > MAX_TOTAL:
        return TotalTooLarge(
            f"The items add up to more than {MAX_TOTAL} minor units.", "Send prices in minor units, or fewer items."
        )
    placed = OrderPlaced(
        customer_id=customer_id,
        customer_name=command.customer_name,
        customer_email=command.customer_email,
        restaurant_id=command.restaurant_id,
        items=tuple(_line(item) for item in command.items),
        total=total,
        currency=command.currency,
        city=command.city,
        accept_by=at + accept_within if accept_within is not None else None,
        restaurant_name=command.restaurant_name,
        time_zone=command.time_zone,
    )
    envelope = first(
        placed,
        order_id=derive_order_id(customer_id, idempotency_key),
        cause=derive_cause(OrderPlaced, idempotency_key),
        occurred_at=at,
        producer=PRODUCER,
        traceparent=traceparent,
    )
    return Order(Performed(_fingerprint(command), encoded(envelope)))


def _line(item: OrderItem) -> Item:
    return Item(sku=item.sku, name=item.name, quantity=item.quantity, unit_price=item.unit_price)


def same_placing(order: Order, stored: Order) -> Order | Refusal:
    """The stored order, when `order` is a repeat of the request that made it."""
    if order.placing.fingerprint == stored.placing.fingerprint:
        return stored
    return _key_reused()


def perform(
    command: Command, order: Order, *, subject: str | None, idempotency_key: str | None, at: datetime
) -> Performed[Event] | Refusal:
    """What this command of `subject` does to the order. A repeat gives what `order.history` has for it already.

    `subject` is the id of the restaurant or customer that gives the command, None for the clock's own.
    Without a key the command's own name is it; that another body came under it is then a matter of the order's state.
    What comes too late for any command is performed as `ExpireOrder`, and refused when it is given again.
    """
    # guarantee: a restaurant touches only its own orders
    if subject != _commander(command, order):
        return unknown_order()
    kind = type(command)
    fingerprint = _fingerprint(command)
    cause = derive_cause(_BRINGS_ABOUT[kind], idempotency_key or DEFAULT_KEYS[kind])
    for earlier in order.later:
        if earlier.envelope.cause == cause and (idempotency_key or earlier.fingerprint == fingerprint):
            return earlier if earlier.fingerprint == fingerprint else _key_reused()
    if order.expires_by(at):
        return _performed(ExpireOrder(), order, derive_cause(OrderExpired, DEFAULT_KEYS[ExpireOrder]), at)
    needed = TRANSITION_BY[_BRINGS_ABOUT[kind]].before
    if order.state != needed:
        return WrongState(
            f"To {DEFAULT_KEYS[kind]} an order it has to be {needed}; this one is {order.state}.",
            f"GET /orders/{order.order_id} shows how far it is.",
            state=order.state,
        )
    if isinstance(command, ExpireOrder):
        until = order.placed.accept_by
        return TooEarly(f"The order waits for its answer until {until}.", "Give the command when that is over.")
    return _performed(command, order, cause, at)


def _commander(command: Command, order: Order) -> str | None:
    """Whose command it is."""
    match command:
        case CancelOrder():
            return order.placed.customer_id
        case ExpireOrder():
            return None
        case _:
            return order.placed.restaurant_id


def _performed(command: Command, order: Order, cause: str, at: datetime) -> Performed[Event]:
    envelope = first(
        _event(command, order.placed, at),
        order_id=order.order_id,
        cause=cause,
        occurred_at=at,
        producer=PRODUCER,
        traceparent=order.placing.envelope.traceparent,
    )
    return Performed(_fingerprint(command), encoded(envelope))


def _event(command: Command, placed: OrderPlaced, at: datetime) -> Event:
    concerned: _Concerned = {
        "restaurant_id": placed.restaurant_id,
        "customer_id": placed.customer_id,
        "customer_name": placed.customer_name,
        "customer_email": placed.customer_email,
        "restaurant_name": placed.restaurant_name,
        "items": placed.items,
        "total": placed.total,
        "currency": placed.currency,
        "time_zone": placed.time_zone,
    }
    match command:
        case AcceptOrder():
            return OrderAccepted(**concerned, ready_at=at + timedelta(minutes=command.ready_in_minutes))
        case RejectOrder():
            return OrderRejected(**concerned, reason=command.reason)
        case CompleteOrder():
            return OrderCompleted(**concerned)
        case CancelOrder():
            return OrderCancelled(**concerned)
        case ExpireOrder():
            return OrderExpired(**concerned, accept_by=placed.accept_by or at)


class _Concerned(TypedDict):
    """What each event of an order tells of its placing, so that its listeners need not have heard that."""

    restaurant_id: str
    customer_id: str
    customer_name: str
    customer_email: str
    restaurant_name: str | None
    items: tuple[Item, ...]
    total: int
    currency: str
    time_zone: str | None


def _key_reused() -> KeyReused:
    return KeyReused(
        "This Idempotency-Key was used with another request body.",
        "Repeat the first body exactly, or send a new request under a new Idempotency-Key.",
    )


def _fingerprint(command: PlaceOrder | Command) -> str:
    """Equal for requests that mean the same, however their JSON was spaced."""
    return hashlib.sha256(msgspec.json.encode(command)).hexdigest()
