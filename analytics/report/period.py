"""Which time a report is about, from what people write, and the time before that it is held against."""

import re
from datetime import UTC, datetime, timedelta

from analytics.reading import UnclearTime, Window

_LENGTH = re.compile(r"(\d{1,6})\s?([mhdw])")
_UNITS = {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}
_CALENDAR_STARTS = datetime.min.replace(tzinfo=UTC)


def asked_period(since: str | None, until: str | None, last: str | None, now: datetime) -> Window:
    """`last` is a length, as `7d`, that ends at `until`, or `now`. Raises `UnclearTime` for what is no period."""
    if last is not None:
        if since is not None:
            raise UnclearTime("both --since and --last say when the period begins. fix: leave one of them out")
        end = Window.of(None, until).until or now
        length = _length(last)
        # guarantee: a period that the calendar cannot hold is refused
        if end - _CALENDAR_STARTS < length:
            raise UnclearTime(f"--last {last} begins before the year 1. fix: a shorter length, as 7d")
        return Window(end - length, end)
    window = Window.of(since, until)
    if window.since is not None and window.until is not None and window.since >= window.until:
        raise UnclearTime(f"--since {since} is not before --until {until}. fix: give the earlier one to --since")
    return window


def period_before(window: Window, now: datetime) -> Window | None:
    """As long, and right before it; None for one that has no beginning, and for one that has not begun."""
    if window.since is None:
        return None
    length = (window.until or now) - window.since
    if length <= timedelta(0) or window.since - _CALENDAR_STARTS < length:
        return None
    return Window(window.since - length, window.since)


def _length(text: str) -> timedelta:
    found = _LENGTH.fullmatch(text.strip().lower())
    if found is None or not int(found[1]):
        raise UnclearTime(
            f"--last {text!r} is no length of time. fix: a number and m, h, d or w, as 90m, 24h, 7d or 4w"
        )
    return int(found[1]) * _UNITS[found[2]]
