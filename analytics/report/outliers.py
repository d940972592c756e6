"""Events dated far from all others: a report leaves them out and names them, since one of them would flatten it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import duckdb

from analytics.reading import Window

_A_YEAR = timedelta(days=365)
# So many events, or so small a part of all, may be a mistake; more are another season of the business.
_FEW, _SMALL_PART = 10, 0.01
_NAMED = 10


@dataclass(frozen=True)
class LeftOut:
    """How many events and orders, and the first ten events by their dates: order_id, event_type and occurred_at."""

    events: int
    orders: int
    named: tuple[dict[str, Any], ...]


def usual_window(days: Mapping[date, int], window: Window, made_at: datetime) -> Window:
    """The window without the days at its ends that are far from the others, where few events are dated.

    `days` counts the window's events by their days. Far is more than a year, and more than the days around which most
    events lie span themselves. What is within a year of `made_at` is never far.
    """
    if not days:
        return window
    seasons = _seasons(sorted(days))
    today = made_at.astimezone(UTC).date()
    most = max(seasons, key=lambda season: (_sum(days, season), -_apart(season, [today])))
    reach = max(_A_YEAR, most[-1] - most[0])
    few = max(_FEW, _SMALL_PART * sum(days.values()))
    usual = [
        season
        for season in seasons
        if _apart(season, most) <= reach or _apart(season, [today]) <= _A_YEAR or _sum(days, season) > few
    ]
    since, until = window.since, window.until
    if usual[0] != seasons[0]:
        since = datetime.combine(usual[0][0], time(), UTC)
    if usual[-1] != seasons[-1]:
        until = datetime.combine(usual[-1][-1] + timedelta(days=1), time(), UTC)
    return Window(since, until)


def events_by_day(connection: duckdb.DuckDBPyConnection, window: Window) -> dict[date, int]:
    """Of the table `events`."""
    query = f"SELECT event_date, count(*) FROM events{window.where()} GROUP BY event_date"  # noqa: S608 - times of ours
    return dict(connection.execute(query).fetchall())


def left_out(connection: duckdb.DuckDBPyConnection, window: Window, usual: Window) -> LeftOut:
    """Those of the table `events` that are in `window` and not in `usual`."""
    outside = [
        *([Window(window.since, usual.since)] if usual.since != window.since else []),
        *([Window(usual.until, window.until)] if usual.until != window.until else []),
    ]
    if not outside:
        return LeftOut(0, 0, ())
    events = " UNION ALL ".join(f"FROM events{part.where()}" for part in outside)
    connection.execute(f"SELECT count(*), count(DISTINCT order_id) FROM ({events})")  # noqa: S608 - times of ours
    [(count, orders)] = connection.fetchall()
    first = connection.sql(
        f"SELECT order_id, event_type, occurred_at FROM ({events}) "  # noqa: S608 - times of ours
        f"ORDER BY occurred_at, order_id, event_type LIMIT {_NAMED}"
    )
    return LeftOut(count, orders, tuple(first.to_arrow_table().to_pylist()))


def _seasons(days: list[date]) -> list[list[date]]:
    """The sorted days, cut where more than a year lies between two of them."""
    seasons: list[list[date]] = []
    for day in days:
        if seasons and day - seasons[-1][-1] <= _A_YEAR:
            seasons[-1].append(day)
        else:
            seasons.append([day])
    return seasons


def _apart(some: list[date], others: list[date]) -> timedelta:
    """What lies between the two, from one's end to the other's start."""
    return max(some[0] - others[-1], others[0] - some[-1], timedelta(0))


def _sum(events: Mapping[date, int], days: list[date]) -> int:
    return sum(events[day] for day in days)
