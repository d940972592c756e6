"""Facts about one order with good defaults: a test names only what it is about."""

from datetime import datetime, timedelta
from typing import Any

from events.choreography import CHOREOGRAPHY
from events.envelope import EventEnvelope, first, following
from events.orders import Event, OrderRejected, UserNotified
from events.wire import Header, encode, header_of
from foundation.kinesis import SequenceNumber
from takeaway.trace.facts import OrderFacts, Remembered, SetApart, Sighting, Source
from tests.support.builders import (
    NOON,
    a_restaurant_notified,
    an_envelope,
    an_order_accepted,
    an_order_completed,
)

ORDER = "order-1"
SHARD = "shardId-000000000001"
PLACED = an_envelope()
NOTIFIED = a_restaurant_notified(PLACED)
ACCEPTED = an_envelope(an_order_accepted(), cause="accept", occurred_at=NOON + timedelta(minutes=3))
REJECTED = an_envelope(
    OrderRejected(restaurant_id="restaurant-1", customer_id="customer-1", reason="closed"), cause="reject"
)
TOLD = following(
    ACCEPTED,
    UserNotified(customer_id="customer-1", channel="ses", message_id="mail-1"),
    occurred_at=NOON + timedelta(minutes=3),
    producer="user_notifier",
)
COMPLETED = an_envelope(an_order_completed(), cause="complete", occurred_at=NOON + timedelta(minutes=30))
TOLD_READY = following(
    COMPLETED,
    UserNotified(customer_id="customer-1", channel="ses", message_id="mail-2"),
    occurred_at=NOON + timedelta(minutes=30),
    producer="user_notifier",
)
WHOLE = (PLACED, NOTIFIED, ACCEPTED, TOLD, COMPLETED, TOLD_READY)
DEADLINES = {step.actor: step.deadline for step in CHOREOGRAPHY if step.deadline}


def header(envelope: EventEnvelope[Any]) -> Header:
    return header_of(encode(envelope))


def place(number: int) -> tuple[str, SequenceNumber]:
    return SHARD, SequenceNumber(str(number))


def seen(envelope: EventEnvelope[Any], number: int, *sources: Source, at: datetime | None = None) -> list[Sighting]:
    """At that place; it arrived so many seconds after noon."""
    arrived_at = at or NOON + timedelta(seconds=number)
    return [Sighting(header(envelope), source, place(number), arrived_at) for source in sources or (Source.LAKE,)]


def stored(envelope: EventEnvelope[Any], *, acknowledged: bool = False) -> Sighting:
    return Sighting(header(envelope), Source.ORDERS_TABLE, acknowledged=acknowledged)


def in_lake(*envelopes: EventEnvelope[Any]) -> OrderFacts:
    """At the places 1, 2, ..., all of them archived."""
    sightings = [one for number, envelope in enumerate(envelopes, 1) for one in seen(envelope, number)]
    return OrderFacts(ORDER, tuple(sightings), archived={SHARD: SequenceNumber("99")})


def a_letter(number: int, consumer: str = "user_notifier", **changes: Any) -> SetApart:
    return SetApart(consumer, place(number), f"orders/{SHARD}/{number}", **{"kind": "Unprocessable", **changes})


def an_effect(heard: EventEnvelope[Event], told: EventEnvelope[Any]) -> Remembered:
    return Remembered(told.producer, heard.event_id, header(told), told.event.channel, told.event.message_id)


def another(envelope: EventEnvelope[Event], cause: str) -> EventEnvelope[Event]:
    return first(
        envelope.event, order_id=ORDER, cause=cause, occurred_at=envelope.occurred_at, producer=envelope.producer
    )
