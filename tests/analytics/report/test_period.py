"""Which time a report is about, and what it is held against."""

from datetime import UTC, datetime, timedelta

import pytest

from analytics.reading.orders import UnclearTime, Window
from analytics.report.period import asked_period, period_before
from tests.support.builders import NOON

DAY = timedelta(days=1)


@pytest.mark.parametrize(
    ("last", "length"),
    [("90m", timedelta(minutes=90)), ("24h", DAY), ("7d", 7 * DAY), ("4w", 28 * DAY), (" 7 D ", 7 * DAY)],
)
def test_a_length_ends_now_or_where_it_is_told(last: str, length: timedelta) -> None:
    assert asked_period(None, None, last, NOON) == Window(NOON - length, NOON)
    ended = datetime(2026, 3, 1, tzinfo=UTC)
    assert asked_period(None, "2026-03-01", last, NOON) == Window(ended - length, ended)


def test_either_end_may_be_open() -> None:
    first = datetime(2026, 3, 1, tzinfo=UTC)
    assert asked_period(None, None, None, NOON) == Window()
    assert asked_period("2026-03-01", None, None, NOON) == Window(since=first)
    assert asked_period(None, "2026-03-01T01:00:00+01:00", None, NOON) == Window(until=first)


@pytest.mark.parametrize(
    ("since", "until", "last", "what"),
    [
        ("2026-13-01", None, None, "`since` is '2026-13-01', which is no time"),
        (None, "yesterday", None, "`until` is 'yesterday', which is no time"),
        ("2026-03-01T12:00:00", None, None, "no time zone says when that is"),
        ("2026-03-02", "2026-03-01", None, "--since 2026-03-02 is not before --until 2026-03-01"),
        ("2026-03-01", "2026-03-01", None, "is not before"),
        ("2026-03-01", None, "7d", "both --since and --last"),
        (None, None, "7", "--last '7' is no length of time"),
        (None, None, "0d", "--last '0d' is no length of time"),
        (None, None, "-7d", "--last '-7d' is no length of time"),
        (None, None, "7 fortnights", "is no length of time"),
        (None, None, "999999w", "begins before the year 1"),
    ],
)
def test_what_is_no_period_is_refused_with_a_fix(
    since: str | None, until: str | None, last: str | None, what: str
) -> None:
    with pytest.raises(UnclearTime) as raised:
        asked_period(since, until, last, NOON)
    assert what in str(raised.value)
    assert ". fix: " in str(raised.value)


def test_the_period_before_is_as_long_and_ends_where_this_one_begins() -> None:
    assert period_before(Window(NOON - DAY, NOON), NOON) == Window(NOON - 2 * DAY, NOON - DAY)
    assert period_before(Window(since=NOON - DAY), NOON) == Window(NOON - 2 * DAY, NOON - DAY)


@pytest.mark.parametrize(
    "window",
    [Window(), Window(until=NOON), Window(since=NOON + DAY), Window(datetime(5, 1, 1, tzinfo=UTC), NOON)],
    ids=["all", "without a beginning", "not begun", "before the calendar"],
)
def test_where_there_is_nothing_before_there_is_no_period(window: Window) -> None:
    assert period_before(window, NOON) is None
