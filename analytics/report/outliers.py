"""Events dated far from all others: a report leaves them out and names them, since one of them would flatten it."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

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


def usual_window(records: pa.Table, window: Window, made_at: datetime) -> Window:
    """The window without the days at its ends that are far from the others, where few events are dated.

    Far is more than a year, and more than the days around which most events lie span themselves. What is within a year
    of `made_at` is never far.
    """
    days = records.group_by("event_date").aggregate([([], "count_all")]).to_pylist()
    events = {one["event_date"]: one["count_all"] for one in days if _touches(window, one["event_date"])}
    if not events:
        return window
    seasons = _seasons(sorted(events))
    today = made_at.astimezone(UTC).date()
    most = max(seasons, key=lambda days: (_sum(events, days), -_apart(days, [today])))
    reach = max(_A_YEAR, most[-1] - most[0])
    few = max(_FEW, _SMALL_PART * sum(events.values()))
    usual = [
        days
        for days in seasons
        if _apart(days, most) <= reach or _apart(days, [today]) <= _A_YEAR or _sum(events, days) > few
    ]
    since, until = window.since, window.until
    if usual[0] != seasons[0]:
        since = datetime.combine(usual[0][0], time(), UTC)
    if usual[-1] != seasons[-1]:
        until = datetime.combine(usual[-1][-1] + timedelta(days=1), time(), UTC)
    return Window(since, until)


def left_out(records: pa.Table, window: Window, usual: Window) -> LeftOut:
    """The events of `window` that are not in `usual`; an event that is there twice counts once."""
    outside = [
        *([Window(window.since, usual.since)] if usual.since != window.since else []),
        *([Window(usual.until, window.until)] if usual.until != window.until else []),
    ]
    parts = [records.filter(within(part)).select(["event_id", *_SHOWN]) for part in outside]
    if not parts:
        return LeftOut(0, 0, ())
    events = pa.concat_tables(parts).group_by(["event_id", *_SHOWN]).aggregate([])
    first = events.sort_by([(name, "ascending") for name in ("occurred_at", "order_id", "event_type")])
    orders = pc.count_distinct(events["order_id"]).as_py()
    return LeftOut(events.num_rows, orders, tuple(first.select(_SHOWN).slice(0, _NAMED).to_pylist()))


def within(window: Window) -> pc.Expression:
    """Whether a row's event is in the window."""
    condition = pc.scalar(True)
    if window.since is not None:
        condition &= pc.field("occurred_at") >= window.since
    if window.until is not None:
        condition &= pc.field("occurred_at") < window.until
    return condition


_SHOWN = ["order_id", "event_type", "occurred_at"]


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


def _sum(events: dict[date, int], days: list[date]) -> int:
    return sum(events[day] for day in days)


def _touches(window: Window, day: date) -> bool:
    since, until = window.since, window.until
    return (since is None or day >= since.astimezone(UTC).date()) and (
        until is None or day <= until.astimezone(UTC).date()
    )
