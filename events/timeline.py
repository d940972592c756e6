"""An order made of what was seen of it on the stream: its timeline, where it stands, what it waits for. Pure.

What is known of an order is the set of its events, each at the first place it arrived at. Such sets are joined in any
order and any number of times, and come to the same; so do the bytes of the order that is made of them.
"""

import hashlib
from collections.abc import Iterable
from datetime import datetime
from itertools import chain
from typing import Any

import msgspec

from events.next_steps import BEGINNINGS, FOLLOWING, Heard, Upcoming, upcoming
from events.orders import EVENTS, Event, event_type
from events.states import NOTIFIED, PLACED, OrderState, Standing, standing
from events.wire import Header

# Of a longer timeline the first ones are kept, and the first of each type. So many are counted, each once.
MOST_KEPT = 1_000
MOST_COUNTED = 10_000
_DIGEST = 8
_EVENTS: dict[str, type[Event]] = {event_type(event): event for event in EVENTS}


class SeenEvent(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An event at one place of the stream, and what of its content a timeline needs. No name and no address."""

    event_id: str
    event_type: str
    occurred_at: datetime
    cause: str
    arrived_at: datetime
    shard: str
    sequence: str
    sub: int = 0
    customer_id: str | None = None
    restaurant_id: str | None = None
    accept_by: datetime | None = None
    ready_at: datetime | None = None
    reason: str | None = None


FACTS = ("customer_id", "restaurant_id", "accept_by", "ready_at", "reason")
_encoder = msgspec.json.Encoder()


def accept_by_of(event: Event | None) -> datetime | None:
    """By when the order is to be answered, where this event says so."""
    return getattr(event, "accept_by", None)


def seen_event(
    header: Header, event: Event | None, *, arrived_at: datetime, shard: str, sequence: str, sub: int
) -> SeenEvent:
    """`event` is None for one of a type or version that this release does not know: it is kept as its header says."""
    return SeenEvent(
        event_id=header.event_id,
        event_type=header.event_type,
        occurred_at=header.occurred_at,
        cause=header.cause,
        arrived_at=arrived_at,
        shard=shard,
        sequence=sequence,
        sub=sub,
        **{name: getattr(event, name, None) for name in FACTS},
    )


class SeenEvents(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is known of one order: its events in the order of their arrival, each once.

    `digests` are those of all ids, sorted, where not all events are kept; empty otherwise.
    """

    events: tuple[SeenEvent, ...] = ()
    digests: bytes = b""

    @property
    def count(self) -> int:
        """How many events there are, each once; `MOST_COUNTED` stands for that many or more."""
        return max(len(self.events), len(self.digests) // _DIGEST)


def joined(*known: SeenEvents) -> SeenEvents:
    """All of them together: idempotent, commutative and associative."""
    firsts: dict[str, SeenEvent] = {}
    for one in chain.from_iterable(each.events for each in known):
        there = firsts.get(one.event_id)
        # guarantee: of an event's places the first counts, whichever is seen first
        if there is None or _comes_before(one, there):
            firsts[one.event_id] = one
    ordered = sorted(firsts.values(), key=_place)
    # guarantee: a timeline is bounded
    kept = _kept(ordered)
    digests = frozenset(chain.from_iterable(map(_digests, known)))
    return SeenEvents(
        events=kept,
        digests=b"".join(sorted(digests)[:MOST_COUNTED]) if len(digests) > len(kept) else b"",
    )


def seen(events: Iterable[SeenEvent]) -> SeenEvents:
    """What these events alone tell of their order."""
    return joined(*(SeenEvents((one,)) for one in events))


class TimelineEvent(msgspec.Struct, frozen=True, kw_only=True):
    """An event of a timeline. `because_of` is the type of the event that caused it, None where no such event was seen.

    What else is odd: it arrived before its cause, or what only follows from another event has none.
    """

    event_id: str
    event_type: str
    occurred_at: datetime
    arrived_at: datetime
    shard: str
    sequence: str
    sub: int
    cause: str
    because_of: str | None
    before_its_cause: bool
    lacks_cause: bool


class OrderTimeline(msgspec.Struct, frozen=True, kw_only=True):
    """An order: its events as they arrived, what they tell of it, and what it waits for, the soonest first.

    `placed_at` and what else the order is about is None where no event told it; `lacks_placing`: nothing says that it
    was placed. `count` counts the events, of which `events` may be the first ones only.
    """

    order_id: str
    state: Standing
    customer_id: str | None
    restaurant_id: str | None
    placed_at: datetime | None
    accept_by: datetime | None
    ready_at: datetime | None
    reason: str | None
    lacks_placing: bool
    count: int
    events: tuple[TimelineEvent, ...]
    waits_for: tuple[Upcoming, ...]

    @property
    def order_state(self) -> OrderState:
        """Where the order stands for commands: that its restaurant has been told is a fact beside its state."""
        return PLACED if self.state == NOTIFIED else self.state


def order_timeline(order_id: str, known: SeenEvents, *, speed: float = 1.0) -> OrderTimeline:
    """The order that these events tell of; deadlines go by their arrival, and people's are divided by `speed`."""
    events = known.events
    placings = [one for one in events if one.event_type in BEGINNINGS]
    facts: dict[str, Any] = {name: _first_told(name, (*placings, *events)) for name in FACTS}
    heard = [Heard(one.event_id, one.event_type, one.cause, one.arrived_at) for one in events]
    return OrderTimeline(
        order_id=order_id,
        state=standing((_EVENTS[one.event_type], one.occurred_at) for one in events if one.event_type in _EVENTS),
        placed_at=placings[0].occurred_at if placings else None,
        lacks_placing=not placings,
        count=known.count,
        events=_told(events),
        waits_for=upcoming(heard, accept_by=facts["accept_by"], speed=speed),
        **facts,
    )


def timeline_bytes(timeline: OrderTimeline) -> bytes:
    """As JSON; equal timelines give equal bytes, wherever they were made."""
    return _encoder.encode(timeline)


def _told(events: tuple[SeenEvent, ...]) -> tuple[TimelineEvent, ...]:
    ranks = {one.event_id: rank for rank, one in enumerate(events)}
    types = {one.event_id: one.event_type for one in events}
    return tuple(
        TimelineEvent(
            event_id=one.event_id,
            event_type=one.event_type,
            occurred_at=one.occurred_at,
            arrived_at=one.arrived_at,
            shard=one.shard,
            sequence=one.sequence,
            sub=one.sub,
            cause=one.cause,
            because_of=types.get(one.cause),
            before_its_cause=ranks.get(one.cause, -1) > rank,
            lacks_cause=one.event_type in FOLLOWING and one.cause not in types,
        )
        for rank, one in enumerate(events)
    )


def _first_told(name: str, events: Iterable[SeenEvent]) -> Any:
    return next((value for one in events if (value := getattr(one, name)) is not None), None)


def _kept(ordered: list[SeenEvent]) -> tuple[SeenEvent, ...]:
    """The first ones, and behind them the first of each type of ours, so that no flood hides how the order ended."""
    kept, rest = ordered[:MOST_KEPT], ordered[MOST_KEPT:]
    if not rest:
        return tuple(kept)
    missing = _EVENTS.keys() - {one.event_type for one in kept}
    for one in rest:
        if one.event_type in missing:
            missing.discard(one.event_type)
            kept.append(one)
    return tuple(kept)


def _comes_before(one: SeenEvent, other: SeenEvent) -> bool:
    here, there = _place(one), _place(other)
    return here < there or (here == there and _by_content(one) < _by_content(other))


def _place(one: SeenEvent) -> tuple[datetime, str, int, int, str]:
    """Sorts as they arrived; on one shard as they lie there."""
    return one.arrived_at, one.shard, int(one.sequence), one.sub, one.event_id


def _by_content(one: SeenEvent) -> tuple[int, bytes]:
    """For what two releases saw at one place: the one that knew the event's type tells more."""
    return sum(getattr(one, name) is None for name in FACTS), _encoder.encode(one)


def _digests(known: SeenEvents) -> set[bytes]:
    there = {known.digests[at : at + _DIGEST] for at in range(0, len(known.digests), _DIGEST)}
    return there | {_digest(one.event_id) for one in known.events}


def _digest(event_id: str) -> bytes:
    return hashlib.blake2b(event_id.encode(), digest_size=_DIGEST).digest()
