"""The choreography as a Mermaid drawing, as a tree and as an AsyncAPI 3.0 document."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from events.choreography import CHOREOGRAPHY, OBSERVERS, Step
from events.orders import EVENT_TYPES, EVENTS, Event, TicketWithdrawn
from events.wire import HEADER_FIELDS


def mermaid(noted: Mapping[tuple[Step, str], str] | None = None, choreography: Sequence[Step] = CHOREOGRAPHY) -> str:
    """A flowchart: participants are boxes, events are the labelled arrows from who tells to who listens.

    `noted` is what the arrow of a step's event type says below its name.
    """
    notes = noted or {}
    lines = ["flowchart LR"]
    for step in choreography:
        for event in step.publishes:
            name = EVENT_TYPES[event]
            label = f'"{name}<br/>{notes[step, name]}"' if (step, name) in notes else name
            lines += [f"  {step.actor} -- {label} --> {listener}" for listener in _listeners(step, event, choreography)]
    lines += [f"  stream[(every event)] -.-> {observer}" for observer in OBSERVERS]
    # Several steps may tell one event.
    return "\n".join(dict.fromkeys(lines))


def arrows(choreography: Sequence[Step] = CHOREOGRAPHY) -> tuple[tuple[str, str, str], ...]:
    """Who tells, the event's type, who listens: each once, in the order of the choreography."""
    found = [
        (step.actor, EVENT_TYPES[event], listener)
        for step in choreography
        for event in step.publishes
        for listener in _listeners(step, event, choreography)
    ]
    return tuple(dict.fromkeys(found))


def tree() -> list[tuple[str, Step, str]]:
    """The flow downwards, from what begins it: each event type indented below the one it follows, its step, its name.

    What follows an event is drawn below the first place where it is told.
    """
    drawn: set[type[Event]] = set()
    return list(_branches(None, "", drawn))


def _branches(heard: type[Event] | None, indent: str, drawn: set[type[Event]]) -> Iterator[tuple[str, Step, str]]:
    told = [(step, event) for step in CHOREOGRAPHY if step.listens_to is heard for event in step.publishes]
    for position, (step, event) in enumerate(told, start=1):
        is_last = position == len(told)
        corner, below = ("", "") if heard is None else ("└ ", "  ") if is_last else ("├ ", "│ ")
        yield f"{indent}{corner}{EVENT_TYPES[event]}", step, EVENT_TYPES[event]
        if event not in drawn:
            drawn.add(event)
            yield from _branches(event, indent + below, drawn)


def asyncapi() -> dict[str, Any]:
    """The flow as an AsyncAPI 3.0 document: one channel (the stream), one message an event, one operation a duty."""
    schemas, components = msgspec.json.schema_components(EVENTS, ref_template="#/components/schemas/{name}")
    del schemas
    operations: dict[str, Any] = {}
    for step in CHOREOGRAPHY:
        operations |= _operations(step)
    return {
        "asyncapi": "3.0.0",
        "info": {"title": "takeaway orders", "version": "1.0.0"},
        "channels": {
            "orders": {
                "address": "orders",
                "description": "One Kinesis stream; the partition key is the order id. Envelope fields, flat beside "
                f"the event's own: {', '.join(HEADER_FIELDS)}.",
                "messages": {
                    EVENT_TYPES[event]: {"$ref": f"#/components/messages/{EVENT_TYPES[event]}"} for event in EVENTS
                },
            }
        },
        "operations": operations,
        "components": {
            "messages": {
                EVENT_TYPES[event]: {
                    "name": EVENT_TYPES[event],
                    "contentType": "application/json",
                    "payload": {"$ref": f"#/components/schemas/{event.__name__}"},
                }
                for event in EVENTS
            },
            "schemas": components,
        },
    }


def _listeners(teller: Step, event: type[Event], choreography: Sequence[Step]) -> list[str]:
    """The participants that act on it; otherwise the one it concerns, of a withdrawal the restaurant."""
    heard = [step.actor for step in choreography if step.listens_to is event and step.actor != teller.actor]
    return heard or ["restaurant" if event is TicketWithdrawn else "customer"]


def _operations(step: Step) -> dict[str, Any]:
    described: dict[str, Any] = {}
    heard = f"_after_{EVENT_TYPES[step.listens_to]}" if step.listens_to else ""
    if step.listens_to:
        described[f"{step.actor}_hears_{EVENT_TYPES[step.listens_to]}"] = _operation(
            step, "receive", (step.listens_to,)
        )
    described[f"{step.actor}_tells{heard}"] = _operation(step, "send", step.publishes)
    return described


def _operation(step: Step, action: str, events: tuple[type[Event], ...]) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "action": action,
        "channel": {"$ref": "#/channels/orders"},
        "messages": [{"$ref": f"#/channels/orders/messages/{EVENT_TYPES[event]}"} for event in events],
        "x-owner": step.owner,
    }
    if step.deadline:
        operation["x-deadline-seconds"] = int(step.deadline.total_seconds())
    return operation
