"""What is still to come of an order, by when, and whose step it is: read off the choreography. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache

from events.choreography import ACCEPT_WITHIN, CHOREOGRAPHY, Bound, Step, accept_within
from events.orders import EVENT_TYPES
from events.states import ANSWERS

# What an order begins with, by the steps that hear nothing.
BEGINNINGS = frozenset(EVENT_TYPES[event] for step in CHOREOGRAPHY if not step.listens_to for event in step.publishes)
# What only follows from another event, without a person's doing.
FOLLOWING = frozenset(
    EVENT_TYPES[event] for step in CHOREOGRAPHY if step.bound_by is Bound.HANDLER for event in step.publishes
)


@dataclass(frozen=True)
class Heard:
    """An event of the order, and when it came: its arrival, or where that is unknown, when it occurred.

    One that is not `on_stream` was told by a command and is heard by none.
    """

    event_id: str
    event_type: str
    cause: str
    at: datetime
    on_stream: bool = True


@dataclass(frozen=True)
class Upcoming:
    """One of `tells` is expected of `actor` by `due`, because of the event of id `heard`; `owner` answers for it.

    It is waited for since `since`, when that event came.
    """

    actor: str
    owner: str
    tells: tuple[str, ...]
    because_of: str
    heard: str
    since: datetime
    due: datetime

    def is_overdue(self, now: datetime) -> bool:
        return now > self.due


def upcoming(
    heard: Sequence[Heard],
    choreography: Sequence[Step] = CHOREOGRAPHY,
    *,
    accept_by: datetime | None = None,
    speed: float = 1.0,
) -> tuple[Upcoming, ...]:
    """What follows from the events of an order, the soonest first. A step without a deadline is never expected.

    People who are simulated at `speed` have so much less time, for an answer as much as `accept_within` leaves; what a
    program does takes as long as ever. Where the order says itself by when it is to be answered, that counts, as it
    stands.
    """
    seen = {one.event_type for one in heard}
    answered = {(one.event_type, one.cause) for one in heard}
    over = ended_by(seen, choreography) is not None
    found: list[Upcoming] = []
    for part in _parts(tuple(choreography)):
        events = [one for one in heard if one.on_stream and one.event_type == part.because_of]
        if part.step.bound_by is Bound.COMMAND:
            gone_on = over or not seen.isdisjoint(part.commanded_after)
            events = [] if gone_on else events[:1]
        else:
            events = [one for one in events if all((tell, one.event_id) not in answered for tell in part.tells)]
        found += [
            Upcoming(
                part.step.actor,
                part.step.owner,
                part.tells,
                part.because_of,
                one.event_id,
                since=one.at,
                due=_due(part.step, part.deadline, one.at, accept_by, speed),
            )
            for one in events
        ]
    return tuple(sorted(found, key=lambda one: one.due))


def ended_by(seen: Iterable[str], choreography: Sequence[Step] = CHOREOGRAPHY) -> str | None:
    """The event type that ended the order: it came of a command, and no command follows from it."""
    ends = _ends(tuple(choreography))
    return next((event for event in seen if event in ends), None)


@dataclass(frozen=True)
class _Part:
    """A step that something is expected of, with the names of its events."""

    step: Step
    because_of: str
    tells: tuple[str, ...]
    deadline: timedelta
    commanded_after: frozenset[str]


# Read once: an order is made again with each of its events.
@lru_cache(maxsize=8)
def _parts(choreography: tuple[Step, ...]) -> tuple[_Part, ...]:
    return tuple(
        _Part(step, because_of, _tells(step), step.awaited_within, _commanded_after(because_of, choreography))
        for step in choreography
        if step.listens_to is not None and step.awaited_within is not None
        for because_of in (EVENT_TYPES[step.listens_to],)
    )


@lru_cache(maxsize=8)
def _ends(choreography: tuple[Step, ...]) -> frozenset[str]:
    commanded = {event for step in choreography if step.bound_by is Bound.COMMAND for event in _tells(step)}
    return frozenset(event for event in commanded if not _commanded_after(event, choreography))


def _due(step: Step, deadline: timedelta, at: datetime, accept_by: datetime | None, speed: float) -> datetime:
    if not set(ANSWERS).isdisjoint(step.publishes):
        more = deadline - ACCEPT_WITHIN
        # guarantee: an order's own accept_by is its deadline
        return _later(accept_by, more) if accept_by is not None else _later(at, accept_within(speed) + more)
    # guarantee: only people's steps go by the speed
    return _later(at, deadline / speed if step.bound_by is Bound.COMMAND else deadline)


def _later(moment: datetime, length: timedelta) -> datetime:
    """As far as the calendar goes: a foreign clock may be at its end."""
    end = datetime.max.replace(tzinfo=UTC)
    return moment + length if end - moment > length else end


def _tells(step: Step) -> tuple[str, ...]:
    return tuple(EVENT_TYPES[event] for event in step.publishes)


def _commanded_after(event: str, choreography: Sequence[Step]) -> frozenset[str]:
    """What commands may tell from this event on, however many steps later."""
    reached, new = {event}, {event}
    commanded: set[str] = set()
    while new:
        steps = [step for step in choreography if step.listens_to and EVENT_TYPES[step.listens_to] in new]
        commanded.update(tell for step in steps if step.bound_by is Bound.COMMAND for tell in _tells(step))
        new = {tell for step in steps for tell in _tells(step)} - reached
        reached |= new
    return frozenset(commanded)
