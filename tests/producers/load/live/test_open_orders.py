"""What a load's open orders wait for: people in time are well, all else is a failure, and each says what to do."""

from datetime import timedelta
from typing import Any, cast

import pytest
from botocore.exceptions import EndpointConnectionError

from events.states import ACCEPTED, COMPLETED, PLACED, OrderState
from foundation.clock import uninterrupted_wait
from foundation.diagnostics import Diagnostic
from producers.load.live.open_orders import OpenStep, Why, led_on_by, open_steps, what_is_open
from producers.load.live.orders_client import Awaited, OrdersClient, Standing
from producers.load.live.restaurants import TicketQueueFailed
from tests.support.builders import NOON
from tests.support.worlds.orders_api import KEY, OrdersApi, tracked

MINUTE = timedelta(minutes=1)
NOTICE = Awaited("restaurant_notifier", "restaurants", ("restaurant_notified",), NOON - MINUTE)
ANSWER = Awaited("restaurant", "restaurants", ("order_accepted", "order_rejected"), NOON + 8 * MINUTE)
EXPIRY = Awaited("ordering", "ordering", ("order_expired",), NOON + 9 * MINUTE)
MAIL = Awaited("user_notifier", "customers", ("user_notified",), NOON - MINUTE)
FOOD = Awaited("restaurant", "restaurants", ("order_completed",), NOON + 90 * MINUTE)
PEOPLE = {"r1": True, "r2": True, "s1": False}


def at(restaurant: str, *waits_for: Awaited, state: OrderState = PLACED) -> Standing:
    return Standing(state, restaurant, waits_for)


def why(standing: Standing | None) -> Why:
    [step] = open_steps({"order-1": standing}, PEOPLE, NOON)
    return step.why


@pytest.mark.parametrize(
    ("standing", "expected"),
    [
        (at("r1", ANSWER, EXPIRY), Why.PERSON),
        (at("r1", MAIL, FOOD, state=ACCEPTED), Why.PERSON),
        (at("s1", ANSWER, EXPIRY), Why.TIME_LEFT),
        # Its restaurant was never told, however patient that is.
        (at("r1", NOTICE, EXPIRY), Why.STUCK),
        # A simulated kitchen would have cooked by now.
        (at("s1", FOOD, state=ACCEPTED), Why.STUCK),
        # It was to expire.
        (at("r1", Awaited("restaurant", "restaurants", ANSWER.tells, NOON), EXPIRY), Why.STUCK),
        # The tracker has seen nothing of it, or cannot be asked, or the API cannot.
        (at("r1"), Why.STUCK),
        (Standing(PLACED, "r1", None), Why.STUCK),
        (None, Why.STUCK),
    ],
)
def test_only_what_waits_for_its_restaurant_in_time_is_no_failure(standing: Standing | None, expected: Why) -> None:
    assert why(standing) is expected


def test_the_step_is_the_restaurants_while_it_has_time_and_else_what_was_due_first() -> None:
    assert led_on_by((MAIL, FOOD), NOON) == FOOD
    assert led_on_by((NOTICE, EXPIRY), NOON) == NOTICE
    assert led_on_by((ANSWER, EXPIRY), NOON + 8 * MINUTE) == ANSWER
    assert led_on_by((), NOON) is None


def test_orders_are_counted_by_step_failures_first_with_their_restaurants() -> None:
    later = Awaited("restaurant", "restaurants", ANSWER.tells, NOON + 10 * MINUTE)
    found = open_steps(
        {
            "order-1": at("r1", ANSWER, EXPIRY),
            "order-2": at("r2", ANSWER, EXPIRY),
            "order-3": at("r2", later, EXPIRY),
            "order-4": at("r1", NOTICE, EXPIRY),
            "order-5": at("r1", state=COMPLETED),
        },
        PEOPLE,
        NOON,
    )
    assert [(one.why, one.orders, one.actor, one.first) for one in found] == [
        (Why.STUCK, 1, "restaurant_notifier", "order-4"),
        (Why.PERSON, 3, "restaurant", "order-1"),
    ]
    assert (found[1].restaurants, found[1].until) == (("r2", "r1"), NOON + 10 * MINUTE)


def test_each_says_what_to_do() -> None:
    person, kitchen, stuck, unknown = (
        str(open_steps({"order-1": standing}, PEOPLE, NOON)[0])
        for standing in (at("r1", ANSWER), at("s1", ANSWER), at("r1", NOTICE), None)
    )
    assert person == (
        "1 order waits for restaurant to tell order_accepted or order_rejected (owner: restaurants) by 12:08:00 UTC: a "
        "person runs r1. fix: answer there, `takeaway token r1 --role restaurant --link` prints a link that signs in; "
        "what is not answered in time expires by itself"
    )
    assert "simulated at s1, which leave some unanswered. fix: none is needed" in kitchen
    assert (
        "for restaurant_notifier to tell restaurant_notified (owner: restaurants), at r1. fix: `takeaway doctor`"
        in stuck
    )
    assert unknown.endswith("`takeaway trace order-1` shows the first of them")


def test_of_many_restaurants_three_are_named() -> None:
    step = OpenStep(7, Why.PERSON, "restaurant", "restaurants", FOOD.tells, NOON, ("a", "b", "c", "d", "e"), "order-1")
    assert "a person runs a, b, c and 2 more. fix:" in str(step)


@pytest.mark.slow
def test_the_api_tells_what_an_order_waits_for_and_the_marks_whose_restaurant_it_is(api: OrdersApi) -> None:
    told, untold, over = (api.placed() for _ in range(3))
    tracked(api, told, "order_placed", "restaurant_notified")
    tracked(api, untold, "order_placed")
    api.command(over, "reject", {"reason": "closed"})
    client = OrdersClient(cast("Any", api.http), KEY, clock=api.time.clock, wait=uninterrupted_wait())
    happened: list[Diagnostic] = []

    def ask(run_by_people: Any) -> list[tuple[str, Why]]:
        orders = dict.fromkeys((told, untold, over), "customer-1")
        found = what_is_open(client, orders, run_by_people=run_by_people, clock=api.time.clock, emit=happened.append)
        return [(one.first, one.why) for one in found]

    assert ask(lambda _: True) == [(untold, Why.STUCK), (told, Why.PERSON)]
    assert ask(lambda _: False) == [(untold, Why.STUCK), (told, Why.TIME_LEFT)]

    def away(_: str) -> bool:
        raise EndpointConnectionError(endpoint_url="http://marks")

    assert ask(away) == [(untold, Why.STUCK), (told, Why.TIME_LEFT)]
    assert [type(one) for one in happened] == [TicketQueueFailed]
