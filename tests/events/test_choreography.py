"""The score, and that the code plays it: every step is bound to exactly one handler or API command."""

import json
from collections.abc import Callable
from typing import Any, get_type_hints

from consumers.notifiers.restaurant import notify_restaurant
from consumers.notifiers.user import notify_user
from events.choreography import CHOREOGRAPHY, Bound, handler_steps
from events.drawing import asyncapi, mermaid
from events.orders import EVENT_TYPES, EVENTS, OrderAccepted, OrderPlaced
from tests.support import ROOT

HANDLERS: dict[str, Callable[..., Any]] = {"restaurant_notifier": notify_restaurant, "user_notifier": notify_user}


def test_every_event_is_told_by_some_step() -> None:
    assert {event for step in CHOREOGRAPHY for event in step.publishes} == set(EVENTS)


def test_every_handler_step_is_played_by_one_handler_with_that_signature() -> None:
    steps = [step for step in CHOREOGRAPHY if step.bound_by is Bound.HANDLER]
    assert {step.actor for step in steps} == set(HANDLERS)
    for step in steps:
        hints = get_type_hints(HANDLERS[step.actor], localns={"TicketTopic": object, "Mail": object})
        heard = next(iter(hints.values())).__args__[0]
        assert (heard, (hints["return"],)) == (step.listens_to, step.publishes)


def test_every_step_has_an_owner_and_every_answer_a_deadline() -> None:
    for step in CHOREOGRAPHY:
        assert step.owner
        assert (step.deadline is None) == (step.listens_to is None)


def test_what_must_follow_by_itself() -> None:
    assert [step.actor for step in handler_steps(OrderPlaced)] == ["restaurant_notifier"]
    assert [step.actor for step in handler_steps(OrderAccepted)] == ["user_notifier"]


def test_the_drawing_in_the_readme_is_the_generated_one() -> None:
    readme = (ROOT / "README.md").read_text()
    assert f"```mermaid\n{mermaid()}\n```" in readme


def test_the_asyncapi_document_names_every_event_and_resolves_every_reference() -> None:
    document = asyncapi()
    assert set(document["components"]["messages"]) == set(EVENT_TYPES.values())
    for reference in _references(document):
        node: Any = document
        for part in reference.removeprefix("#/").split("/"):
            node = node[part]
    json.dumps(document)


def _references(node: Any) -> list[str]:
    if isinstance(node, dict):
        own = [node["$ref"]] if "$ref" in node else []
        return own + [found for value in node.values() for found in _references(value)]
    if isinstance(node, list):
        return [found for value in node for found in _references(value)]
    return []
