"""The scenario follows from its seed alone, and looks like orders do."""

import hashlib
import itertools
import statistics
from collections import Counter
from datetime import timedelta

import msgspec
import pytest

from producers.commands import AcceptOrder, PlaceOrder
from producers.load.catalogue import restaurants
from producers.load.kitchen import kitchen_plan, longest_ticket
from producers.load.scenario import SLOT, IntendedOrder, _arrivals, orders


def as_bytes(intended: list[IntendedOrder]) -> bytes:
    return b"\n".join(
        msgspec.json.encode(
            [
                order.offset,
                order.order_id,
                order.customer_id,
                order.idempotency_key,
                order.body,
                order.kitchen.answer,
                order.kitchen.answer_after,
                order.kitchen.preparation,
            ]
        )
        for order in intended
    )


@pytest.fixture(scope="module")
def many() -> list[IntendedOrder]:
    return list(orders(seed=11, rate=10, count=4000))


def test_seed_7_is_the_same_on_every_machine() -> None:
    digest = hashlib.sha256(as_bytes(list(orders(seed=7, rate=20, count=100)))).hexdigest()
    assert digest == "2d55c9a29c493311cac9254cce7955722956efcb36c2676eecd4462570c901b6"


def test_the_first_orders_do_not_depend_on_how_many_there_are() -> None:
    assert list(itertools.islice(orders(3, 5), 50)) == list(orders(3, 5, 50))


def test_another_seed_is_another_day() -> None:
    assert as_bytes(list(orders(1, 5, 20))) != as_bytes(list(orders(2, 5, 20)))


def test_another_restaurant_changes_no_other() -> None:
    assert restaurants(5, 21)[:20] == restaurants(5, 20)


def test_every_order_is_one_the_api_takes(many: list[IntendedOrder]) -> None:
    for order in many[:500]:
        assert msgspec.json.decode(msgspec.json.encode(order.body), type=PlaceOrder) == order.body
        assert {item.sku for item in order.body.items} <= {
            dish.sku
            for place in restaurants(11)
            if place.restaurant_id == order.body.restaurant_id
            for dish in place.menu
        }


def test_no_two_orders_are_one(many: list[IntendedOrder]) -> None:
    assert len({order.order_id for order in many}) == len(many)


def test_orders_come_in_time_at_the_rate(many: list[IntendedOrder]) -> None:
    offsets = [order.offset for order in many]
    assert offsets == sorted(offsets)
    # One slot has its own rate; over many slots it evens out.
    long_run = list(itertools.islice(_arrivals(11, 1, SLOT.total_seconds() / 60), 6000))
    assert 6000 / long_run[-1].total_seconds() == pytest.approx(1, rel=0.1)


def test_arrivals_are_burstier_than_a_plain_poisson_process() -> None:
    """Counts of five minutes at one order a second: mean 300, and a variance well above it."""
    slots = Counter(int(moment / SLOT) for moment in itertools.islice(_arrivals(4, 1, SLOT.total_seconds()), 12_000))
    counts = [slots[slot] for slot in range(max(slots))]
    assert statistics.variance(counts) > 3 * statistics.mean(counts)


def test_baskets_have_about_3_dishes(many: list[IntendedOrder]) -> None:
    sizes = [sum(item.quantity for item in order.body.items) for order in many]
    assert statistics.mean(sizes) == pytest.approx(3.2, abs=0.15)
    assert min(sizes) == 1


def test_some_restaurants_are_far_more_popular() -> None:
    """Over many markets, the top tenth of 20 restaurants has between a quarter and a half of the weight."""
    shares = []
    for seed in range(60):
        weights = sorted((place.weight for place in restaurants(seed)), reverse=True)
        shares.append(sum(weights[:2]) / sum(weights))
    assert 0.25 < statistics.mean(shares) < 0.5


def test_kitchens_reject_3_in_100_and_answer_before_the_deadline(many: list[IntendedOrder]) -> None:
    rejected = sum(not order.kitchen.accepts for order in many)
    assert rejected / len(many) == pytest.approx(0.03, abs=0.01)
    assert max(order.kitchen.answer_after for order in many) < timedelta(minutes=10)
    assert statistics.median(order.kitchen.answer_after.total_seconds() for order in many) == pytest.approx(90, rel=0.1)


def test_a_kitchen_needs_no_scenario_to_know_its_plan(many: list[IntendedOrder]) -> None:
    for order in many[:50]:
        assert kitchen_plan(11, order.body.restaurant_id, order.order_id) == order.kitchen


def test_speed_makes_minutes_seconds_and_keeps_the_outcome(many: list[IntendedOrder]) -> None:
    for slow, fast in zip(many[:200], orders(11, 10, 200, speed=60), strict=True):
        assert fast.kitchen.accepts == slow.kitchen.accepts
        assert fast.kitchen.preparation.total_seconds() == pytest.approx(slow.kitchen.preparation.total_seconds() / 60)
        assert fast.kitchen.answer_after + fast.kitchen.preparation <= longest_ticket(60)
        if isinstance(fast.kitchen.answer, AcceptOrder):
            assert fast.kitchen.answer.ready_in_minutes >= 1
