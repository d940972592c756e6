"""How long steps take, from the timelines of some orders. Pure."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from events import CHOREOGRAPHY, EVENT_TYPES, Bound, OrderTimeline, Step
from foundation.percentiles import percentile
from takeaway.overview.facts import StepTime

_Key = tuple[str, str]


@dataclass
class _Taken:
    """A step's `done` and `waits` in seconds, and how many it may take."""

    step: Step
    within: float = 0.0
    done: list[float] = field(default_factory=list)
    waits: list[float] = field(default_factory=list)


def step_times(timelines: Iterable[OrderTimeline], now: datetime, *, speed: float = 1.0) -> tuple[StepTime, ...]:
    """The slowest first, by the share of its time that it takes. None of a step without a deadline, or not seen.

    An order that waits counts where it has done so for longer than most have taken: what stands still shows, though
    nothing of it is ever done.
    """
    taken: dict[_Key, _Taken] = {}
    for timeline in timelines:
        arrived = {one.event_id: one.arrived_at for one in timeline.events}
        for one in timeline.events:
            step = _STEPS.get((one.because_of or "", one.event_type))
            if step is None or step.awaited_within is None or one.before_its_cause:
                continue
            there = taken.setdefault(_key(step), _Taken(step))
            there.done.append((one.arrived_at - arrived[one.cause]).total_seconds())
            people = speed if step.bound_by is Bound.COMMAND else 1.0
            there.within = max(there.within, step.awaited_within.total_seconds() / people)
        for awaited in timeline.waits_for:
            step = _STEPS.get((awaited.because_of, awaited.tells[0]))
            if step is not None and now > awaited.since:
                there = taken.setdefault(_key(step), _Taken(step))
                there.waits.append((now - awaited.since).total_seconds())
                there.within = max(there.within, (awaited.due - awaited.since).total_seconds())
    return tuple(sorted(map(_time, taken.values()), key=lambda one: -one.share))


def _time(taken: _Taken) -> StepTime:
    usual = percentile(taken.done, 50) if taken.done else 0.0
    seconds = percentile([*taken.done, *(one for one in taken.waits if one > usual)] or taken.waits, 95)
    within = max(taken.within, 1e-3)
    step = taken.step
    return StepTime(
        step.actor,
        EVENT_TYPES[step.listens_to] if step.listens_to else "",
        tuple(EVENT_TYPES[event] for event in step.publishes),
        step.owner,
        len(taken.done),
        len(taken.waits),
        seconds,
        within,
        seconds / within,
    )


def _key(step: Step) -> _Key:
    return step.actor, EVENT_TYPES[step.listens_to] if step.listens_to else ""


def _steps(choreography: Sequence[Step]) -> dict[_Key, Step]:
    """By what is heard and what is told."""
    found: dict[_Key, Step] = defaultdict()
    for step in choreography:
        for event in step.publishes:
            found[EVENT_TYPES[step.listens_to] if step.listens_to else "", EVENT_TYPES[event]] = step
    return found


_STEPS = _steps(CHOREOGRAPHY)
