"""The score, and that the code plays it: every step is bound to exactly one handler or API command."""

import json
from importlib import import_module
from types import NoneType
from typing import Any, get_args, get_origin, get_type_hints

import pytest

from consumers.specs import CONSUMERS
from consumers.steps import Stateful
from events import drawing
from events.choreography import CHOREOGRAPHY, RESTAURANT_NOTIFIER, USER_NOTIFIER, Bound, Step, handler_steps, heard_by
from events.drawing import asyncapi, mermaid, tree
from events.envelope import EventEnvelope
from events.orders import EVENT_TYPES, EVENTS, OrderAccepted, OrderPlaced, OrderRejected
from tests.support import ROOT
from tests.support.subscribers import SUBSCRIBERS


def test_every_event_is_told_by_some_step() -> None:
    assert {event for step in CHOREOGRAPHY for event in step.publishes} == set(EVENTS)


def test_every_handler_step_is_played_by_one_handler_with_that_signature() -> None:
    for actor in {step.actor for step in CHOREOGRAPHY if step.bound_by is Bound.HANDLER}:
        steps = [step for step in CHOREOGRAPHY if step.actor == actor]
        build = CONSUMERS[actor].builder()
        made = get_type_hints(build, localns={"ConsumerSettings": object})["return"]
        if get_origin(made) is Stateful:
            _, events = get_args(made)
            told = get_args(get_type_hints(import_module(build.__module__).decide)["return"])[1]
        else:
            [heard], told = get_args(made)
            assert get_origin(heard) is EventEnvelope
            [events] = get_args(heard)
        assert {*(get_args(events) or (events,))} == {step.listens_to for step in steps} == {*heard_by(actor)}
        assert {*(get_args(told) or (told,))} - {NoneType, None} == {
            event for step in steps for event in step.publishes
        }


def test_every_step_has_an_owner_and_every_answer_a_deadline() -> None:
    for step in CHOREOGRAPHY:
        assert step.owner
        # A customer may, and never has to; what is built on the flow need not either.
        assert (step.deadline is None) == (step.actor == "customer") or step.actor in SUBSCRIBERS


def test_what_must_follow_by_itself() -> None:
    assert RESTAURANT_NOTIFIER in handler_steps(OrderPlaced)
    assert USER_NOTIFIER in handler_steps(OrderAccepted)
    for event in EVENTS:
        steps = [step for step in CHOREOGRAPHY if step.listens_to is event and step.bound_by is not Bound.COMMAND]
        must = [step for step in steps if step.deadline is not None]
        assert [*handler_steps(event)] == must


def test_the_drawing_in_the_readme_is_the_generated_one() -> None:
    readme = (ROOT / "README.md").read_text()
    assert f"```mermaid\n{mermaid()}\n```" in readme


def test_the_tree_has_every_step_below_what_it_hears() -> None:
    lines = tree()
    assert [label for label, step, _ in lines if step.listens_to is None] == [
        EVENT_TYPES[event] for step in CHOREOGRAPHY if step.listens_to is None for event in step.publishes
    ]
    assert sorted((CHOREOGRAPHY.index(step), told) for _, step, told in lines) == sorted(
        (place, EVENT_TYPES[event]) for place, step in enumerate(CHOREOGRAPHY) for event in step.publishes
    )
    depths: dict[str, int] = {}
    for label, step, told in lines:
        depths.setdefault(told, label.index(told))
        if step.listens_to is not None:
            assert label.index(told) == depths[EVENT_TYPES[step.listens_to]] + 2


def test_a_circle_of_steps_is_drawn_once(monkeypatch: pytest.MonkeyPatch) -> None:
    again = Step("customer", OrderRejected, (OrderPlaced,), Bound.COMMAND, owner="ordering")
    monkeypatch.setattr(drawing, "CHOREOGRAPHY", (*CHOREOGRAPHY, again))
    lines = tree()
    assert len(lines) == len({(step, told) for _, step, told in lines})
    assert [label.lstrip("├└│ ") for label, step, _ in lines if step is again] == ["order_placed"]


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
