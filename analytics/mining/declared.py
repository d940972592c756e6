"""What a choreography says about one order's events, as numbers that SQL can be written with."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property

from events import ACCEPT_WITHIN, ANSWERS, EVENT_TYPES, TRANSITIONS, Bound, Event, Step, accept_within

_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True)
class Declared:
    """The steps of a choreography; a step goes by its place among them, an event type by its place in `types`.

    People are `speed` times as fast as declared: simulated kitchens are. What waits for an answer waits until the
    order's `accept_by`, or for `answer_within` where the order does not say.
    """

    steps: tuple[Step, ...]
    speed: float = 1.0
    answer_within: timedelta = ACCEPT_WITHIN

    @cached_property
    def types(self) -> tuple[str, ...]:
        """All that is told or heard, in the choreography's order."""
        named = [event for step in self.steps for event in (step.listens_to, *step.publishes) if event is not None]
        return tuple(dict.fromkeys(EVENT_TYPES[event] for event in named))

    def knows(self, event: type[Event]) -> bool:
        return EVENT_TYPES[event] in self.types

    def code(self, event: type[Event]) -> int:
        return self.types.index(EVENT_TYPES[event])

    def heard(self, step: Step) -> int | None:
        return None if step.listens_to is None else self.code(step.listens_to)

    def told(self, step: Step) -> tuple[int, ...]:
        return tuple(self.code(event) for event in step.publishes)

    def tellers(self, code: int) -> list[tuple[int, Step]]:
        """The steps that tell it, with their places."""
        return [(place, step) for place, step in enumerate(self.steps) if code in self.told(step)]

    def deadline(self, step: Step) -> int | None:
        """In microseconds, after the event heard; of an answer where the order does not say by when."""
        within = step.awaited_within
        if within is None:
            return None
        if not is_handler(step):
            in_time = within - ACCEPT_WITHIN + self.answer_within
            within = in_time if is_answer(step) else within / self.speed
        return round(within / _MICROSECOND)

    def after_accept_by(self, step: Step) -> int | None:
        """How long after the order's `accept_by` it is due, in microseconds; None for what is no answer."""
        within = step.awaited_within
        return round((within - ACCEPT_WITHIN) / _MICROSECOND) if within is not None and is_answer(step) else None

    @cached_property
    def starts(self) -> frozenset[int]:
        """What begins an order: it is told without anything being heard, and a step hears it."""
        told = {code for step in self.steps if step.listens_to is None for code in self.told(step)}
        return frozenset(told & {self.heard(step) for step in self.steps})

    @cached_property
    def commanded(self) -> frozenset[int]:
        """What people's commands tell."""
        return frozenset(code for step in self.steps if not is_handler(step) for code in self.told(step))

    @cached_property
    def endings(self) -> frozenset[int]:
        """What ends an order: told by a person's command, and no command follows from it, however far one follows."""
        answered = {code for step in self.steps if not is_handler(step) and (code := self.heard(step)) is not None}
        return self.commanded - self._before(answered)

    def others(self, step: Step) -> frozenset[int]:
        """What people's commands tell besides what leads to this step: after any of it nobody waits for the step."""
        heard = self.heard(step)
        return self.commanded - self._before(set() if heard is None else {heard})

    def _before(self, codes: set[int]) -> set[int]:
        """These, and all that they follow from, however far."""
        found = set(codes)
        while more := {self.heard(step) for step in self.steps if found & set(self.told(step))} - found - {None}:
            found |= {code for code in more if code is not None}
        return found

    @cached_property
    def alternatives(self) -> tuple[tuple[int, ...], ...]:
        """Groups of types of which an order has one at most.

        What a step answers with one of; what leads on from one state, as the table of states has it; and the endings.
        """
        groups = [tuple(sorted(self.told(step))) for step in self.steps if step.listens_to is not None]
        groups += [
            tuple(sorted(self.code(one.event) for one in TRANSITIONS if one.before == state and self.knows(one.event)))
            for state in dict.fromkeys(one.before for one in TRANSITIONS)
        ]
        groups.append(tuple(sorted(self.endings)))
        return tuple(dict.fromkeys(group for group in groups if len(group) > 1))


def is_handler(step: Step) -> bool:
    """Whether it has to follow without a person's doing."""
    return step.bound_by is Bound.HANDLER


def is_answer(step: Step) -> bool:
    """Whether it is what a placed order waits for: a person's answer, or the order's end without one."""
    return not is_handler(step) and not set(ANSWERS).isdisjoint(step.publishes)


def declared(steps: Sequence[Step], speed: float = 1.0, answer_within: timedelta | None = None) -> Declared:
    """Without `answer_within` it is what the speed leaves. Raises ValueError for a speed that is not above 0."""
    if not speed > 0:
        raise ValueError(f"a speed is above 0, and not {speed}")
    return Declared(tuple(steps), speed, answer_within or accept_within(speed))
