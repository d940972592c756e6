"""What `takeaway new consumer` is asked for, and why it cannot be."""

import keyword
import re
from collections.abc import Iterable
from dataclasses import dataclass

import events
from consumers.dead_letters import DROPPED
from consumers.specs import CONSUMERS
from events import CHOREOGRAPHY, EVENT_TYPES, OBSERVERS, Bound, Event, Step
from foundation.kinesis import READS_PER_SECOND
from takeaway.errors import UserError
from takeaway.local import LOCAL_AWS
from takeaway.stack import API, KEEPER, LOAD, RESTAURANTS, WATCHER, template

SHARE = 0.25
# It is part of the names of tables and functions.
_LONGEST = 40
_SNAKE = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
_RESOURCE = re.compile(r"\$\{AWS::StackName\}-([a-z-]*[a-z])")


@dataclass(frozen=True)
class NewConsumer:
    """It hears `listens_to`, and may tell `publishes` of each. `stateful`: it is pure, with a state by customer."""

    name: str
    listens_to: tuple[type[Event], ...]
    publishes: type[Event] | None
    stateful: bool

    @property
    def steps(self) -> tuple[Step, ...]:
        """None of them has to happen by a time: nothing else of the flow waits for it."""
        tells = () if self.publishes is None else (self.publishes,)
        return tuple(Step(self.name, heard, tells, Bound.HANDLER, owner=self.name) for heard in self.listens_to)


def wanted(name: str, listens_to: str, publishes: str | None, *, stateful: bool) -> NewConsumer:
    """What is asked for, event types by their names, those heard with commas. Raises `UserError` for what cannot be."""
    _require_name(name)
    heard = tuple(dict.fromkeys(_event(one.strip()) for one in listens_to.split(",")))
    told = None if publishes is None else _event(publishes.strip())
    if told is not None:
        _require_tellable(told, heard)
    if stateful:
        _require_customers(heard)
    _require_reads()
    return NewConsumer(name, heard, told, stateful)


def _require_name(name: str) -> None:
    if not _SNAKE.fullmatch(name) or keyword.iskeyword(name) or len(name) > _LONGEST:
        raise UserError(
            f"{name!r} cannot name a consumer",
            f"a name in snake_case, of at most {_LONGEST} letters and digits; no keyword of Python",
        )
    if name in _taken():
        raise UserError(
            f"{name} names something else already: a participant, an event, a process or a resource of the stack",
            "another name",
        )


def _taken() -> set[str]:
    """Processes are found by their names, and a lease table's is the stack's with the consumer's."""
    participants = {*CONSUMERS, *OBSERVERS, *(step.actor for step in CHOREOGRAPHY)}
    processes = {API, KEEPER, LOAD, LOCAL_AWS, RESTAURANTS, WATCHER}
    return {*participants, *EVENT_TYPES.values(), *processes, *_RESOURCE.findall(template()), DROPPED.rstrip("/")}


def _event(named: str) -> type[Event]:
    for event in events.EVENTS:
        if EVENT_TYPES[event] == named:
            if event.__name__ not in events.__all__:
                raise UserError(f"the package events does not show {event.__name__}", "add it to events/__init__.py")
            return event
    raise UserError(f"no event is called {named!r}", f"one of: {_names(events.EVENTS)}")


def _require_tellable(told: type[Event], heard: tuple[type[Event], ...]) -> None:
    commanded = {event for step in CHOREOGRAPHY if step.bound_by is Bound.COMMAND for event in step.publishes}
    if told in commanded:
        others = [event for event in events.EVENTS if event not in commanded]
        raise UserError(
            f"{EVENT_TYPES[told]} is the orders API's to tell: it is stored with the order's state, in one write",
            f"publish one of: {_names(others)}; or an event of your own, as docs/subscribers.md tells",
        )
    # guarantee: a new consumer does not hear what follows from what it tells
    if circle := _following(told) & {*heard}:
        raise UserError(
            f"it would hear {_names(circle)}, which follows from the {EVENT_TYPES[told]} that it tells: without end",
            "listen to another event, or publish one of your own, as docs/subscribers.md tells",
        )


def _following(told: type[Event]) -> set[type[Event]]:
    """The event, and what consumers tell because of it, however many steps later."""
    reached, new = {told}, {told}
    while new:
        steps = [step for step in CHOREOGRAPHY if step.bound_by is Bound.HANDLER and step.listens_to in new]
        new = {event for step in steps for event in step.publishes} - reached
        reached |= new
    return reached


def _require_customers(heard: tuple[type[Event], ...]) -> None:
    if nameless := [event for event in heard if "customer_id" not in event.__struct_fields__]:
        others = [event for event in events.EVENTS if "customer_id" in event.__struct_fields__]
        raise UserError(
            f"{_names(nameless)} names no customer, by whom the state would be kept",
            f"listen to one of: {_names(others)}; or leave out --stateful",
        )


def _require_reads() -> None:
    spent = sum(spec.reads_per_second for spec in CONSUMERS.values())
    if spent + SHARE > READS_PER_SECOND:
        raise UserError(
            f"a shard allows {READS_PER_SECOND} reads a second, of which the list of consumers has {spent:g}: there is "
            f"no {SHARE:g} left",
            "lower reads_per_second of some in consumers/specs.py, where a later answer does no harm, or remove one",
        )


def _names(some: Iterable[type[Event]]) -> str:
    return ", ".join(EVENT_TYPES[event] for event in some)
