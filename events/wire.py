"""Envelope to bytes and back. The wire is one flat JSON object: the envelope's fields, then the event's own."""

import json
import re
from datetime import UTC
from math import isfinite
from sys import float_info
from typing import Annotated, Any, Generic, cast

import msgspec
from msgspec import Meta

from events.envelope import EventEnvelope, EventT, EventT_co
from events.fields import fields_of
from events.orders import EVENT_TYPES, EVENTS, Event, Identifier, Timestamp, require_utc


class UnreadableEvent(ValueError):
    """Bytes that are no event of this contract. The message says what is wrong and where, never what was in them."""


class UnknownEvent(UnreadableEvent):
    """A well-formed envelope of a type or version that this release does not know: not broken, but newer than we are.

    `header` is what is known of it.
    """

    def __init__(self, header: "Header") -> None:
        super().__init__(_unknown(header))
        self.header = header


class EncodedEvent(msgspec.Struct, Generic[EventT_co], frozen=True):
    """An event and its bytes, `encode(envelope)`: made once, then stored and published as they are.

    Bytes that were read may have been written by another release, and then say the same in other ways, or more.
    """

    envelope: EventEnvelope[EventT_co]
    data: bytes


class Header(msgspec.Struct, frozen=True, kw_only=True):
    """The envelope's own fields, each a column of the lake, with field ids below 21."""

    event_id: Annotated[Identifier, Meta(extra={"field_id": 1})]
    event_type: Annotated[str, Meta(extra={"field_id": 2})]
    schema_version: Annotated[int, Meta(extra={"field_id": 3, "bits": 32})]
    order_id: Annotated[Identifier, Meta(extra={"field_id": 4})]
    occurred_at: Annotated[Timestamp, Meta(extra={"field_id": 5})]
    cause: Annotated[Identifier, Meta(extra={"field_id": 6})]
    traceparent: Annotated[str, Meta(extra={"field_id": 7})]
    producer: Annotated[Identifier, Meta(extra={"field_id": 8})]

    @property
    def name(self) -> str:
        """Type and version: `order_placed.v1`."""
        return f"{self.event_type}.v{self.schema_version}"


HEADER_FIELDS: tuple[str, ...] = Header.__struct_fields__

# Nesting deeper than the decoder's stack is no event either.
_UNDECODABLE = (msgspec.DecodeError, ValueError, RecursionError)

# What is nested deeper is kept as text, so that whatever reads it again can.
_MAX_DEPTH = 100

# What an event may be called, by any release: anything else may be anybody's words.
_NAME = re.compile(r"^[a-z][a-z0-9_]{0,63}\Z")
_MAX_VERSION = 2**31 - 1

_encoder = msgspec.json.Encoder()
_header_decoder = msgspec.json.Decoder(Header)
_event_decoders: dict[tuple[str, int], msgspec.json.Decoder[Event]] = {
    (EVENT_TYPES[event], version): msgspec.json.Decoder(event)
    for event in EVENTS
    for version in range(event.oldest_version, event.schema_version + 1)
}
# What this release reads, each as `order_placed.v1`.
KNOWN_EVENTS = frozenset(f"{event_type}.v{version}" for event_type, version in _event_decoders)
_known_types = frozenset(EVENT_TYPES.values())
_known_fields = {event: frozenset((*HEADER_FIELDS, *event.__struct_fields__)) for event in EVENTS}
# Of each list of structs that an event has, what is known of a struct.
_known_parts = {
    event: {
        field.name: frozenset(part.name for part in field.element.parts)
        for field in fields_of(event)
        if field.element and field.element.parts
    }
    for event in EVENTS
}


def encode(envelope: EventEnvelope[Event]) -> bytes:
    """The envelope as UTF-8 JSON. Equal envelopes give equal bytes."""
    header = Header(
        event_id=envelope.event_id,
        event_type=envelope.event_type,
        schema_version=envelope.event.schema_version,
        order_id=envelope.order_id,
        occurred_at=envelope.occurred_at.astimezone(UTC),
        cause=envelope.cause,
        traceparent=envelope.traceparent,
        producer=envelope.producer,
    )
    return _encoder.encode(header)[:-1] + b"," + _encoder.encode(envelope.event)[1:]


def decode(data: bytes) -> EventEnvelope[Event]:
    """The envelope in these bytes. Fields that no release knows are tolerated.

    Raises `UnknownEvent` for a type or version that this release does not know, `UnreadableEvent` for what is broken.
    """
    return _opened(_header(data), data)


def read(data: bytes) -> tuple[Header, Event | None]:
    """The envelope's own fields, and the event, which is None for a type or version that this release does not know.

    Raises `UnreadableEvent` for what is no event of any release, and for one of a type and version of ours that breaks
    the contract.
    """
    header = _header(data)
    try:
        return header, _event(header, data)
    # guarantee: what is newer than we are is not broken
    except UnknownEvent:
        return header, None


def header_of(data: bytes) -> Header:
    """As `read`, of which only the envelope is of use."""
    return read(data)[0]


def encoded(envelope: EventEnvelope[EventT]) -> EncodedEvent[EventT]:
    return EncodedEvent(envelope, encode(envelope))


def decoded(data: bytes) -> EncodedEvent[Event]:
    """The event in these bytes, beside them. Raises `UnreadableEvent` as `decode` does."""
    return EncodedEvent(decode(data), data)


def decode_only(wanted: type[EventT] | tuple[type[EventT], ...], data: bytes) -> EventEnvelope[EventT] | None:
    """As `decode`; None for an event of any other type, whose own fields are not looked at."""
    header = _header(data)
    if header.event_type not in map(EVENT_TYPES.get, wanted if isinstance(wanted, tuple) else (wanted,)):
        return None
    return cast("EventEnvelope[EventT]", _opened(header, data))


def unknown_fields(data: bytes, event: Event | None) -> dict[str, Any]:
    """What these bytes, which `decode` has read as `event`, say beyond the contract: null says nothing.

    Without an event, of one of an unknown type or version, that is all but the envelope. Of an item, too: `items` then
    has an object for each, often an empty one; so has any list of objects. A number beyond float is its text. A field
    that not every JSON reader takes, which `decode` passes over, gives the whole text back as `_undecodable`: one that
    is no UTF-8, or is nested deeper than a hundred times.
    """
    try:
        # Strictly: what passes for a surrogate is no text that can be written again.
        fields: dict[str, Any] = _every_field.decode(data.decode())
    except (ValueError, RecursionError):
        return _undecodable(data)
    unknown = _unknown_among(fields, event)
    # guarantee: what is nested too deep for a reader is kept as text
    if data.count(b"[") + data.count(b"{") > _MAX_DEPTH and _is_deep(unknown):
        return _undecodable(data)
    return unknown


def _undecodable(data: bytes) -> dict[str, Any]:
    return {"_undecodable": data.decode(errors="backslashreplace")}


def _unknown_among(fields: dict[str, Any], event: Event | None) -> dict[str, Any]:
    if event is None:
        return {name: value for name, value in fields.items() if name not in HEADER_FIELDS and value is not None}
    known = _known_fields[type(event)]
    unknown = {name: value for name, value in fields.items() if name not in known and value is not None}
    for name, parts in _known_parts[type(event)].items():
        stated = [
            {part: value for part, value in one.items() if part not in parts and value is not None}
            for one in fields.get(name) or ()
        ]
        if any(stated):
            unknown[name] = stated
    return unknown


def _number(text: str) -> float | str:
    number = float(text)
    # guarantee: a number beyond float is kept as text
    return number if isfinite(number) else text


def _whole_number(text: str) -> int | str:
    return int(text) if len(text) <= float_info.max_10_exp else text


_every_field = json.JSONDecoder(parse_int=_whole_number, parse_float=_number)


def _is_deep(value: object) -> bool:
    """Whether lists and objects are nested in it more than `_MAX_DEPTH` times."""
    level = [value]
    for _ in range(_MAX_DEPTH):
        inside: list[object] = []
        for one in level:
            inside += one.values() if isinstance(one, dict) else one if isinstance(one, list) else ()
        level = [part for part in inside if isinstance(part, dict | list)]
        if not level:
            return False
    return True


def _header(data: bytes) -> Header:
    try:
        header = _header_decoder.decode(data)
        require_utc(header.occurred_at, "occurred_at")
    except _UNDECODABLE as error:
        raise UnreadableEvent(f"envelope: {_without_values(error)}") from error
    return msgspec.structs.replace(header, occurred_at=header.occurred_at.astimezone(UTC))


def _event(header: Header, data: bytes) -> Event:
    decoder = _event_decoders.get((header.event_type, header.schema_version))
    if decoder is None:
        is_named = _NAME.match(header.event_type) and 0 < header.schema_version <= _MAX_VERSION
        raise UnknownEvent(header) if is_named else UnreadableEvent(_unknown(header))
    try:
        return decoder.decode(data)
    except _UNDECODABLE as error:
        raise UnreadableEvent(f"{header.event_type}: {_without_values(error)}") from error


def _opened(header: Header, data: bytes) -> EventEnvelope[Event]:
    return EventEnvelope(
        event_id=header.event_id,
        order_id=header.order_id,
        occurred_at=header.occurred_at,
        cause=header.cause,
        traceparent=header.traceparent,
        producer=header.producer,
        event=_event(header, data),
    )


def _unknown(header: Header) -> str:
    if header.event_type in _known_types:
        return f"{header.event_type}: unknown schema_version {header.schema_version} - at `$.schema_version`"
    named = f" {header.event_type}" if _NAME.match(header.event_type) else ""
    return f"unknown event_type{named} - at `$.event_type`"


def _without_values(error: Exception) -> str:
    """What is wrong and where; the decoder puts what it found there between quotes."""
    if isinstance(error, UnicodeError):
        return "a text is no UTF-8"
    return re.sub("(['\"]).*\\1", "there", str(error), flags=re.DOTALL)
