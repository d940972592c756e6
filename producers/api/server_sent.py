"""An order as server-sent events: ids and states alone, and where a client goes on that comes back. Pure.

https://html.spec.whatwg.org/multipage/server-sent-events.html
"""

import hashlib
from enum import Enum

import msgspec

from events import FINAL, OrderState
from producers.tracking import TrackedOrder

MEDIA_TYPE = "text/event-stream"
# So soon a client comes back that lost its stream.
RETRY = b"retry: 2000\n\n"
STILL_THERE = b": still there\n\n"
_encoder = msgspec.json.Encoder()


class Why(Enum):
    """Why a stream ends. Behind the first two its client is not to come back."""

    OVER = "over"
    REPLACED = "replaced"
    IDLE = "idle"


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """`state` is the order's by now, which the `version`th write of the tracker has brought."""

    event_id: str
    event_type: str
    state: OrderState
    version: int


class End(msgspec.Struct, frozen=True, kw_only=True):
    """The last that a stream says."""

    reason: str
    state: OrderState


def told(order: TrackedOrder, after: str | None) -> tuple[list[bytes], str | None]:
    """What a client is still to be told that has been told all up to `after`, the `id` of an event; and the last id.

    Where something was seen later and yet lies before that, all is told again: each event has its `event_id`.
    """
    ids = _ids([one.event_id for one in order.timeline.events])
    # guarantee: a client that comes back is told what it has missed
    begin = ids.index(after) + 1 if after in ids else 0
    parts = [
        _part(
            _encoder.encode(
                Told(
                    event_id=one.event_id,
                    event_type=one.event_type,
                    state=order.timeline.order_state,
                    version=order.version,
                )
            ),
            id=id_,
        )
        for one, id_ in list(zip(order.timeline.events, ids, strict=True))[begin:]
    ]
    return parts, ids[-1] if ids else after


def end(order: TrackedOrder, why: Why) -> bytes:
    return _part(_encoder.encode(End(reason=why.value, state=order.timeline.order_state)), event="end")


def is_over(order: TrackedOrder) -> bool:
    """Whether nothing more is to come of it."""
    return order.timeline.order_state in FINAL and not order.timeline.waits_for


def _ids(event_ids: list[str]) -> list[str]:
    """Of each event: its number, and a digest of all event ids up to it. An event's own id may hold a line's end."""
    digest = hashlib.blake2b(digest_size=8)
    ids = []
    for number, event_id in enumerate(event_ids, 1):
        digest.update(_encoder.encode(event_id))
        ids.append(f"{number}-{digest.hexdigest()}")
    return ids


def _part(data: bytes, **fields: str) -> bytes:
    """JSON has no line's end in it."""
    named = "".join(f"{name}: {value}\n" for name, value in fields.items())
    return named.encode() + b"data: " + data + b"\n\n"
