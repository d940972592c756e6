"""What is still to come of an order, by when, and whose step it is: read off the choreography. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from events import CHOREOGRAPHY, EVENT_TYPES, Bound, Header, Step

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

    header: Header
    at: datetime
    on_stream: bool = True


@dataclass(frozen=True)
class Upcoming:
    """One of `tells` is expected of `actor` by `due`, because of the event of id `heard`; `owner` answers for it."""

    actor: str
    owner: str
    tells: tuple[str, ...]
    because_of: str
    heard: str
    due: datetime

    def is_overdue(self, now: datetime) -> bool:
        return now > self.due


def upcoming(heard: Sequence[Heard], choreography: Sequence[Step] = CHOREOGRAPHY) -> tuple[Upcoming, ...]:
    """What follows from the events of an order, the soonest first. A step without a deadline is never expected."""
    seen = {one.header.event_type for one in heard}
    over = ended_by(seen, choreography) is not None
    found: list[Upcoming] = []
    for step in choreography:
        if step.listens_to is None or step.deadline is None:
            continue
        because_of = EVENT_TYPES[step.listens_to]
        events = [one for one in heard if one.on_stream and one.header.event_type == because_of]
        if step.bound_by is Bound.COMMAND:
            gone_on = over or not seen.isdisjoint(_commanded_after(because_of, choreography))
            events = [] if gone_on else events[:1]
        else:
            events = [one for one in events if not _is_answered(one, step, heard)]
        found += [
            Upcoming(
                step.actor, step.owner, _tells(step), because_of, one.header.event_id, due=_later(one.at, step.deadline)
            )
            for one in events
        ]
    return tuple(sorted(found, key=lambda one: one.due))


def ended_by(seen: Iterable[str], choreography: Sequence[Step] = CHOREOGRAPHY) -> str | None:
    """The event type that ended the order: it came of a command, and no command follows from it."""
    commanded = {event for step in choreography if step.bound_by is Bound.COMMAND for event in _tells(step)}
    return next(
        (event for event in seen if event in commanded and not _commanded_after(event, choreography)),
        None,
    )


def _later(moment: datetime, length: timedelta) -> datetime:
    """As far as the calendar goes: a foreign clock may be at its end."""
    end = datetime.max.replace(tzinfo=UTC)
    return moment + length if end - moment > length else end


def _tells(step: Step) -> tuple[str, ...]:
    return tuple(EVENT_TYPES[event] for event in step.publishes)


def _is_answered(one: Heard, step: Step, heard: Iterable[Heard]) -> bool:
    tells = _tells(step)
    return any(other.header.event_type in tells and other.header.cause == one.header.event_id for other in heard)


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
