"""Which events a report leaves out for their dates: few, and far from all others. Seasons of a business stay."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics.reading.orders import Window
from analytics.report.outliers import LeftOut, events_by_day, left_out, usual_window
from tests.support.builders import NOON
from tests.support.lake_rows import a_table, an_event

YEAR = timedelta(days=365)
BEGINNING, END = datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)


def events(*moments: datetime, count: int = 1) -> list[dict[str, Any]]:
    return [
        an_event("order_placed", order_id=f"{moment:%Y}-{number}", occurred_at=moment)
        for moment in moments
        for number in range(count)
    ]


def judged(rows: Sequence[dict[str, Any]], window: Window = Window()) -> tuple[Window, LeftOut]:  # noqa: B008
    with duckdb.connect() as connection:
        connection.register("events", a_table(rows))
        usual = usual_window(events_by_day(connection, window), window, NOON)
        return usual, left_out(connection, window, usual)


@pytest.mark.parametrize("far", [BEGINNING, NOON - 2 * YEAR, NOON + 2 * YEAR, END])
def test_one_event_far_from_many_is_left_out(far: datetime) -> None:
    usual, out = judged([*events(NOON, count=50), *events(far)])
    assert (out.events, out.orders) == (1, 1)
    assert out.named[0]["occurred_at"] == far
    assert (usual.since is None) == (far > NOON)
    assert (usual.until is None) == (far < NOON)


@pytest.mark.parametrize(
    "rows",
    [
        events(NOON, NOON - YEAR),
        events(BEGINNING),
        events(END),
        # A business of years with a pause, one with two seasons that are both large, and one that began again today.
        events(*(NOON - n * YEAR for n in range(2, 9)), NOON),
        [*events(NOON, count=50), *events(NOON - 9 * YEAR, count=50)],
        [*events(NOON - 9 * YEAR, count=2000), *events(NOON)],
        [],
    ],
    ids=["within a year", "the beginning alone", "the end alone", "a pause", "two seasons", "today", "none"],
)
def test_seasons_of_a_business_stay(rows: list[dict[str, Any]]) -> None:
    assert judged(rows) == (Window(), LeftOut(0, 0, ()))


def test_of_two_single_events_the_one_nearer_to_today_stays() -> None:
    assert [row["occurred_at"] for row in judged(events(NOON - 3 * YEAR, END))[1].named] == [END]


def test_only_what_the_window_has_is_judged() -> None:
    rows = [*events(NOON, count=50), *events(BEGINNING, END)]
    assert judged(rows, Window(since=NOON - YEAR, until=NOON + YEAR))[1].events == 0
    assert judged(rows, Window(since=NOON - YEAR))[1].events == 1
    assert judged(rows, Window(BEGINNING, END))[1].events == 1
    assert judged(rows, Window(since=NOON + YEAR)) == (Window(since=NOON + YEAR), LeftOut(0, 0, ()))


@pytest.mark.slow
def test_ten_are_named_in_order_and_all_are_counted_once() -> None:
    rows = [*events(NOON, count=5000), *events(END, count=12), *events(BEGINNING, count=3)]
    out = judged(rows)[1]
    assert (out.events, out.orders, len(out.named)) == (15, 15, 10)
    assert [row["occurred_at"] for row in out.named] == [BEGINNING] * 3 + [END] * 7


@pytest.mark.slow
@given(st.lists(st.datetimes(timezones=st.just(UTC)), max_size=20))
def test_whatever_the_dates_all_is_in_the_window_or_left_out(moments: list[datetime]) -> None:
    rows = [an_event("order_placed", order_id=str(place), occurred_at=at) for place, at in enumerate(moments)]
    usual, out = judged(rows)
    inside = [at for at in moments if (not usual.since or at >= usual.since) and (not usual.until or at < usual.until)]
    assert len(inside) + out.events == len(moments)
    assert bool(inside) == bool(moments)
