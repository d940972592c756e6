"""An order's timeline, made of what is known of it. Pure: the same facts in any order give the same timeline."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import Enum

from consumers.specs import LAKE_FILLERS
from events import BEGINNINGS, FOLLOWING, Header, Heard, Upcoming, ended_by, upcoming
from foundation.kinesis import StreamPosition
from takeaway.trace.facts import Looked, OrderFacts, Remembered, SetApart, Sighting, Source, Unreadable


class Whereabouts(Enum):
    """How far an event has come."""

    LAKE = "lake"
    # On the stream, behind the last place that the lake accounts for.
    ON_ITS_WAY = "stream"
    # Not a row: one that fills the lake could not read it.
    SET_APART = "set apart"
    # The lake accounts for its place, and has no row of it.
    MISSING = "missing"
    # A command stored it, and Kinesis is not known to have it.
    STORED = "stored"
    # Kinesis acknowledged it, and it was seen nowhere else.
    UNSEEN = "not seen"


@dataclass(frozen=True)
class Repeat:
    """The same event at another place; `dropped`: the lake has no row of it, and needs none."""

    place: StreamPosition
    arrived_at: datetime | None
    dropped: bool


@dataclass(frozen=True)
class Happening:
    """An event, once: at the first place it arrived at, which is the one that counts.

    `because_of` is the type of the event that caused it, None where no such event was seen: a command's cause is none,
    and of what only a consumer tells, it is missing, `lacks_cause`.
    """

    header: Header
    whereabouts: Whereabouts
    place: StreamPosition | None
    arrived_at: datetime | None
    because_of: str | None
    repeats: tuple[Repeat, ...] = ()
    set_apart: tuple[SetApart, ...] = ()
    remembered: tuple[Remembered, ...] = ()
    before_its_cause: bool = False
    lacks_cause: bool = False

    @property
    def at(self) -> datetime:
        return self.arrived_at or self.header.occurred_at


@dataclass(frozen=True)
class Timeline:
    """An order's events as they arrived, what is to come, and where one looked.

    `untold` are effects whose event was seen nowhere; `letters` those about records that are no event seen.
    `lacks_placing`: nothing says that the order was placed. `ended_by` is the type of the event that ended it.
    """

    order_id: str
    happenings: tuple[Happening, ...]
    unreadable: tuple[Unreadable, ...]
    letters: tuple[SetApart, ...]
    untold: tuple[Remembered, ...]
    upcoming: tuple[Upcoming, ...]
    ended_by: str | None
    lacks_placing: bool
    looked: Looked

    @property
    def trace_ids(self) -> tuple[str, ...]:
        """Those of the events' W3C trace contexts: one, unless producers disagree."""
        parts = (one.header.traceparent.split("-") for one in self.happenings)
        return tuple(dict.fromkeys(part[1] for part in parts if len(part) == 4))


def timeline_of(facts: OrderFacts) -> Timeline:
    events: dict[str, list[Sighting]] = {}
    for sighting in facts.sightings:
        events.setdefault(sighting.header.event_id, []).append(sighting)
    types = {event_id: seen[0].header.event_type for event_id, seen in events.items()}
    firsts = [_happening(facts, seen, types) for seen in events.values()]
    happenings = sorted(firsts, key=_in_order)
    rank = {one.header.event_id: index for index, one in enumerate(happenings)}
    happenings = [_told_of_its_cause(one, rank) for one in happenings]
    known = {one.place for one in happenings} | {repeat.place for one in happenings for repeat in one.repeats}
    return Timeline(
        order_id=facts.order_id,
        happenings=tuple(happenings),
        unreadable=tuple(sorted(facts.unreadable, key=lambda one: (one.arrived_at, _place_key(one.place)))),
        letters=tuple(one for one in facts.set_apart if one.place not in known),
        untold=tuple(one for one in facts.remembered if one.told and one.told.event_id not in events),
        upcoming=upcoming([_heard(one) for one in happenings], accept_by=_accept_by(facts.sightings)),
        ended_by=ended_by(types[one.header.event_id] for one in happenings),
        lacks_placing=not any(one.header.event_type in BEGINNINGS for one in happenings),
        looked=facts.looked,
    )


def _accept_by(sightings: Sequence[Sighting]) -> datetime | None:
    """As the first event says that says so."""
    told = [(one.arrived_at or one.header.occurred_at, one.accept_by) for one in sightings if one.accept_by]
    return min(told)[1] if told else None


def _heard(one: Happening) -> Heard:
    header = one.header
    on_stream = one.whereabouts is not Whereabouts.STORED
    return Heard(header.event_id, header.event_type, header.cause, one.at, on_stream)


def _happening(facts: OrderFacts, seen: Sequence[Sighting], types: dict[str, str]) -> Happening:
    rows = {one.place for one in seen if one.source is Source.LAKE}
    places: dict[StreamPosition, Sighting] = {}
    for one in seen:
        if one.place is not None:
            places.setdefault(one.place, one)
    # guarantee: an event counts at the first place it arrived at
    ordered = sorted(places.values(), key=lambda one: (one.arrived_at or one.header.occurred_at, _key_of(one)))
    first = ordered[0] if ordered else seen[0]
    letters = tuple(one for one in facts.set_apart if one.place in places)
    header = first.header
    return Happening(
        header=header,
        whereabouts=_whereabouts(facts, first, rows, letters),
        place=first.place,
        arrived_at=first.arrived_at,
        because_of=types.get(header.cause),
        lacks_cause=header.cause not in types and header.event_type in FOLLOWING,
        repeats=tuple(
            Repeat(one.place, one.arrived_at, dropped=one.place not in rows and _is_archived(facts, one.place))
            for one in ordered[1:]
            if one.place is not None
        ),
        set_apart=letters,
        remembered=tuple(
            one for one in facts.remembered if header.event_id == (one.told.event_id if one.told else one.heard)
        ),
    )


def _whereabouts(
    facts: OrderFacts,
    first: Sighting,
    rows: set[StreamPosition | None],
    letters: Sequence[SetApart],
) -> Whereabouts:
    if rows:
        return Whereabouts.LAKE
    if first.place is None:
        return Whereabouts.UNSEEN if first.acknowledged else Whereabouts.STORED
    if any(one.consumer in LAKE_FILLERS for one in letters):
        return Whereabouts.SET_APART
    return Whereabouts.MISSING if _is_archived(facts, first.place) else Whereabouts.ON_ITS_WAY


def _is_archived(facts: OrderFacts, place: StreamPosition) -> bool:
    shard_id, number = place
    return shard_id in facts.archived and number <= facts.archived[shard_id]


def _told_of_its_cause(one: Happening, rank: dict[str, int]) -> Happening:
    """One that stands before what caused it: so they arrived, whatever the clocks of their producers say."""
    before = rank.get(one.header.cause, -1) > rank[one.header.event_id]
    return replace(one, before_its_cause=before)


def _in_order(one: Happening) -> tuple[datetime, tuple[str, tuple[int, int]], str]:
    return one.at, _place_key(one.place), one.header.event_id


def _key_of(one: Sighting) -> tuple[str, tuple[int, int]]:
    return _place_key(one.place)


def _place_key(place: StreamPosition | None) -> tuple[str, tuple[int, int]]:
    return ("", (0, 0)) if place is None else (place[0], place[1].key)
