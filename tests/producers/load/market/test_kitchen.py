"""Kitchens have queues: bursts make waiting longer, answers slower and expiries more, by themselves."""

import statistics

import pytest

from producers.load.live.pace import live_answer
from producers.load.market.catalogue import restaurant, restaurants
from producers.load.market.demand import FlatDemand
from producers.load.market.kitchen import (
    ANSWER_DEADLINE,
    LONGEST_COOKING,
    LONGEST_QUEUE,
    SILENT_SHARE,
    Kitchen,
    KitchenPlan,
    Kitchens,
)
from producers.load.market.market import a_market, orders
from producers.orders.requests import AcceptOrder, RejectOrder


def plans(load: float, count: int = 400, slowness: float = 1.0) -> list[KitchenPlan]:
    """Tickets that come steadily; at a load of 1 the kitchen is always full."""
    one = restaurant(3, "restaurant-01")
    kitchen = Kitchen(3, one, 3)
    every = one.mean_cooking / 3 / load
    return [kitchen.take(f"order-{number}", number * every, slowness=slowness) for number in range(count)]


def test_the_busier_the_longer_and_the_more_expire() -> None:
    calm, busy, swamped = plans(0.1), plans(0.9), plans(3)
    for less, more in ((calm, busy), (busy, swamped)):
        for measure in ("answer_after", "preparation"):
            assert statistics.mean(getattr(plan, measure) for plan in less if not plan.silent) < statistics.mean(
                getattr(plan, measure) for plan in more if not plan.silent
            )
    assert sum(plan.answer_after > ANSWER_DEADLINE for plan in swamped) > 4 * sum(
        plan.answer_after > ANSWER_DEADLINE for plan in calm
    )
    assert not any(plan.turned_away for plan in calm)
    assert sum(plan.turned_away for plan in swamped) > 40


def test_a_slow_kitchen_queues_too() -> None:
    usual, slow = plans(0.5, count=200), plans(0.5, count=200, slowness=5)
    assert statistics.mean(plan.preparation for plan in slow) > 3 * statistics.mean(plan.preparation for plan in usual)


def test_a_full_kitchen_begins_when_a_place_is_free() -> None:
    """One ticket at a time: each that is cooked is ready after the one before it, by the time that it cooks."""
    kitchen, alone = (Kitchen(3, restaurant(3, "restaurant-01"), 1) for _ in range(2))
    free_at = 0.0
    for number in range(200):
        at = number * 8.0
        plan, cooking = kitchen.take(f"order-{number}", at), alone.take(f"order-{number}", number * 1000.0).preparation
        cooked = isinstance(plan.answer, AcceptOrder) and not plan.turned_away and plan.answer_after < ANSWER_DEADLINE
        if cooked:
            begins = max(free_at, at + plan.answer_after)
            assert at + plan.answer_after + plan.preparation == pytest.approx(begins + cooking)
            free_at = begins + cooking
        assert plan.preparation <= LONGEST_QUEUE + LONGEST_COOKING


def test_the_answer_to_a_ticket_is_the_same_whenever_it_is_taken() -> None:
    """A restaurant that died repeats its answer under one idempotency key: it must be the same request."""
    for calm, swamped in zip(plans(0.1), plans(3), strict=True):
        assert calm.answer == swamped.answer
        assert live_answer(calm, 60) == live_answer(swamped, 60)


def test_people_promise_in_fives() -> None:
    promises = [plan.answer.ready_in_minutes for plan in plans(0.1) if isinstance(plan.answer, AcceptOrder)]
    assert all(minutes % 5 == 0 and minutes >= 5 for minutes in promises)
    assert len(set(promises)) > 1


@pytest.mark.slow
def test_each_kitchen_is_made_for_its_share() -> None:
    """The flat load that a market's kitchens are made for makes no queue that grows."""
    market = a_market(5, FlatDemand(20))
    kitchens = Kitchens(5, market.demand.peak_per_hour, market.restaurants)
    late = []
    for order in orders(market, 6000):
        minute = order.offset.total_seconds() / 60
        plan = kitchens.of(order.body.restaurant_id).take(order.order_id, minute)
        if not plan.silent:
            late.append(plan.preparation + plan.answer_after)
    assert statistics.mean(late[4000:]) < 30
    assert statistics.mean(late[4000:]) < 1.5 * statistics.mean(late[:1000]) + 3


def test_a_kitchen_that_is_not_of_the_market_cooks_too() -> None:
    kitchens = Kitchens(5, 1200, restaurants(5))
    assert kitchens.of("somebody's").take("order", 0.0).preparation > 0
    assert kitchens.of("somebody's") is kitchens.of("somebody's")


@pytest.mark.slow
def test_outcomes_have_their_shares() -> None:
    drawn: list[KitchenPlan] = []
    for one in restaurants(9, 100):
        kitchen = Kitchen(9, one, 5)
        drawn += [kitchen.take(f"{one.restaurant_id}-{number}", number * 30.0) for number in range(100)]
    assert sum(isinstance(plan.answer, RejectOrder) for plan in drawn) / 10_000 == pytest.approx(0.03, abs=0.008)
    assert sum(plan.forgets for plan in drawn) / 10_000 == pytest.approx(0.02, abs=0.005)
    assert sum(plan.silent for plan in drawn) / 10_000 == pytest.approx(SILENT_SHARE, abs=0.002)
    late = sum(plan.answer_after > ANSWER_DEADLINE and not plan.silent for plan in drawn)
    assert late / 10_000 == pytest.approx(0.006, abs=0.004)


def test_a_live_promise_is_a_minute_at_the_least() -> None:
    for plan in plans(3):
        answer = live_answer(plan, 1000)
        assert not isinstance(answer, AcceptOrder) or answer.ready_in_minutes == 1
