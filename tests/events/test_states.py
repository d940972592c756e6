"""One table of an order's states: what the API's commands do, and what events seen in any order tell, are the same."""

from datetime import timedelta
from itertools import permutations
from typing import get_args

import pytest

from events.orders import EVENTS, Event, OrderAccepted, OrderPlaced, OrderRejected, RestaurantNotified, UserNotified
from events.states import (
    FINAL,
    FINAL_EVENTS,
    PRECEDENCE,
    STANDINGS,
    STATES,
    TRANSITION_BY,
    TRANSITIONS,
    FinalState,
    OrderState,
    Standing,
    from_on,
    reached,
    standing,
)
from tests.support.builders import NOON
from tests.support.lives import Life, lives
from tests.support.subscribers import CORE


def test_the_types_name_what_the_table_has() -> None:
    assert {*get_args(OrderState)} == {*STATES}
    assert {*get_args(FinalState)} == {*FINAL}
    assert {*get_args(Standing)} == {*STANDINGS}


def test_one_event_leads_to_a_state_and_each_state_leads_on_from_another() -> None:
    assert len(TRANSITION_BY) == len(set(STATES)) == len(TRANSITIONS)
    assert [transition.event for transition in TRANSITIONS if transition.before is None] == [OrderPlaced]
    for state in STATES:
        assert reached(state)[-1] == "placed"
    assert {TRANSITION_BY[event].state for event in FINAL_EVENTS} == {*FINAL}


def test_every_event_has_its_place_in_the_precedence_unless_it_says_nothing_of_the_order() -> None:
    ranked = [event for rank in PRECEDENCE for event, _ in rank]
    assert len({*ranked}) == len(ranked)
    assert {event for step in CORE for event in step.publishes} <= {*ranked} <= {*EVENTS}


def test_who_has_come_by_a_state() -> None:
    assert from_on("accepted") == ("accepted", "completed")
    assert from_on("rejected") == ("rejected",)


@pytest.mark.parametrize("life", lives(), ids=lambda life: f"{life.state}-{len(life.events)}")
def test_events_in_any_order_tell_where_the_commands_led(life: Life) -> None:
    seen = [(event, NOON + timedelta(minutes=minute)) for minute, event in enumerate(life.events)]
    assert {standing(some) for some in permutations([*seen, seen[-1]])} == {life.standing}


@pytest.mark.parametrize(
    ("seen", "stands"),
    [
        ((), "placed"),
        (((OrderRejected, 1), (OrderAccepted, 2)), "rejected"),
        (((OrderAccepted, 1), (OrderRejected, 2)), "accepted"),
        (((OrderRejected, 1), (OrderAccepted, 1)), "accepted"),
        (((OrderRejected, 2), (OrderAccepted, 3), (OrderAccepted, 1)), "accepted"),
        (((UserNotified, 1),), "accepted"),
        (((RestaurantNotified, 1),), "notified"),
    ],
)
def test_what_contradicts_or_is_missing_is_judged_by_the_earliest_answer(
    seen: tuple[tuple[type[Event], int], ...], stands: Standing
) -> None:
    assert standing((event, NOON + timedelta(minutes=minute)) for event, minute in seen) == stands
