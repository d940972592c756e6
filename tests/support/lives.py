"""All that can become of an order: every way through the table of states, with what is told on the way."""

from collections.abc import Iterator
from dataclasses import dataclass

from events.choreography import handler_steps
from events.orders import EVENTS, Event, RestaurantNotified
from events.states import TRANSITIONS, OrderState, Standing

# Who is told, behind which event.
_TOLD: dict[type[Event], tuple[type[Event], ...]] = {
    event: tuple(told for step in handler_steps(event) for told in step.publishes) for event in EVENTS
}


@dataclass(frozen=True)
class Life:
    """Events as they happen, the state in which commands leave the order, and where its events say that it stands."""

    events: tuple[type[Event], ...]
    state: OrderState
    standing: Standing


def lives() -> list[Life]:
    """Those that go on, too; with those who are told, or not yet."""
    return list(_lives((), None))


def _lives(before: tuple[type[Event], ...], state: OrderState | None) -> Iterator[Life]:
    for transition in TRANSITIONS:
        if transition.before != state:
            continue
        event = transition.event
        for events in dict.fromkeys(((*before, event), (*before, event, *_TOLD[event]))):
            is_notified = transition.state == "placed" and RestaurantNotified in events
            yield Life(events, transition.state, "notified" if is_notified else transition.state)
            yield from _lives(events, transition.state)
