"""When orders come: Gamma-Poisson, each slot of five minutes with a rate of its own; flat, or as days and weeks go.

Each slot follows from the seed and its number alone.
"""

import math
import random
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

from producers.load.market.catalogue import seeded

SLOT_MINUTES = 5
DAY_MINUTES = 24 * 60
# 75,000 in 90 days.
ORDERS_A_DAY = 833.0
# In each slot the rate is multiplied with Gamma(k, 1/k): at 1,570 orders a day the variance of a peak hour's counts is
# half again their mean, as in Grubhub's data.
DRIFT_SHAPE = 45.0

# Bell curves over the day's hours: their middle, width and height; dinner is higher than lunch.
LUNCH, DINNER = (12.4, 1.05, 1.0), (18.9, 1.45, 1.42)
# Between the meals some order all the same; nearly all come between 11 and 23 o'clock.
AFTERNOON, FIRST_HOUR, LAST_HOUR = 0.3, 11.0, 23.0
# Monday to Sunday. A choice: published ratios of the busiest to the quietest day are 1 to 1.35.
WEEKDAYS = (0.91, 0.92, 0.96, 1.0, 1.19, 1.13, 0.98)


class Demand(Protocol):
    """How many orders to expect, in the minutes that kitchens count."""

    @property
    def drift_shape(self) -> float: ...

    @property
    def peak_per_hour(self) -> float:
        """What a kitchen has to be made for, over all kitchens."""

    def expected(self, slot: int) -> float:
        """In the slot of this number."""

    def hour(self, minute: float) -> float | None:
        """The hour of the day, for opening hours; None where it is always open."""


@dataclass(frozen=True)
class FlatDemand:
    """`per_minute` orders at any time, and nobody ever closes."""

    per_minute: float
    drift_shape: float = DRIFT_SHAPE

    @property
    def peak_per_hour(self) -> float:
        return 60 * self.per_minute

    def expected(self, slot: int) -> float:  # noqa: ARG002 - every slot is like any other
        return self.per_minute * SLOT_MINUTES

    def hour(self, minute: float) -> None:  # noqa: ARG002 - there is no night
        return None


@dataclass(frozen=True)
class WeekDemand:
    """`per_day` orders on an average day; slot 0 begins `first_minute` after a Monday's midnight."""

    per_day: float
    first_minute: int = 0
    drift_shape: float = DRIFT_SHAPE

    @property
    def peak_per_hour(self) -> float:
        return self.per_day * max(map(sum, zip(*[iter(self._shares)] * (60 // SLOT_MINUTES), strict=True)))

    def expected(self, slot: int) -> float:
        minute = self.first_minute + slot * SLOT_MINUTES
        day, minute_of_day = divmod(minute, DAY_MINUTES)
        return self.per_day * WEEKDAYS[day % 7] * self._shares[minute_of_day // SLOT_MINUTES]

    def hour(self, minute: float) -> float:
        return (self.first_minute + minute) % DAY_MINUTES / 60

    @cached_property
    def _shares(self) -> tuple[float, ...]:
        """The share of a day's orders in each of its slots."""
        heights = [_height((number + 0.5) * SLOT_MINUTES / 60) for number in range(DAY_MINUTES // SLOT_MINUTES)]
        return tuple(height / sum(heights) for height in heights)


@dataclass(frozen=True)
class Slot:
    """The orders of one slot: `minutes` after the start, rising."""

    number: int
    minutes: tuple[float, ...]


def arrivals(seed: int, demand: Demand) -> Iterator[Slot]:
    """Slot after slot, without end, also those in which nobody orders."""
    number = 0
    while True:
        dice = seeded(seed, "slot", number)
        mean = demand.expected(number) * _drift(dice, demand.drift_shape)
        moments = sorted(dice.random() for _ in range(poisson(dice, mean)))
        yield Slot(number, tuple((number + moment) * SLOT_MINUTES for moment in moments))
        number += 1


def poisson(dice: random.Random, mean: float) -> int:
    """Knuth's way, in portions for which the exponential is no zero."""
    count = 0
    while mean > 0:
        portion = min(mean, 500.0)
        limit, product = math.exp(-portion), dice.random()
        while product > limit:
            product *= dice.random()
            count += 1
        mean -= portion
    return count


def _drift(dice: random.Random, shape: float) -> float:
    return 1.0 if math.isinf(shape) else dice.gammavariate(shape, 1 / shape)


def _height(hour: float) -> float:
    meals = sum(height * math.exp(-(((hour - middle) / width) ** 2) / 2) for middle, width, height in (LUNCH, DINNER))
    between = AFTERNOON * _opening(hour)
    return (meals + between) * _opening(hour)


def _opening(hour: float) -> float:
    """Rises within half an hour around the first hour, and falls before the last."""
    return 1 / (1 + math.exp(-(hour - FIRST_HOUR - 0.25) * 12)) / (1 + math.exp((hour - LAST_HOUR + 0.5) * 12))
