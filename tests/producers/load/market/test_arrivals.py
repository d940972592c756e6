"""Arrivals: two peaks a day, a week with a shape, bursts beyond Poisson, each slot from its number alone."""

import itertools
import math
import statistics

import pytest

from producers.load.market.arrivals import (
    DAY_MINUTES,
    SLOT_MINUTES,
    WEEKDAYS,
    FlatDemand,
    WeekDemand,
    arrivals,
    poisson,
)
from producers.load.market.catalogue import seeded

SLOTS_A_DAY = DAY_MINUTES // SLOT_MINUTES


def counts(demand: FlatDemand | WeekDemand, slots: int, seed: int = 4) -> list[int]:
    return [len(slot.minutes) for slot in itertools.islice(arrivals(seed, demand), slots)]


def test_minutes_rise_and_lie_in_their_slot() -> None:
    for slot in itertools.islice(arrivals(1, WeekDemand(2000)), 3 * SLOTS_A_DAY):
        assert list(slot.minutes) == sorted(slot.minutes)
        assert all(slot.number <= minute / SLOT_MINUTES < slot.number + 1 for minute in slot.minutes)


@pytest.mark.slow
def test_counts_are_burstier_than_a_plain_poisson_process() -> None:
    """At 300 in five minutes, the variance is far above the mean; with the drift taken out it is the mean."""
    bursty = counts(FlatDemand(60), 400)
    plain = counts(FlatDemand(60, drift_shape=math.inf), 400)
    assert statistics.variance(bursty) > 4 * statistics.mean(bursty)
    assert statistics.variance(plain) == pytest.approx(statistics.mean(plain), rel=0.25)


def test_a_day_has_lunch_and_a_higher_dinner_and_nobody_at_night() -> None:
    day = WeekDemand(1000)
    hours = [sum(day.expected(hour * 12 + slot) for slot in range(12)) for hour in range(24)]
    lunch, dinner = max(hours[11:15]), max(hours[17:22])
    assert sum(hours[:10]) + sum(hours[23:]) < 1
    assert 1.2 * lunch < dinner < 1.6 * lunch
    assert min(hours[14:17]) < 0.6 * lunch
    assert day.peak_per_hour == pytest.approx(dinner / WEEKDAYS[0])


@pytest.mark.parametrize("weekday", range(7))
def test_a_history_may_begin_on_any_weekday(weekday: int) -> None:
    shifted = WeekDemand(1000, first_minute=weekday * DAY_MINUTES)
    first_day = sum(shifted.expected(slot) for slot in range(SLOTS_A_DAY))
    assert first_day == pytest.approx(1000 * WEEKDAYS[weekday])
    assert shifted.hour(90.0) == 1.5


@pytest.mark.slow
def test_a_day_has_its_orders_on_average() -> None:
    assert sum(counts(WeekDemand(500), 28 * SLOTS_A_DAY)) == pytest.approx(28 * 500 * sum(WEEKDAYS) / 7, rel=0.03)


@pytest.mark.parametrize("mean", [0.0, 0.3, 40.0, pytest.param(1800.0, marks=pytest.mark.slow)])
def test_poisson_has_its_mean_and_its_variance(mean: float) -> None:
    dice = seeded(1, mean)
    drawn = [poisson(dice, mean) for _ in range(1500)]
    assert statistics.mean(drawn) == pytest.approx(mean, rel=0.1)
    assert statistics.variance(drawn) == pytest.approx(mean, rel=0.15)
