"""The generated orders measured, as the published data was: ten markets of a day each, and weeks of arrivals."""

import itertools
import statistics
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta

import numpy as np

from events import CANCELLED, COMPLETED, EXPIRED, REJECTED
from producers.load.market import (
    DAY_MINUTES,
    SLOT_MINUTES,
    Journey,
    Market,
    WeekDemand,
    arrivals,
    fingerprint,
    journeys,
    orders,
    restaurants,
)
from producers.orders import AcceptOrder

# As Grubhub's ten instances: 15,701 orders, 116 to 323 restaurants.
MARKETS, ORDERS_A_DAY, RESTAURANTS = 10, 1570.0, 210
WEEKS_OF_ARRIVALS = 12
SLOTS_AN_HOUR = 60 // SLOT_MINUTES
SLOTS_A_DAY = DAY_MINUTES // SLOT_MINUTES
LUNCH_HOURS, TROUGH_HOURS, DINNER_HOURS = range(10, 15), range(13, 18), range(17, 23)


@dataclass(frozen=True)
class Measured:
    """What a card needs: the statistics by name, and the raw material of its picture."""

    statistics: dict[str, float]
    slot_counts: tuple[int, ...]
    hours: tuple[float, ...]
    waits: tuple[float, ...]
    promises: Counter[int]
    shares: tuple[tuple[float, ...], ...]
    baskets: Counter[int]


def measure(seed: int, swap: Callable[[Market], Market] = lambda market: market) -> Measured:
    """Measures the markets of this seed, each after `swap`."""
    made = [list(_day(seed, number, swap)) for number in range(MARKETS)]
    flow = [journey for day in made for journey in day]
    slot_counts = _slot_counts(swap(_market(seed, "arrivals", 0)))
    hours = _hours([journey.placed for journey in flow])
    waits = [journey.ready - journey.placed for journey in flow if journey.ready is not None]
    shares = tuple(_shares(day) for day in made)
    baskets = [sum(item.quantity for item in journey.order.body.items) for journey in flow]
    totals = [sum(item.quantity * item.unit_price for item in journey.order.body.items) / 100 for journey in flow]
    promises = Counter(
        journey.answer.ready_in_minutes
        for journey in flow
        if journey.completed is not None and isinstance(journey.answer, AcceptOrder)
    )
    measured = {
        **_arrival_statistics(slot_counts, hours),
        **_wait_statistics(made, waits),
        "promised: the published five most common": float(_common_promises(promises)),
        **_popularity_statistics(shares),
        **_basket_statistics(baskets, totals),
        **_outcome_statistics(flow),
    }
    return Measured(measured, slot_counts, hours, tuple(waits), promises, shares, Counter(baskets))


def _market(seed: int, *name: object) -> Market:
    """A market of its own, on the weekday of its number."""
    *_, number = name
    own = fingerprint(seed, "realism", *name)
    demand = WeekDemand(ORDERS_A_DAY, first_minute=int(str(number)) % 7 * DAY_MINUTES)
    return Market(own, demand, restaurants(own, RESTAURANTS))


def _day(seed: int, number: int, swap: Callable[[Market], Market]) -> Iterator[Journey]:
    market = swap(_market(seed, "day", number))
    return journeys(market, itertools.takewhile(lambda order: order.offset < _DAY, orders(market)))


def _slot_counts(market: Market) -> tuple[int, ...]:
    slots = itertools.islice(arrivals(market.seed, market.demand), WEEKS_OF_ARRIVALS * 7 * SLOTS_A_DAY)
    return tuple(len(slot.minutes) for slot in slots)


def _hours(placed: Sequence[float]) -> tuple[float, ...]:
    """The share of the orders in each hour of the day."""
    counted = Counter(int(minute % DAY_MINUTES // 60) for minute in placed)
    return tuple(counted[hour] / len(placed) for hour in range(24))


def _arrival_statistics(slot_counts: Sequence[int], hours: Sequence[float]) -> dict[str, float]:
    lunch, dinner = (max(hours[hour] for hour in meal) for meal in (LUNCH_HOURS, DINNER_HOURS))
    days = [sum(slot_counts[at : at + SLOTS_A_DAY]) for at in range(0, len(slot_counts), SLOTS_A_DAY)]
    weekdays = [sum(days[weekday::7]) for weekday in range(7)]
    return {
        "arrivals: variance / mean in peak hours": statistics.mean(_dispersions(slot_counts)),
        "arrivals: best lunch hour's share": lunch,
        "arrivals: best dinner hour's share": dinner,
        "arrivals: dinner peak / lunch peak": dinner / lunch,
        "arrivals: trough / lunch peak": min(hours[hour] for hour in TROUGH_HOURS) / lunch,
        "arrivals: share from 11 to 23 o'clock": sum(hours[11:23]),
        "arrivals: busiest / quietest weekday": max(weekdays) / min(weekdays),
    }


def _dispersions(slot_counts: Sequence[int]) -> Iterator[float]:
    """Of the five-minute counts in the best lunch hour and the best dinner hour of each day."""
    for at in range(0, len(slot_counts), SLOTS_A_DAY):
        for meal in (LUNCH_HOURS, DINNER_HOURS):
            hours = [slot_counts[at + hour * SLOTS_AN_HOUR : at + (hour + 1) * SLOTS_AN_HOUR] for hour in meal]
            best = max(hours, key=sum)
            yield statistics.variance(best) / statistics.mean(best)


def _wait_statistics(days: Sequence[Sequence[Journey]], waits: Sequence[float]) -> dict[str, float]:
    """From placing to ready, in minutes."""
    p25, p50, p75, p90, p95, p99 = map(float, np.percentile(waits, (25, 50, 75, 90, 95, 99)))
    return {
        "ready: mean minutes": statistics.mean(waits),
        "ready: standard deviation": statistics.stdev(waits),
        "ready: p25": p25,
        "ready: p50": p50,
        "ready: p75": p75,
        "ready: p90": p90,
        "ready: p95": p95,
        "ready: p99": p99,
        "ready: variance between restaurants": statistics.mean(map(_between, days)),
    }


def _between(day: Sequence[Journey]) -> float:
    """The share of the variance that is one of the restaurants' means."""
    waits = [(journey.order.body.restaurant_id, journey.ready - journey.placed) for journey in day if journey.ready]
    of_each: dict[str, list[float]] = {}
    for restaurant_id, wait in waits:
        of_each.setdefault(restaurant_id, []).append(wait)
    mean = statistics.mean(wait for _, wait in waits)
    between = sum(len(those) * (statistics.mean(those) - mean) ** 2 for those in of_each.values())
    return between / sum((wait - mean) ** 2 for _, wait in waits)


def _common_promises(promises: Counter[int]) -> int:
    """How many of the five most common promises are among the published five."""
    return len({minutes for minutes, _ in promises.most_common(5)} & {10, 15, 20, 25, 30})


def _shares(day: Sequence[Journey]) -> tuple[float, ...]:
    """Each restaurant's share of the day's orders, the largest first; of those that had any."""
    counts = Counter(journey.order.body.restaurant_id for journey in day)
    return tuple(count / len(day) for _, count in counts.most_common())


def _popularity_statistics(markets: Sequence[tuple[float, ...]]) -> dict[str, float]:
    def mean(of: Callable[[tuple[float, ...]], float]) -> float:
        return statistics.mean(map(of, markets))

    return {
        "popularity: the first's share": mean(lambda shares: shares[0]),
        "popularity: the top tenth's share": mean(lambda shares: sum(shares[: round(len(shares) / 10)])),
        "popularity: the top fifth's share": mean(lambda shares: sum(shares[: round(len(shares) / 5)])),
        "popularity: Gini": mean(gini),
    }


def gini(shares: Sequence[float]) -> float:
    """0 where all have the same, towards 1 where one has all; the largest share first."""
    count = len(shares)
    return sum((count + 1 - 2 * rank) * share for rank, share in enumerate(shares, start=1)) / count


def _basket_statistics(sizes: Sequence[int], totals: Sequence[float]) -> dict[str, float]:
    few, middle, many = map(float, np.percentile(totals, (25, 50, 75)))
    least, median, most = map(float, np.percentile(sizes, (25, 50, 75)))
    return {
        "basket: mean items": statistics.mean(sizes),
        "basket: items, lower quartile": least,
        "basket: items, median": median,
        "basket: items, upper quartile": most,
        "basket: mean total": statistics.mean(totals),
        "basket: total, lower quartile": few,
        "basket: total, median": middle,
        "basket: total, upper quartile": many,
    }


def _outcome_statistics(flow: Sequence[Journey]) -> dict[str, float]:
    outcomes = Counter(journey.outcome for journey in flow)
    late = sum(journey.completed != journey.ready for journey in flow)
    return {
        "outcome: rejected": outcomes[REJECTED] / len(flow),
        "outcome: expired": outcomes[EXPIRED] / len(flow),
        "outcome: cancelled": outcomes[CANCELLED] / len(flow),
        "outcome: not fulfilled": 1 - outcomes[COMPLETED] / len(flow),
        "outcome: completion tapped late": late / len(flow),
    }


_DAY = timedelta(days=1)
