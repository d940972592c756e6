"""The questions, answered by SQL and, as the oracle, by plain Python over the same events."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pytest

from analytics.questions import (
    BUSIEST_RESTAURANTS,
    DATA_QUALITY,
    DROP_OUTS,
    FUNNEL,
    OLDEST_OPEN,
    ORDERS_PER_HOUR,
    OVERVIEW,
    REVENUE,
    REVENUE_BY_CITY,
    REVENUE_BY_RESTAURANT,
    STEP_LATENCY,
    STUCK_ORDERS,
    Question,
    bucket_for,
    orders_over_time,
)
from analytics.questions.asking import working_set
from analytics.reading.orders import ALWAYS, Window
from analytics.report.questions import FIVE_QUESTIONS, every_question
from events.choreography import CHOREOGRAPHY
from events.orders import EVENT_TYPES
from tests.support.builders import NOON
from tests.support.lake_rows import GOOD, a_table, an_event, an_order, some_orders

pytestmark = pytest.mark.slow

QUESTIONS = tuple(dict.fromkeys((*every_question(timedelta(minutes=5)), *FIVE_QUESTIONS)))
DAY = timedelta(days=1)


def answers(records: pa.Table, asked: Sequence[Question], window: Window = ALWAYS) -> dict[str, pa.Table]:
    with working_set(records) as taken:
        return taken.answers(asked, window)


@pytest.fixture(scope="module")
def events() -> pa.Table:
    items = [{"sku": "sku-1", "name": "Soup", "quantity": 2, "unit_price": 450}]
    return a_table([row | ({"items": items} if row["event_type"] == "order_placed" else {}) for row in some_orders()])


def ask(question: Question, rows: list[dict[str, Any]], window: Window = ALWAYS) -> list[dict[str, Any]]:
    answered: list[dict[str, Any]] = answers(a_table(rows), [question], window)[question.name].to_pylist()
    return answered


def times_by_order(rows: list[dict[str, Any]]) -> dict[str, dict[str, datetime]]:
    """When each type of event occurred, by order."""
    orders: dict[str, dict[str, datetime]] = defaultdict(dict)
    for row in rows:
        orders[row["order_id"]][row["event_type"]] = row["occurred_at"]
    return orders


@pytest.mark.parametrize("question", QUESTIONS, ids=[question.name for question in QUESTIONS])
@pytest.mark.parametrize("window", [ALWAYS, Window(NOON + timedelta(minutes=30), NOON + timedelta(hours=2))])
def test_the_sql_that_is_shown_gives_the_answer_that_is_reported(
    question: Question, window: Window, events: pa.Table
) -> None:
    with duckdb.connect(":memory:") as anyones:
        anyones.execute("SET TimeZone = 'Asia/Kolkata'")  # half an hour off, to move any bucket that is not in UTC
        anyones.register("records", events)
        anyones.register("events", events)
        pasted = anyones.sql(question.sql(window)).to_arrow_table().to_pylist()
    assert pasted == answers(events, [question], window)[question.name].to_pylist()
    assert pasted


def test_every_question_can_be_asked_of_an_empty_lake(events: pa.Table) -> None:
    of_nothing, of_some = answers(a_table([]), QUESTIONS), answers(events, QUESTIONS)
    assert {name: table.schema for name, table in of_nothing.items()} == {
        name: table.schema for name, table in of_some.items()
    }


def test_questions_have_names_of_their_own() -> None:
    assert max(Counter(question.name for question in QUESTIONS).values()) == 1


def test_duplicates_change_nothing_but_their_own_count() -> None:
    rows = some_orders(100)
    repeats = [row | {"_sequence_number": "9" * 57, "_arrived_at": NOON + timedelta(days=1)} for row in rows[:40]]
    with_repeats = answers(a_table(rows + repeats), QUESTIONS)
    without = answers(a_table(rows), QUESTIONS)
    quality = with_repeats.pop("data_quality").to_pylist()[0]
    expected = without.pop("data_quality").to_pylist()[0]
    assert {name: table.to_pylist() for name, table in with_repeats.items()} == {
        name: table.to_pylist() for name, table in without.items()
    }
    assert quality == expected | {"rows": len(rows) + 40, "duplicates": 40}


@pytest.mark.parametrize("seed", range(5))
def test_funnel_and_drop_outs_agree_with_each_other_and_with_python(seed: int) -> None:
    rows = some_orders(seed=seed)
    orders = times_by_order(rows)
    funnel = {row["stage"]: row for row in ask(FUNNEL, rows)}
    assert {stage: row["orders"] for stage, row in funnel.items()} == {
        "placed": 300,
        "notified": sum("restaurant_notified" in seen for seen in orders.values()),
        "accepted": sum("order_accepted" in seen for seen in orders.values()),
        "completed": sum("order_completed" in seen for seen in orders.values()),
    }
    assert [row["share"] for row in funnel.values()] == [row["orders"] / 300 for row in funnel.values()]
    dropped = Counter[str]()
    for row in ask(DROP_OUTS, rows):
        dropped[row["stage"]] += row["orders"]
    stages = list(funnel)
    lost = {stage: funnel[stage]["orders"] - funnel[after]["orders"] for stage, after in pairwise(stages)}
    assert dropped == lost


def test_rejections_are_counted_by_reason() -> None:
    rows = [
        *an_order("restaurant_notified", "order_rejected", order_id="a"),
        *an_order("restaurant_notified", "order_rejected", order_id="b"),
        *an_order("restaurant_notified", order_id="c"),
        an_event("order_rejected", order_id="c", after=20, reason=None),
    ]
    assert ask(DROP_OUTS, rows) == [
        {"stage": "notified", "cause": "rejected: too busy", "orders": 2},
        {"stage": "notified", "cause": "rejected: no reason given", "orders": 1},
    ]


def test_what_nobody_answered_is_no_open_order_and_is_counted_by_what_ended_it() -> None:
    rows = [
        *an_order("order_cancelled", order_id="a"),
        *an_order("restaurant_notified", "order_cancelled", order_id="b"),
        *an_order("restaurant_notified", "order_expired", order_id="c"),
        *an_order("restaurant_notified", order_id="d"),
    ]
    counted = {"orders": 4, "completed": 0, "rejected": 0, "cancelled": 2, "expired": 1, "open": 1}
    assert ask(OVERVIEW, rows)[0].items() >= counted.items()
    assert ask(orders_over_time(timedelta(days=1)), rows)[0].items() >= counted.items()
    assert [row["orders"] for row in ask(FUNNEL, rows)] == [4, 3, 0, 0]
    assert ask(DROP_OUTS, rows) == [
        {"stage": "placed", "cause": "cancelled by the customer", "orders": 1},
        {"stage": "notified", "cause": "cancelled by the customer", "orders": 1},
        {"stage": "notified", "cause": "expired: no answer in time", "orders": 1},
        {"stage": "notified", "cause": "no answer from the restaurant, still in time", "orders": 1},
    ]
    assert [row["order_id"] for row in ask(OLDEST_OPEN, rows)] == ["d"]


@pytest.mark.parametrize(
    ("steps", "next_event", "waiting"),
    [
        ((), "restaurant_notified", "restaurant not notified"),
        (("restaurant_notified",), "order_accepted", "no answer from the restaurant"),
        (("restaurant_notified", "order_accepted"), "order_completed", "not completed"),
    ],
)
def test_an_open_order_is_overdue_just_after_its_deadline(
    steps: tuple[str, ...], next_event: str, waiting: str
) -> None:
    allowed = next(
        step.deadline
        for step in CHOREOGRAPHY
        if step.deadline and next_event in [EVENT_TYPES[event] for event in step.publishes]
    )
    rows = an_order(*steps)
    due = rows[-1]["occurred_at"] + allowed
    for newest, words in ((due, "still in time"), (due + timedelta(microseconds=1), "overdue")):
        latest = an_event("order_completed", order_id="an order of another window", occurred_at=newest)
        assert [row["cause"] for row in ask(DROP_OUTS, [*rows, latest])] == [f"{waiting}, {words}"]


def test_step_latency_agrees_with_numpy() -> None:
    rows = some_orders()
    waits: dict[str, list[float]] = defaultdict(list)
    for seen in times_by_order(rows).values():
        answered = seen.get("order_accepted") or seen.get("order_rejected")
        for step, heard, told in (
            ("notify the restaurant", seen["order_placed"], seen.get("restaurant_notified")),
            ("accept or reject", seen.get("restaurant_notified"), answered),
            ("notify the customer", seen.get("order_accepted"), seen.get("user_notified")),
            ("prepare and complete", seen.get("order_accepted"), seen.get("order_completed")),
        ):
            if heard and told:
                waits[step].append((told - heard).total_seconds())
    found = ask(STEP_LATENCY, rows)
    assert [row["step"] for row in found] == list(waits)
    for row in found:
        wait = waits[row["step"]]
        assert row["orders"] == len(wait)
        quantiles = [row["p50"], row["p95"], row["p99"], row["longest"]]
        assert quantiles == pytest.approx(np.quantile(wait, [0.5, 0.95, 0.99, 1.0]))
        assert row["late"] == sum(seconds > row["deadline_seconds"] for seconds in wait)
    assert sum(row["late"] for row in found) > 0
    assert [row["deadline_seconds"] for row in found] == [60.0, 600.0, 60.0, 7200.0]


def test_a_step_is_late_only_beyond_its_deadline() -> None:
    def late(seconds: float) -> int:
        rows = [an_event("order_placed"), an_event("restaurant_notified", after=seconds)]
        return int(ask(STEP_LATENCY, rows)[0]["late"])

    assert (late(60), late(60.000001)) == (0, 1)


def test_the_overview_agrees_with_python() -> None:
    rows = some_orders()
    orders = times_by_order(rows)
    completed = [seen for seen in orders.values() if "order_completed" in seen]
    rejected = sum("order_rejected" in seen for seen in orders.values())
    accepted_after = [
        (seen["order_accepted"] - seen["order_placed"]).total_seconds()
        for seen in orders.values()
        if "order_accepted" in seen
    ]
    completed_after = [(seen["order_completed"] - seen["order_placed"]).total_seconds() for seen in completed]
    assert ask(OVERVIEW, rows) == [
        {
            "orders": 300,
            "completed": len(completed),
            "rejected": rejected,
            "cancelled": 0,
            "expired": 0,
            "open": 300 - len(completed) - rejected,
            "median_seconds_to_accepted": pytest.approx(np.median(accepted_after)),
            "median_seconds_to_completed": pytest.approx(np.median(completed_after)),
        }
    ]


def test_orders_placed_outside_the_window_are_no_orders_of_the_window() -> None:
    rows = [*an_order(*GOOD, order_id="before", after=-35), *an_order(*GOOD, order_id="within", after=5)]
    window = Window(since=NOON)
    assert ask(OVERVIEW, rows, window)[0]["orders"] == 1
    assert ask(REVENUE, rows, window)[0]["completed"] == 1
    assert ask(FUNNEL, rows, window)[0]["orders"] == 1


@pytest.mark.parametrize("question", [REVENUE, REVENUE_BY_CITY, BUSIEST_RESTAURANTS], ids=lambda asked: asked.name)
def test_currencies_are_never_added_to_one_another(question: Question) -> None:
    rows = [
        *an_order(*GOOD, order_id="a", total=1000, currency="EUR"),
        *an_order(*GOOD, order_id="b", total=234, currency="EUR"),
        *an_order(*GOOD, order_id="c", total=777, currency="JPY"),
        *an_order("restaurant_notified", order_id="not completed", total=10**12, currency="EUR"),
    ]
    assert [(row["currency"], row["revenue"]) for row in ask(question, rows)] == [("EUR", 1234), ("JPY", 777)]


def test_revenue_of_the_largest_orders_is_exact() -> None:
    rows = [row for number in range(9) for row in an_order(*GOOD, order_id=f"{number}", total=10**12 - number)]
    assert ask(REVENUE, rows)[0]["revenue"] == 9 * 10**12 - 36


def test_revenue_by_city_agrees_with_python() -> None:
    rows = some_orders()
    done = {row["order_id"] for row in rows if row["event_type"] == "order_completed"}
    revenue, orders = Counter[str](), Counter[str]()
    for row in rows:
        if row["event_type"] == "order_placed":
            orders[row["city"]] += 1
            revenue[row["city"]] += row["total"] * (row["order_id"] in done)
    found = ask(REVENUE_BY_CITY, rows)
    assert {row["city"]: row["revenue"] for row in found} == revenue
    assert [row["orders"] for row in found] == sorted(orders.values(), reverse=True)


def test_the_busiest_restaurants_come_first_and_are_fifteen_at_most() -> None:
    rows = some_orders()
    busiest = Counter(
        (row["restaurant_id"], row["currency"]) for row in rows if row["event_type"] == "order_placed"
    ).most_common()
    found = ask(BUSIEST_RESTAURANTS, rows)
    assert [row["orders"] for row in found] == [orders for _, orders in busiest[:15]]
    assert {(row["restaurant_id"], row["currency"]): row["orders"] for row in found}.items() <= dict(busiest).items()


def test_orders_over_time_are_counted_in_buckets_of_utc() -> None:
    midnight = datetime(2026, 3, 14, tzinfo=UTC)
    rows = [
        *an_order(*GOOD, order_id="a", after=-12 * 3600),
        *an_order(*GOOD, order_id="b", after=0),
        *an_order("restaurant_notified", order_id="c", after=1),
        *an_order("restaurant_notified", "order_rejected", order_id="d", after=12 * 3600),
    ]
    assert ask(orders_over_time(DAY), rows) == [
        {"placed_from": midnight, "orders": 3, "completed": 2, "rejected": 0, "cancelled": 0, "expired": 0, "open": 1},
        {
            "placed_from": midnight + timedelta(days=1),
            "orders": 1,
            "completed": 0,
            "rejected": 1,
            "cancelled": 0,
            "expired": 0,
            "open": 0,
        },
    ]


@pytest.mark.parametrize(
    ("span", "bucket"),
    [
        (timedelta(0), timedelta(seconds=1)),
        (timedelta(seconds=48), timedelta(seconds=1)),
        (timedelta(seconds=60), timedelta(seconds=2)),
        (timedelta(days=1), timedelta(minutes=30)),
        (timedelta(days=30), timedelta(days=1)),
        (timedelta(days=365), timedelta(days=30)),
        (timedelta(days=36500), timedelta(days=30)),
    ],
)
def test_a_bucket_fits_the_span(span: timedelta, bucket: timedelta) -> None:
    assert bucket_for(span) == bucket


def test_orders_per_hour_agree_with_python() -> None:
    rows = some_orders()
    hours = Counter(
        row["occurred_at"].replace(minute=0, second=0, microsecond=0)
        for row in rows
        if row["event_type"] == "order_placed"
    )
    assert [(row["hour"], row["orders"]) for row in ask(ORDERS_PER_HOUR, rows)] == sorted(hours.items())


def test_revenue_by_restaurant_and_day_agrees_with_python() -> None:
    rows = some_orders()
    for place, row in enumerate(rows):
        number = int(row["order_id"].removeprefix("order-"))
        day = timedelta(days=number % 3)
        rows[place] = row | {"occurred_at": row["occurred_at"] + day, "event_date": row["event_date"] + day}
        if row["event_type"] == "order_completed":
            rows[place] |= {"total": 1000 + number, "currency": ("EUR", "JPY")[number % 2]}
    completed = {row["order_id"]: row for row in rows if row["event_type"] == "order_completed"}.values()
    revenue = Counter[tuple[Any, ...]]()
    for row in completed:
        revenue[row["event_date"], row["restaurant_id"], row["currency"]] += row["total"]
    found = ask(REVENUE_BY_RESTAURANT, rows)
    assert {(row["day"], row["restaurant_id"], row["currency"]): row["revenue"] for row in found} == revenue


def test_an_order_is_stuck_when_it_waits_longer_than_the_choreography_allows() -> None:
    rows = [
        *an_order(order_id="never notified", after=0),
        *an_order("restaurant_notified", order_id="never answered", after=0),
        *an_order("restaurant_notified", "order_accepted", order_id="never completed", after=0),
        *an_order("restaurant_notified", "order_rejected", order_id="rejected", after=0),
        *an_order(*GOOD, order_id="completed", after=0),
        an_event("order_placed", order_id="in time", after=3 * 3600),
    ]
    found = [(row["order_id"], row["waits_for"], row["overdue_seconds"]) for row in ask(STUCK_ORDERS, rows)]
    assert found == [
        ("never notified", "restaurant_notified", 3 * 3600 - 60),
        ("never answered", "order_accepted", 3 * 3600 - 10 - 600),
        ("never completed", "order_completed", 3 * 3600 - 20 - 7200),
    ]


def test_the_oldest_open_orders_come_first() -> None:
    rows = [
        *an_order("restaurant_notified", order_id="younger", after=5),
        *an_order(order_id="oldest", after=1),
        *an_order(*GOOD, order_id="completed", after=0),
        *an_order("restaurant_notified", "order_rejected", order_id="rejected", after=0),
    ]
    newest = 40.0
    assert [(row["order_id"], row["state"], row["age_seconds"]) for row in ask(OLDEST_OPEN, rows)] == [
        ("oldest", "placed", newest - 1),
        ("younger", "notified", newest - 5),
    ]


def test_what_is_wrong_with_the_data_is_counted() -> None:
    rows = [
        *an_order(*GOOD, order_id="good"),
        an_event("order_accepted", order_id="unplaced", after=1, _arrived_at=NOON + timedelta(seconds=3)),
        an_event("user_notified", order_id="unplaced", after=2),
        *an_order("restaurant_notified", "order_accepted", "order_rejected", order_id="contradicted"),
        *an_order("restaurant_notified", "order_completed", order_id="never accepted"),
        an_event("order_placed", order_id="backwards", after=9),
        an_event("restaurant_notified", order_id="backwards", after=8),
    ]
    again = [row | {"_sequence_number": str(10**56 + at)} for at, row in enumerate((rows[0], rows[1], rows[1]))]
    assert ask(DATA_QUALITY, [*rows, *again]) == [
        {
            "rows": 19,
            "events": 16,
            "duplicates": 3,
            "orders": 5,
            "orders_without_placed": 1,
            "events_without_placed": 2,
            "orders_accepted_and_rejected": 1,
            "orders_completed_unaccepted": 1,
            "orders_with_time_running_backwards": 1,
            "median_seconds_to_arrive": 0.0,
            "p99_seconds_to_arrive": pytest.approx(np.quantile([0.0] * 15 + [2.0], 0.99)),
            "first_event_at": NOON,
            "last_event_at": NOON + timedelta(seconds=40),
        }
    ]
