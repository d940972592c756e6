"""What comes next is read off any choreography, with no event's name in the code."""

from dataclasses import replace
from datetime import timedelta

import pytest

from events.choreography import Bound, Step
from events.envelope import following
from events.next_steps import BEGINNINGS, FOLLOWING, Heard, ended_by, upcoming
from events.orders import (
    EVENT_TYPES,
    OrderAccepted,
    OrderCompleted,
    OrderPlaced,
    OrderRejected,
    UserNotified,
    VoucherIssued,
)
from events.states import TRANSITION_BY
from tests.support.builders import NOON
from tests.takeaway.trace.an_order import ACCEPTED, COMPLETED, NOTIFIED, PLACED, REJECTED, TOLD, WHOLE, header

HOUR = timedelta(hours=1)
# As it would be if a customer might take the order back until it is accepted, and were told of that.
WITH_CHANGE_OF_MIND = (
    Step("customer", None, (OrderPlaced,), Bound.COMMAND, owner="ordering"),
    Step("customer", OrderPlaced, (OrderRejected,), Bound.COMMAND, owner="ordering", deadline=HOUR),
    Step("restaurant", OrderPlaced, (OrderAccepted,), Bound.COMMAND, owner="restaurants", deadline=HOUR),
    Step("restaurant", OrderAccepted, (OrderCompleted,), Bound.COMMAND, owner="restaurants"),
    Step("notifier", OrderRejected, (UserNotified,), Bound.HANDLER, owner="customers", deadline=HOUR),
)


def heard(*envelopes: object) -> list[Heard]:
    headers = [header(one) for one in envelopes]  # type: ignore[arg-type]
    return [Heard(one.event_id, one.event_type, one.cause, NOON) for one in headers]


@pytest.mark.parametrize(
    ("seen", "expected"),
    [
        ((PLACED,), ["customer", "restaurant"]),
        ((PLACED, ACCEPTED), []),
        ((PLACED, REJECTED), ["notifier"]),
        ((PLACED, ACCEPTED, COMPLETED), []),
        ((), []),
    ],
)
def test_a_way_that_was_not_taken_is_not_waited_for(seen: tuple[object, ...], expected: list[str]) -> None:
    assert [one.actor for one in upcoming(heard(*seen), WITH_CHANGE_OF_MIND)] == expected


def test_what_tells_nothing_is_not_waited_for() -> None:
    """Nothing would ever show that it has happened, and its order would wait for it for ever."""
    effect = Step("mailer", OrderRejected, (), Bound.HANDLER, owner="marketing", deadline=HOUR)
    steps = (*WITH_CHANGE_OF_MIND, effect)
    assert [one.actor for one in upcoming(heard(PLACED, REJECTED), steps)] == ["notifier"]


def test_an_order_that_earned_a_voucher_waits_for_nothing() -> None:
    voucher = following(
        COMPLETED,
        VoucherIssued(customer_id="customer-1", voucher_code="code", percent_off=10, completed_orders=5),
        occurred_at=NOON,
        producer="promo_issuer",
    )
    assert upcoming(heard(*WHOLE, voucher)) == ()


@pytest.mark.parametrize(
    ("seen", "end"),
    [
        ([PLACED, NOTIFIED, ACCEPTED, TOLD], None),
        ([PLACED, REJECTED], "order_rejected"),
        ([PLACED, ACCEPTED, COMPLETED], "order_completed"),
    ],
)
def test_an_order_ends_with_a_command_that_no_command_follows(seen: list[object], end: str | None) -> None:
    types = [one.event_type for one in heard(*seen)]
    assert ended_by(types) == ended_by(types, WITH_CHANGE_OF_MIND) == end


def test_beginnings_and_what_only_follows_are_the_choreographys() -> None:
    assert {header(PLACED).event_type} == BEGINNINGS
    assert {*(header(one).event_type for one in (NOTIFIED, TOLD)), "ticket_withdrawn", "voucher_issued"} <= FOLLOWING
    assert FOLLOWING.isdisjoint(EVENT_TYPES[event] for event in TRANSITION_BY)


def test_an_effect_alone_is_not_waited_for() -> None:
    """The mail about a voucher: nothing on the stream would ever tell that it was sent."""
    voucher = replace(heard(PLACED)[0], event_id="v", event_type="voucher_issued")
    assert upcoming([voucher]) == ()
