"""The scenario follows from its seed alone, and looks like orders do."""

import hashlib
import itertools
import statistics
from collections import Counter
from dataclasses import replace

import msgspec
import numpy as np
import pytest

from producers.load.market.catalogue import restaurants
from producers.load.market.demand import FlatDemand, WeekDemand
from producers.load.market.market import IntendedOrder, Market, Surge, a_market, choose, orders
from producers.orders.requests import PlaceOrder


def flat(seed: int, rate: float, speed: float = 60) -> Market:
    """So many orders a second, with kitchens so many times as fast."""
    return a_market(seed, FlatDemand(rate * 60 / speed))


def as_bytes(intended: list[IntendedOrder]) -> bytes:
    return b"\n".join(
        msgspec.json.encode([order.offset, order.order_id, order.customer_id, order.idempotency_key, order.body])
        for order in intended
    )


@pytest.fixture(scope="module")
def many() -> list[IntendedOrder]:
    return list(orders(flat(11, 10), 4000))


def test_seed_7_is_the_same_on_every_machine() -> None:
    digest = hashlib.sha256(as_bytes(list(orders(flat(7, 20), 100, 60)))).hexdigest()
    assert digest == "a48930846dc727ec5bfa00fb74369ff44024722677e04ef9d7cfc660ed44e818"


def test_the_first_orders_do_not_depend_on_how_many_there_are() -> None:
    assert list(itertools.islice(orders(flat(3, 5)), 50)) == list(orders(flat(3, 5), 50))


def test_another_seed_is_another_day() -> None:
    assert as_bytes(list(orders(flat(1, 5), 20))) != as_bytes(list(orders(flat(2, 5), 20)))


def test_another_restaurant_changes_no_other() -> None:
    assert restaurants(5, 21)[:20] == restaurants(5, 20)


@pytest.mark.slow
def test_another_restaurant_gets_orders_from_all_and_moves_none_between_them() -> None:
    few, more = (list(orders(Market(5, WeekDemand(833), restaurants(5, number)), 3000)) for number in (20, 21))
    moved = [(was, now) for was, now in zip(few, more, strict=True) if was.body.restaurant_id != now.body.restaurant_id]
    assert {now.body.restaurant_id for _, now in moved} == {"restaurant-21"}
    assert len({was.body.restaurant_id for was, _ in moved}) > 5
    for was, now in zip(few, more, strict=True):
        assert (was.offset, was.order_id, was.customer_id) == (now.offset, now.order_id, now.customer_id)
        if was.body.restaurant_id == now.body.restaurant_id:
            assert was == now


def test_each_restaurant_is_chosen_by_its_weight() -> None:
    dice = np.random.default_rng(1)
    marks, places = (dice.integers(0, 2**64, size, np.uint64) for size in (60_000, 4))
    weights = np.array([1.0, 2.0, 5.0, 0.0])
    shares = np.bincount(choose(marks, places, weights), minlength=4) / 60_000
    assert shares == pytest.approx(weights / 8, abs=0.006)


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


@pytest.mark.slow
def test_orders_come_in_time_and_speed_makes_minutes_seconds(many: list[IntendedOrder]) -> None:
    offsets = [order.offset for order in many]
    assert offsets == sorted(offsets)
    for slow, fast in zip(many[:500], orders(flat(11, 10), 500, 60), strict=True):
        assert fast.offset.total_seconds() == pytest.approx(slow.offset.total_seconds() / 60, abs=1e-5)
        assert fast.body == slow.body


@pytest.mark.slow
def test_a_live_load_holds_its_rate_at_any_speed() -> None:
    for rate, speed in ((20.0, 60.0), (300.0, 1.0), (2.0, 1000.0)):
        placed = list(orders(flat(11, rate, speed), 6000, speed))
        assert 6000 / placed[-1].offset.total_seconds() == pytest.approx(rate, rel=0.1)


def test_baskets_have_about_3_dishes_and_a_main_one(many: list[IntendedOrder]) -> None:
    sizes = [sum(item.quantity for item in order.body.items) for order in many]
    assert statistics.mean(sizes) == pytest.approx(3.2, abs=0.15)
    assert min(sizes) == 1
    assert all(any("-main-" in item.sku for item in order.body.items) for order in many)


@pytest.mark.slow
def test_nobody_orders_from_a_closed_restaurant() -> None:
    market = a_market(3, WeekDemand(3000))
    own = {one.restaurant_id: one for one in market.restaurants}
    for order in orders(market, 3000):
        hour = order.offset.total_seconds() / 3600 % 24
        if 12 <= hour < 22:
            assert own[order.body.restaurant_id].is_open(hour)


@pytest.mark.slow
def test_a_surge_lasts_from_minute_to_minute() -> None:
    market = a_market(3, FlatDemand(10))
    name = min(market.restaurants, key=lambda one: one.weight).restaurant_id
    surging = replace(market, surge=Surge(name, 200.0, 60.0, 120.0))
    counts = Counter(
        int(order.offset.total_seconds() // 3600) for order in orders(surging, 1800) if order.body.restaurant_id == name
    )
    assert counts[1] > 10 * max(counts[0], counts[2], 1)


@pytest.mark.slow
def test_some_restaurants_are_far_more_popular() -> None:
    """Over many markets, the top tenth of 20 restaurants has between a quarter and a half of the weight."""
    shares = []
    for seed in range(60):
        weights = sorted((place.weight for place in restaurants(seed)), reverse=True)
        shares.append(sum(weights[:2]) / sum(weights))
    assert 0.25 < statistics.mean(shares) < 0.5
