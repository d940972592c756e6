"""How long steps took, and what orders are told of, from timelines; pure."""

from events.states import ACCEPTED, COMPLETED, PLACED
from producers.tracking import OpenOrder
from takeaway.overview.orders import open_orders, orders_told
from takeaway.overview.steps import step_times
from tests.support.timelines import PLACING, TOLD, after, an_order, now


def test_a_step_takes_from_the_arrival_of_what_was_heard_to_that_of_what_was_told() -> None:
    [step, *_] = step_times([an_order(PLACING, TOLD)], now(3))
    assert (step.actor, step.because_of, step.tells) == (
        "restaurant_notifier",
        "order_placed",
        ("restaurant_notified",),
    )
    assert (step.count, step.waiting, step.p95_seconds, step.within_seconds, step.share) == (1, 0, 3, 60, 0.05)


def test_the_slowest_is_the_one_that_takes_most_of_its_time_and_people_have_less_at_speed() -> None:
    accepted = after(33, "order_accepted", "restaurant_notified")
    slowest = step_times([an_order(PLACING, TOLD, accepted, speed=60)], now(33), speed=60)[0]
    assert (slowest.actor, slowest.p95_seconds, slowest.within_seconds) == ("restaurant", 30, 10)
    assert slowest.share == 3
    assert step_times([an_order(PLACING, TOLD, accepted)], now(33))[0].actor == "restaurant_notifier"


def test_what_stands_still_shows_though_nothing_of_it_is_done() -> None:
    waiting = [an_order(PLACING, order_id=f"order-{number}") for number in range(3)]
    slowest = step_times(waiting, now(45))[0]
    assert (slowest.actor, slowest.count, slowest.waiting, slowest.p95_seconds) == ("restaurant_notifier", 0, 3, 45)
    both = step_times([an_order(PLACING, TOLD), *waiting], now(45))
    assert next(one for one in both if one.actor == "restaurant_notifier").p95_seconds == 45


def test_open_orders_are_those_without_an_end_by_state_with_the_oldest() -> None:
    found = [
        OpenOrder("order-1", PLACED, now(5)),
        OpenOrder("order-2", PLACED, now(1)),
        OpenOrder("order-3", ACCEPTED, now(9)),
        # Its customer is still to be told.
        OpenOrder("order-4", COMPLETED, now(0)),
    ]
    told = open_orders(found, more=False)
    assert told.by_state == {PLACED: 2, ACCEPTED: 1}
    assert {state: one.order_id for state, one in told.oldest.items()} == {PLACED: "order-2", ACCEPTED: "order-3"}


def test_without_orders_there_is_nothing_and_nothing_is_missed() -> None:
    told = orders_told([], [], [], now(0), reached=None, more=False, speed=1)
    assert (told.open.by_state, told.missed.count, told.missed.at_least, told.slowest) == ({}, 0, False, None)


def test_missed_deadlines_of_orders_that_were_not_read_are_not_denied() -> None:
    found = [OpenOrder(f"order-{number}", PLACED, now(number)) for number in range(1000)]
    told = orders_told(
        found, [an_order(PLACING, order_id="order-0")], ["order-0"], now(90), reached=now(99), more=False, speed=1
    )
    assert (told.missed.count, told.missed.at_least, told.missed.looked_at) == (1, True, 1)
