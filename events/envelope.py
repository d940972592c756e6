"""A fact plus what every fact carries: who said it when, because of what, and as part of which trace."""

import hashlib
import re
import uuid
from typing import Generic, TypeVar

import msgspec

from events.orders import EVENT_TYPES, Event, Identifier, Timestamp

# RFC 9562 version 5 namespace of our own: derived ids never meet another system's.
_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, "urn:takeaway:event").bytes
_VARIANT = {digit: "89ab"[int(digit, 16) % 4] for digit in "0123456789abcdef"}
# W3C Trace Context, 3.2.2.3 and 3.2.2.4: ids of nothing but zeros are invalid, and the header then counts for nothing.
_TRACEPARENT = re.compile(r"00-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-[0-9a-f]{2}")


EventT = TypeVar("EventT", bound=Event)
EventT_co = TypeVar("EventT_co", bound=Event, covariant=True)


class EventEnvelope(msgspec.Struct, Generic[EventT_co], frozen=True, kw_only=True):
    """One event as it travels; `EventEnvelope[OrderPlaced]` is one that carries an `OrderPlaced`.

    `cause` is what made it happen: the `event_id` of the event heard, or a name derived from the command's key.
    `event_id` is derived from order, type and cause, so a repeat of one happening always has the same id.
    `traceparent` is a W3C trace context: all events of an order share its trace id.
    """

    event_id: Identifier
    order_id: Identifier
    occurred_at: Timestamp
    cause: Identifier
    traceparent: str
    producer: Identifier
    event: EventT_co

    @property
    def event_type(self) -> str:
        return EVENT_TYPES[type(self.event)]


def derive_event_id(order_id: str, event_type: str, cause: str, position: int = 0) -> str:
    """The id of the event of this type that `cause` brings about for this order, at this position of its answer."""
    named = (order_id, event_type, cause, *((position,) if position else ()))
    return name_based_uuid(_NAMESPACE, msgspec.json.encode(named))


def name_based_uuid(namespace: bytes, name: bytes) -> str:
    """The text of `uuid.uuid5`, in a fifth of its time: every event has one."""
    digest = hashlib.sha1(namespace + name, usedforsecurity=False).hexdigest()
    variant = _VARIANT[digest[16]]
    return f"{digest[:8]}-{digest[8:12]}-5{digest[13:16]}-{variant}{digest[17:20]}-{digest[20:32]}"


def first(
    event: EventT,
    *,
    order_id: str,
    cause: str,
    occurred_at: Timestamp,
    producer: str,
    traceparent: str | None = None,
) -> EventEnvelope[EventT]:
    """An event that a command brings about; `cause` is derived from the command's idempotency key.

    A valid `traceparent` of the caller is continued; otherwise the trace is named after the order.
    """
    event_id = derive_event_id(order_id, EVENT_TYPES[type(event)], cause)
    caller = _TRACEPARENT.fullmatch(traceparent or "")
    trace_id = caller[1] if caller else _trace_of(order_id)
    return EventEnvelope(
        event_id=event_id,
        order_id=order_id,
        occurred_at=occurred_at,
        cause=cause,
        traceparent=_traceparent(trace_id, event_id),
        producer=producer,
        event=event,
    )


def following(
    heard: EventEnvelope[Event], event: EventT, *, occurred_at: Timestamp, producer: str, position: int = 0
) -> EventEnvelope[EventT]:
    """An event that happens because another was heard: same order, same trace, caused by it.

    `position` is its place among several that happen so.
    """
    event_id = derive_event_id(heard.order_id, EVENT_TYPES[type(event)], heard.event_id, position)
    heard_trace = _TRACEPARENT.fullmatch(heard.traceparent)
    trace_id = heard_trace[1] if heard_trace else _trace_of(heard.order_id)
    return EventEnvelope(
        event_id=event_id,
        order_id=heard.order_id,
        occurred_at=occurred_at,
        cause=heard.event_id,
        traceparent=_traceparent(trace_id, event_id),
        producer=producer,
        event=event,
    )


def partition_key(envelope: EventEnvelope[Event]) -> str:
    """The order: all its events stay in order on one shard."""
    return envelope.order_id


def _trace_of(order_id: str) -> str:
    return name_based_uuid(_NAMESPACE, order_id.encode()).replace("-", "")


def _traceparent(trace_id: str, event_id: str) -> str:
    return f"00-{trace_id}-{event_id.replace('-', '')[:16]}-01"
