"""Timelines: what happened to each order, however its events arrive."""

import random
from datetime import UTC, datetime, timedelta, timezone
from itertools import permutations
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest

from analytics.reading.orders import NEEDED_COLUMNS, UnclearTime, UnusableRecords, When, Window, timelines
from events.orders import EVENT_TYPES, EVENTS
from events.states import standing
from tests.support.builders import NOON
from tests.support.lake_rows import GOOD, a_table, an_event, an_order
from tests.support.lives import lives

pytestmark = pytest.mark.slow

MINUTE = timedelta(minutes=1)


def only(table: pa.Table) -> dict[str, Any]:
    rows: list[dict[str, Any]] = table.to_pylist()
    assert len(rows) == 1
    return rows[0]


def test_a_good_order_has_all_its_times_and_how_long_each_step_took() -> None:
    line = only(timelines(a_table(an_order(*GOOD))))
    assert line == dict.fromkeys(line) | {
        "order_id": "order-1",
        "restaurant_id": "restaurant-1",
        "customer_id": "customer-1",
        "city": "Utrecht",
        "total": 1900,
        "currency": "EUR",
        "placed_at": NOON,
        "restaurant_notified_at": NOON + timedelta(seconds=10),
        "accepted_at": NOON + timedelta(seconds=20),
        "rejected_at": None,
        "rejection_reason": None,
        "user_notified_at": NOON + timedelta(seconds=30),
        "completed_at": NOON + timedelta(seconds=40),
        "last_event_at": NOON + timedelta(seconds=40),
        "state": "completed",
        "notify_restaurant_seconds": 10.0,
        "decide_seconds": 10.0,
        "notify_user_seconds": 10.0,
        "complete_seconds": 20.0,
        "placed_to_accepted_seconds": 20.0,
        "placed_to_completed_seconds": 40.0,
    }


def test_the_order_of_rows_does_not_matter() -> None:
    rows = [row for number in range(20) for row in an_order(*GOOD, order_id=f"order-{number:02}", after=number)]
    shuffled = random.Random(7).sample(rows, len(rows))
    assert timelines(a_table(shuffled)).equals(timelines(a_table(rows)))


def test_a_repeated_event_counts_once_and_the_first_to_arrive_is_the_one() -> None:
    rows = an_order("restaurant_notified")
    late_repeat = rows[1] | {
        "occurred_at": NOON + timedelta(seconds=3),
        "_arrived_at": NOON + timedelta(hours=1),
        "_sequence_number": "1",
    }
    line = only(timelines(a_table([late_repeat, *rows])))
    assert line["notify_restaurant_seconds"] == 10.0


def test_an_event_that_is_there_twice_changes_nothing() -> None:
    rows = [row for number in range(20) for row in an_order(*GOOD, order_id=f"order-{number:02}", after=number)]
    again = [row | {"_arrived_at": NOON + timedelta(days=2), "_sequence_number": "9" * 56} for row in rows[::3]]
    assert timelines(a_table([*again, *rows])).equals(timelines(a_table(rows)))


def test_of_two_acceptances_the_earlier_counts() -> None:
    rows = [
        *an_order("restaurant_notified"),
        an_event("order_accepted", after=50),
        an_event("order_accepted", after=30),
    ]
    line = only(timelines(a_table(rows)))
    assert line["placed_to_accepted_seconds"] == 30.0


@pytest.mark.parametrize(
    ("steps", "state"),
    [
        ((), "placed"),
        (("restaurant_notified",), "notified"),
        (("restaurant_notified", "order_accepted"), "accepted"),
        (("order_accepted",), "accepted"),
        (("restaurant_notified", "user_notified"), "accepted"),
        (("restaurant_notified", "order_rejected"), "rejected"),
        (("restaurant_notified", "order_rejected", "order_accepted"), "rejected"),
        (("restaurant_notified", "order_accepted", "order_rejected"), "accepted"),
        (("restaurant_notified", "order_rejected", "order_completed"), "completed"),
        (GOOD, "completed"),
        (("order_completed",), "completed"),
    ],
)
def test_the_state_follows_from_what_happened(steps: tuple[str, ...], state: str) -> None:
    assert only(timelines(a_table(an_order(*steps))))["state"] == state


def test_events_that_arrive_in_any_order_tell_where_the_commands_led() -> None:
    rows, stands = [], {}
    for number, life in enumerate(lives()):
        minutes = list(enumerate(life.events))
        for turn, arrived in enumerate(permutations(minutes)):
            stands[order_id := f"order-{number}-{turn}"] = life.standing
            rows += [
                an_event(EVENT_TYPES[event], order_id=order_id, after=60 * minute, _arrived_at=NOON + index * MINUTE)
                for index, (minute, event) in enumerate(arrived)
            ]
    assert {row["order_id"]: row["state"] for row in timelines(a_table(rows)).to_pylist()} == stands


def test_whatever_is_there_of_an_order_sql_and_the_fold_agree() -> None:
    chance = random.Random(7)
    seen = {
        f"order-{number}": [(event, chance.randrange(4)) for event in EVENTS if chance.random() < 0.4]
        for number in range(3000)
    }
    rows = [
        an_event(EVENT_TYPES[event], order_id=order_id, after=60 * minute)
        for order_id, events in seen.items()
        for event, minute in events
    ]
    chance.shuffle(rows)
    answered = {row["order_id"]: row["state"] for row in timelines(a_table(rows)).to_pylist()}
    assert answered == {
        order_id: standing((event, NOON + minute * MINUTE) for event, minute in events)
        for order_id, events in seen.items()
        if events
    }


def test_a_rejection_is_an_answer_with_a_reason() -> None:
    line = only(timelines(a_table(an_order("restaurant_notified", "order_rejected"))))
    assert (line["rejection_reason"], line["decide_seconds"]) == ("too_busy", 10.0)
    assert line["accepted_at"] is None


def test_clocks_that_disagree_stay_visible_as_negative_seconds() -> None:
    rows = [an_event("order_placed", after=5), an_event("restaurant_notified", after=3)]
    assert only(timelines(a_table(rows)))["notify_restaurant_seconds"] == -2.0


def test_an_order_whose_placing_is_elsewhere_has_no_placed_at() -> None:
    line = only(timelines(a_table([an_event("order_completed", after=9)])))
    assert (line["placed_at"], line["total"], line["city"]) == (None, None, None)
    assert line["restaurant_id"] == "restaurant-1"


def test_a_window_begins_with_since_and_ends_before_until() -> None:
    rows = [an_event("order_placed", order_id=f"order-{after}", after=after) for after in (-1, 0, 9, 10)]
    window = Window(since=NOON, until=NOON + timedelta(seconds=10))
    assert timelines(a_table(rows), window)["order_id"].to_pylist() == ["order-0", "order-9"]


def test_a_window_may_be_given_in_any_time_zone() -> None:
    midnight = datetime(2026, 3, 14, tzinfo=UTC)
    rows = [
        an_event("order_placed", order_id="the day before", occurred_at=midnight - timedelta(microseconds=1)),
        an_event("order_placed", order_id="first", occurred_at=midnight),
        an_event("order_placed", order_id="last", occurred_at=midnight + timedelta(days=1, microseconds=-1)),
        an_event("order_placed", order_id="the day after", occurred_at=midnight + timedelta(days=1)),
    ]
    far_east = timezone(timedelta(hours=13))
    window = Window(midnight.astimezone(far_east), (midnight + timedelta(days=1)).astimezone(far_east))
    assert timelines(a_table(rows), window)["order_id"].to_pylist() == ["first", "last"]


def test_every_event_type_has_its_time() -> None:
    columns = timelines(a_table([])).column_names
    assert [name for name in EVENT_TYPES.values() if f"{name.removeprefix('order_')}_at" not in columns] == []


def test_no_events_make_no_timelines_of_the_same_types() -> None:
    nothing = timelines(a_table([]))
    assert nothing.num_rows == 0
    assert nothing.schema == timelines(a_table(an_order(*GOOD))).schema
    assert nothing.schema.field("placed_at").type == pa.timestamp("us", tz="UTC")


@pytest.mark.parametrize("column", NEEDED_COLUMNS)
def test_a_table_that_lacks_a_column_is_refused_by_name(column: str) -> None:
    with pytest.raises(UnusableRecords, match=f"lack {column}. fix: "):
        timelines(a_table([]).drop_columns([column]))


@pytest.mark.parametrize(
    ("when", "what"),
    [
        (NOON.replace(tzinfo=None), "no time zone"),
        ("2026-03-14T12:00:00", "no time zone"),
        ("yesterday", "no time"),
        ("", "no time"),
        ("2026-13-01", "no time"),
        ("0001-01-01T00:00:00+05:00", "outside the years"),
        (datetime.max.replace(tzinfo=timezone(timedelta(hours=-1))), "outside the years"),
    ],
)
@pytest.mark.parametrize("side", ["since", "until"])
def test_a_time_that_names_no_moment_is_refused_with_the_fix(when: When, what: str, side: str) -> None:
    with pytest.raises(UnclearTime, match=rf"`{side}` is .*{what}.* fix: "):
        Window.of(**{"since": None, "until": None, side: when})


@pytest.mark.parametrize(
    ("when", "moment"),
    [
        ("2026-03-14T12:00:00Z", NOON),
        ("2026-03-14T14:00+02:00", NOON),
        ("2026-03-14", NOON.replace(hour=0)),
        (NOON.date(), NOON.replace(hour=0)),
        (NOON, NOON),
        (pd.Timestamp("2026-03-14 13:00", tz="Europe/Berlin"), NOON),
    ],
)
def test_text_and_dates_are_taken(when: When, moment: datetime) -> None:
    assert Window.of(when, None).where() == Window(moment).where()
