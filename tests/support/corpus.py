"""What arrives: bytes that no decoder may stumble over. One corpus, for the engines, the lake and every reader."""

import codecs
import json
from collections.abc import Mapping

from hypothesis import strategies as st

from events.orders import EVENT_TYPES, EVENTS
from events.wire import HEADER_FIELDS, encode
from tests.support.builders import a_message, an_aggregate_of, an_envelope, nested, packed, with_field

GOOD = encode(an_envelope())
MEBIBYTE = 1024 * 1024


def an_object(fields: Mapping[str, bytes]) -> bytes:
    return b"{" + b",".join(json.dumps(name).encode() + b":" + raw for name, raw in fields.items()) + b"}"


def _with(name: str, raw: bytes) -> bytes:
    """An event with these bytes as the value of one of its own fields."""
    fields = {field: json.dumps(value).encode() for field, value in json.loads(GOOD).items()}
    return an_object(fields | {name: raw})


# What is no event of the contract, whatever it looks like.
GARBAGE: dict[str, bytes] = {
    "empty": b"",
    "one byte": b"\x00",
    "no event": b"no event",
    "no UTF-8": b"\xff\xfe\x00\x80",
    "cut short": GOOD[:-40],
    "a byte order mark": codecs.BOM_UTF8 + GOOD,
    "UTF-16": GOOD.decode().encode("utf-16"),
    "null": b"null",
    "a list": b"[" + GOOD + b"]",
    "two events": GOOD + GOOD,
    "NaN": _with("total", b"NaN"),
    "infinity": _with("total", b"-Infinity"),
    "a total beyond float": _with("total", b"1e999"),
    "a total of 5,000 digits": _with("total", b"9" * 5000),
    "a version of 100 digits": _with("schema_version", b"9" * 100),
    "a surrogate as bytes in a name": _with("customer_name", b'"\xed\xa0\x80"'),
    "half a character": _with("order_id", b'"\\ud800"'),
    "a field that is missing": GOOD.replace(b'"restaurant_id"', b'"somewhere"'),
    "lists without end": nested(100_000),
    "objects without end": nested(100_000, b'{"a":', b"}"),
    "lists that never close": b'{"event_id":' + b"[" * 100_000,
    "a time of no calendar": _with("occurred_at", b'"0001-01-01T00:00:00+14:00"'),
    "an aggregate of nothing": an_aggregate_of(b""),
    "an aggregate that is damaged": packed([GOOD], "order-1")[:-1] + b"?",
    "an aggregate whose key is no text": an_aggregate_of(a_message(key=b"\xff\xfe")),
    "an aggregate whose hash key is no number": an_aggregate_of(a_message(hash_key=b"x", data=b"no event")),
    "the magic alone": an_aggregate_of(b"")[:4],
}

# Events, with more in them than the contract knows: each is a row.
ODD: dict[str, bytes] = {
    "nested as deep as a reader goes": with_field("x", nested(99)),
    "nested deeper": with_field("x", nested(800)),
    "nested objects": with_field("x", nested(400, b'{"a":', b"}")),
    "a number beyond float": with_field("x", b"1e999"),
    "a number of 5,000 digits": with_field("x", b"7" * 5000),
    "no UTF-8 in a field": with_field("x", b'"\xff"'),
    "a surrogate as bytes in a field": with_field("x", b'"\xed\xa0\x80"'),
    "a name that is there twice": with_field("x", b'1,"x":2'),
    "control and direction characters": with_field("x", json.dumps("\u202eolleh\u0000\x1b[2J\r\n").encode()),
    "a name of nothing": with_field("", b"1"),
}


def large(size: int) -> dict[str, bytes]:
    """Records of about so many bytes; Kinesis takes 10 MiB."""
    return {
        "zeros": bytes(size),
        "one word": b"a" * size,
        "addresses": b"a@b.c " * (size // 6),
        "an unknown field": numbered(with_field("x", b'"' + b"y" * (size - 1000) + b'"'), 1),
        "small objects": numbered(with_field("x", b"[" + b",".join([b'{"a":1}'] * (size // 8 - 100)) + b"]"), 2),
    }


def numbered(data: bytes, number: int) -> bytes:
    """An event of the corpus with an id of its own, so that it repeats no other."""
    return data.replace(an_envelope().event_id.encode(), f"event-{number}".encode())


any_bytes = st.one_of(st.sampled_from([*GARBAGE.values()]), st.binary(max_size=200))

# JSON as bytes, with numbers that no float has.
any_number = st.from_regex(rb"-?(0|[1-9][0-9]{0,400})(\.[0-9]{1,30})?([eE][-+]?[0-9]{1,4})?", fullmatch=True)
any_json = st.recursive(
    any_number | st.sampled_from([b"null", b"true"]) | st.text(max_size=20).map(lambda text: json.dumps(text).encode()),
    lambda some: st.one_of(
        st.lists(some, max_size=3).map(lambda parts: b"[" + b",".join(parts) + b"]"),
        st.dictionaries(st.text(max_size=5), some, max_size=3).map(an_object),
    ),
    max_leaves=8,
)


@st.composite
def almost_events(draw: st.DrawFn) -> bytes:
    """JSON objects with the names of an event's fields, each with its value or with anything."""
    fields = {field: json.dumps(value).encode() for field, value in json.loads(GOOD).items()}
    changes = st.dictionaries(st.sampled_from([*fields, *HEADER_FIELDS, "x"]), any_json, max_size=3)
    kind = st.sampled_from([EVENT_TYPES[event] for event in EVENTS])
    return an_object({**fields, "event_type": json.dumps(draw(kind)).encode(), **draw(changes)})


any_record = st.one_of(any_bytes, any_json, almost_events(), st.sampled_from([*ODD.values()]))
