"""Generated beside published: each statistic with its source, its tolerance and a verdict."""

from collections.abc import Mapping
from dataclasses import dataclass

GRUBHUB = "Grubhub, 10 instances, 15,701 orders (grubhub/mdrplib)"
FRENCH = "French platform 2016-17, 660,658 orders (webartifex/urban-meal-delivery)"
DOORDASH = "DoorDash 2015, 197,428 deliveries"
CHOICE = "a choice of ours"


@dataclass(frozen=True)
class Published:
    """What a statistic is where it was published, and the range in which the generated one has to lie."""

    value: str
    least: float
    most: float
    source: str


@dataclass(frozen=True)
class Row:
    """One line of the card."""

    statistic: str
    generated: float
    published: Published

    @property
    def ok(self) -> bool:
        return self.published.least <= self.generated <= self.published.most


# Published ranges are the tolerance where there are any; single values have a tenth to a sixth either way, and shares
# of a few per cent half, since 15,700 orders are a sample.
PUBLISHED: Mapping[str, Published] = {
    "arrivals: variance / mean in peak hours": Published("1.47", 1.25, 1.75, GRUBHUB),
    "arrivals: best lunch hour's share": Published("0.06 to 0.12", 0.06, 0.125, GRUBHUB),
    "arrivals: best dinner hour's share": Published("0.12 to 0.22", 0.12, 0.22, GRUBHUB),
    "arrivals: dinner peak / lunch peak": Published("1 to 3", 1.0, 3.0, GRUBHUB),
    "arrivals: trough / lunch peak": Published("0.2 to 0.9", 0.2, 0.9, GRUBHUB),
    "arrivals: share from 11 to 23 o'clock": Published("0.999", 0.99, 1.0, FRENCH),
    "arrivals: busiest / quietest weekday": Published("1 to 1.35", 1.1, 1.37, CHOICE + ", after Casper's"),
    "ready: mean minutes": Published("17.7", 16.0, 19.4, GRUBHUB),
    "ready: standard deviation": Published("12.0", 10.4, 13.6, GRUBHUB),
    "ready: p25": Published("10", 8.5, 11.5, GRUBHUB),
    "ready: p50": Published("15", 13.3, 16.7, GRUBHUB),
    "ready: p75": Published("24", 21.0, 27.0, GRUBHUB),
    "ready: p90": Published("30", 27.0, 35.0, GRUBHUB),
    "ready: p95": Published("38", 34.0, 44.0, GRUBHUB),
    "ready: p99": Published("59", 50.0, 68.0, GRUBHUB),
    "ready: variance between restaurants": Published("0.55", 0.45, 0.65, GRUBHUB),
    "promised: the published five most common": Published("10, 15, 20, 25, 30", 5.0, 5.0, GRUBHUB),
    "popularity: the first's share": Published("0.02 to 0.10", 0.02, 0.10, GRUBHUB),
    "popularity: the top tenth's share": Published("0.34 to 0.41", 0.34, 0.41, GRUBHUB),
    "popularity: the top fifth's share": Published("0.54 to 0.60", 0.53, 0.60, GRUBHUB),
    "popularity: Gini": Published("0.50 to 0.55", 0.49, 0.56, GRUBHUB),
    "basket: mean items": Published("3.20", 3.0, 3.4, DOORDASH),
    "basket: items, lower quartile": Published("2", 2.0, 2.0, DOORDASH),
    "basket: items, median": Published("3", 3.0, 3.0, DOORDASH),
    "basket: items, upper quartile": Published("4", 4.0, 4.0, DOORDASH),
    "basket: mean total": Published("26.82 (USD)", 23.0, 30.0, DOORDASH),
    "basket: total, lower quartile": Published("14.00 (USD)", 11.5, 16.5, DOORDASH),
    "basket: total, median": Published("22.00 (USD)", 18.5, 25.5, DOORDASH),
    "basket: total, upper quartile": Published("33.95 (USD)", 29.0, 39.0, DOORDASH),
    "outcome: rejected": Published("0.03", 0.02, 0.04, CHOICE),
    "outcome: expired": Published("0.01", 0.005, 0.015, CHOICE),
    "outcome: cancelled": Published("0.012", 0.006, 0.018, CHOICE),
    "outcome: not fulfilled": Published("0.036 to 0.05", 0.036, 0.065, FRENCH + "; Uber Eats' bar"),
    "outcome: completion tapped late": Published("0.021", 0.012, 0.03, FRENCH),
}


def card(statistics: Mapping[str, float]) -> tuple[Row, ...]:
    """A row for each published statistic. A KeyError where one was not measured: none is passed over."""
    return tuple(Row(name, statistics[name], published) for name, published in PUBLISHED.items())
