"""Named scenarios: something goes wrong at one dinner, in phases, with the answer that is there to be found.

A scenario is what a file of events can show. What needs shards, as a reshard in the middle of dinner does, is none.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from events import RESTAURANT_NOTIFIER
from producers.load.ledger import FaultKind
from producers.load.market.demand import DAY_MINUTES
from producers.load.market.market import Market, Surge

# Hours of the day in which it happens, and for how many minutes before and after it is still worth looking.
BEGINS, ENDS, MARGIN = 18.0, 19.5, 60.0


@dataclass(frozen=True)
class Incident:
    """What goes wrong from `since` until `until`, in minutes after the start; `answer` is what there is to find."""

    name: str
    since: float
    until: float
    answer: str
    notifier_down: bool = False
    slow_kitchens: frozenset[str] = frozenset()
    slow_by: float = 1.0
    surge: Surge | None = None
    faults: Mapping[FaultKind, float] = field(default_factory=dict)

    def during(self, minute: float) -> bool:
        return self.since <= minute < self.until

    def notified(self, placed: float, rate: float) -> float:
        """When a notice can go out at the earliest; after an outage the oldest first, `rate` a minute."""
        if not self.notifier_down or not self.during(placed):
            return placed
        # The share of the outage that lay before it is its share of the backlog.
        return self.until + (placed - self.since) / rate

    def slowness(self, restaurant_id: str, minute: float) -> float:
        return self.slow_by if restaurant_id in self.slow_kitchens and self.during(minute) else 1.0

    def phases(self) -> tuple[tuple[str, float, float | None], ...]:
        """Name, since and until (None: to the end), in minutes."""
        before, after = self.since - MARGIN, self.until + MARGIN
        return (
            ("baseline", 0.0, before),
            ("pre-incident", before, self.since),
            ("incident", self.since, self.until),
            ("recovery", self.until, after),
            ("baseline", after, None),
        )


CALM = Incident("", 0.0, 0.0, "")


def incident(name: str, market: Market, days: int) -> Incident:
    """The scenario of that name, at the dinner of the middle day of so many."""
    day = days // 2
    blank = Incident(name, day * DAY_MINUTES + BEGINS * 60, day * DAY_MINUTES + ENDS * 60, "")
    return SCENARIOS[name](blank, market)


def _notifier_outage(blank: Incident, _: Market) -> Incident:
    answer = f"{RESTAURANT_NOTIFIER.actor} told no restaurant; orders expired unseen, and their tickets came after"
    return replace(blank, notifier_down=True, answer=answer)


def _kitchen_meltdown(blank: Incident, market: Market) -> Incident:
    of = _by_weight(market)[0]
    answer = f"the kitchen of {of} took four times as long; its queue rejected orders as too busy"
    return replace(blank, slow_kitchens=frozenset({of}), slow_by=4.0, answer=answer)


def _hot_restaurant(blank: Incident, market: Market) -> Incident:
    names = _by_weight(market)
    of = names[len(names) // 2]
    surge = Surge(of, 15.0, blank.since, blank.until)
    return replace(blank, surge=surge, answer=f"{of} got fifteen times its usual share of the orders")


def _duplicate_storm(blank: Incident, _: Market) -> Incident:
    return replace(blank, faults={FaultKind.DUPLICATE: 0.4}, answer="two in five events came twice, with one event_id")


def _clock_skew(blank: Incident, _: Market) -> Incident:
    answer = "a clock was minutes off: half of the events say that they occurred before their cause, or long after"
    return replace(blank, faults={FaultKind.CLOCK_SKEW: 0.5}, answer=answer)


def _poison_pill(blank: Incident, _: Market) -> Incident:
    answer = "records nested deeper than any decoder's stack: each is to be set apart, and no event behind it lost"
    return replace(blank, faults={FaultKind.POISON: 0.02}, answer=answer)


def _by_weight(market: Market) -> list[str]:
    return [one.restaurant_id for one in sorted(market.restaurants, key=lambda one: -one.weight)]


SCENARIOS: Mapping[str, Callable[[Incident, Market], Incident]] = {
    "notifier-outage": _notifier_outage,
    "kitchen-meltdown": _kitchen_meltdown,
    "hot-restaurant": _hot_restaurant,
    "duplicate-storm": _duplicate_storm,
    "clock-skew": _clock_skew,
    "poison-pill": _poison_pill,
}
