"""The choreography as a Mermaid drawing and as an AsyncAPI 3.0 document."""

from typing import Any

import msgspec

from events.choreography import CHOREOGRAPHY, OBSERVERS, Step
from events.orders import EVENT_TYPES, EVENTS, Event, TicketWithdrawn
from events.wire import HEADER_FIELDS


def mermaid() -> str:
    """A flowchart: participants are boxes, events are the labelled arrows from who tells to who listens."""
    told = [
        f"  {step.actor} -- {EVENT_TYPES[event]} --> {listener}"
        for step in CHOREOGRAPHY
        for event in step.publishes
        for listener in _listeners(step, event)
    ]
    observed = [f"  stream[(every event)] -.-> {observer}" for observer in OBSERVERS]
    # Several steps may tell one event.
    return "\n".join(["flowchart LR", *dict.fromkeys(told), *observed])


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


def _listeners(teller: Step, event: type[Event]) -> list[str]:
    """Who hears it; one that is not acted on ends at the customer whom it concerns, a withdrawal at the restaurant."""
    heard = [step.actor for step in CHOREOGRAPHY if step.listens_to is event and step.actor != teller.actor]
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
