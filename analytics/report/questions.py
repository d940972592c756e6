"""The questions a business asks of the lake, each with the SQL that answers it.

`Question.sql()` can be pasted into `takeaway lake sql`; `answers()` runs the same SELECT for the report.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from textwrap import indent

import pyarrow as pa

from analytics.reading import ALWAYS, Window, common_tables, prepared
from events import (
    ACCEPTED,
    CANCELLED,
    COMPLETED,
    EVENT_TYPES,
    EXPIRED,
    FINAL,
    NOTIFIED,
    PLACED,
    REJECTED,
    UNANSWERED,
    OrderAccepted,
    OrderCompleted,
    RestaurantNotified,
    from_on,
)

# An answer's width on paper and on a screen: more bars than this cannot be told apart.
_MOST_BUCKETS = 48
_WINDOW = "/* and the window */"
_BUCKETS = tuple(
    timedelta(seconds=seconds)
    for seconds in (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 21600, 86400, 604800, 2592000)
)


def _listed(states: Iterable[str]) -> str:
    return ", ".join(f"'{state}'" for state in states)


_FINAL, _UNANSWERED, _FROM_ACCEPTED = _listed(FINAL), _listed(UNANSWERED), _listed(from_on(ACCEPTED))
# The event that an order which stands there needs to go on.
_WAITS_FOR = (
    "CASE state "
    + " ".join(
        f"WHEN '{state}' THEN '{EVENT_TYPES[event]}'"
        for state, event in ((PLACED, RestaurantNotified), (NOTIFIED, OrderAccepted), (ACCEPTED, OrderCompleted))
    )
    + " END"
)


@dataclass(frozen=True)
class Question:
    """`select` reads the tables of `analytics.reading.orders`, or `records` itself and then says where the window goes.

    `meaning` says how to read the answer.
    """

    name: str
    title: str
    meaning: str
    select: str

    def sql(self, window: Window = ALWAYS) -> str:
        """One statement that answers the question over the table `records`, with nothing else needed."""
        tables = common_tables(window).items()
        steps = ",\n".join(f"{name} AS (\n{indent(select, '  ')}\n)" for name, select in tables)
        return f"WITH {steps}\n{self.within(window)}"

    def within(self, window: Window) -> str:
        """The select alone, where the common tables of that window are already there."""
        return self.select.replace(_WINDOW, window.where().replace("\nWHERE", "\n  AND"))


def answers(records: pa.Table, asked: Sequence[Question], window: Window = ALWAYS) -> dict[str, pa.Table]:
    """The answer to each question, by its name. The common tables are built once for all of them."""
    with prepared(records, window) as connection:
        return {question.name: connection.sql(question.within(window)).to_arrow_table() for question in asked}


def bucket_for(span: timedelta) -> timedelta:
    """The shortest readable bucket that cuts `span` into at most 48: seconds for a demo, days for a month."""
    return next((bucket for bucket in _BUCKETS if span <= bucket * _MOST_BUCKETS), _BUCKETS[-1])


OVERVIEW = Question(
    "overview",
    "Orders at a glance",
    "Orders placed in the window and how they stand at its end. Cancelled ones were taken back by their customers, "
    "expired ones had no answer in time; open ones have no end yet.",
    f"""
SELECT count(*) AS orders,
  count(*) FILTER (state = '{COMPLETED}') AS completed,
  count(*) FILTER (state = '{REJECTED}') AS rejected,
  count(*) FILTER (state = '{CANCELLED}') AS cancelled,
  count(*) FILTER (state = '{EXPIRED}') AS expired,
  count(*) FILTER (state NOT IN ({_FINAL})) AS open,
  median(placed_to_accepted_seconds) AS median_seconds_to_accepted,
  median(placed_to_completed_seconds) AS median_seconds_to_completed
FROM orders
WHERE placed_at IS NOT NULL
""".strip(),
)

REVENUE = Question(
    "revenue",
    "Revenue",
    "Totals of completed orders in minor units. Currencies are never added to one another.",
    f"""
SELECT currency, count(*) AS completed, sum(total)::BIGINT AS revenue
FROM orders
WHERE state = '{COMPLETED}' AND currency IS NOT NULL
GROUP BY currency
ORDER BY completed DESC, currency
""".strip(),
)

FUNNEL = Question(
    "funnel",
    "How far orders get",
    "An order counts for a stage when it reached that stage or a later one.",
    f"""
SELECT stage, orders, orders / nullif(first(orders) OVER (ORDER BY position), 0) AS share
FROM (
  SELECT unnest([1, 2, 3, 4]) AS position,
    unnest(['{PLACED}', '{NOTIFIED}', '{ACCEPTED}', '{COMPLETED}']) AS stage,
    unnest([
      count(*),
      count(*) FILTER (state NOT IN ('{PLACED}', {_UNANSWERED}) OR restaurant_notified_at IS NOT NULL),
      count(*) FILTER (state IN ({_FROM_ACCEPTED})),
      count(*) FILTER (state = '{COMPLETED}')
    ]) AS orders
  FROM orders
  WHERE placed_at IS NOT NULL
)
ORDER BY position
""".strip(),
)

DROP_OUTS = Question(
    "drop_outs",
    "Where and why orders stop",
    "The last stage an order reached, and what it waits for. Overdue means past the choreography's deadline, "
    "measured at the newest event of the window.",
    f"""
SELECT stage, cause, count(*) AS orders
FROM (
  SELECT CASE
      WHEN state IN ({_UNANSWERED}) AND restaurant_notified_at IS NULL THEN '{PLACED}'
      WHEN state IN ('{REJECTED}', {_UNANSWERED}) THEN '{NOTIFIED}'
      ELSE state
    END AS stage,
    CASE state
      WHEN '{REJECTED}' THEN '{REJECTED}: ' || coalesce(replace(rejection_reason, '_', ' '), 'no reason given')
      WHEN '{CANCELLED}' THEN '{CANCELLED} by the customer'
      WHEN '{EXPIRED}' THEN '{EXPIRED}: no answer in time'
      WHEN '{PLACED}' THEN 'restaurant not notified'
      WHEN '{NOTIFIED}' THEN 'no answer from the restaurant'
      ELSE 'not completed'
    END || CASE
      WHEN state IN ({_FINAL}) THEN ''
      WHEN epoch(newest - coalesce(accepted_at, restaurant_notified_at, placed_at)) > deadline_seconds THEN ', overdue'
      ELSE ', still in time'
    END AS cause
  FROM (SELECT *, max(last_event_at) OVER () AS newest FROM orders)
  LEFT JOIN deadlines ON event_type = {_WAITS_FOR}
  WHERE placed_at IS NOT NULL AND state <> '{COMPLETED}'
)
GROUP BY stage, cause
ORDER BY CASE stage WHEN '{PLACED}' THEN 1 WHEN '{NOTIFIED}' THEN 2 ELSE 3 END, orders DESC, cause
""".strip(),
)

STEP_LATENCY = Question(
    "step_latency",
    "How long each step takes",
    "From the event that is heard to the event that follows. Late counts those that took longer than the "
    "choreography's deadline.",
    """
SELECT step, deadline_seconds, count(*) AS orders,
  quantile_cont(seconds, 0.5) AS p50, quantile_cont(seconds, 0.95) AS p95, quantile_cont(seconds, 0.99) AS p99,
  max(seconds) AS longest, count(*) FILTER (seconds > deadline_seconds) AS late
FROM (
  SELECT unnest([1, 2, 3, 4]) AS position,
    unnest(['notify the restaurant', 'accept or reject', 'notify the customer', 'prepare and complete']) AS step,
    unnest(['restaurant_notified', 'order_accepted', 'user_notified', 'order_completed']) AS event_type,
    unnest([notify_restaurant_seconds, decide_seconds, notify_user_seconds, complete_seconds]) AS seconds
  FROM orders
)
JOIN deadlines USING (event_type)
WHERE seconds IS NOT NULL
GROUP BY position, step, deadline_seconds
ORDER BY position
""".strip(),
)

STUCK_ORDERS = Question(
    "stuck_orders",
    "Stuck orders",
    "Orders that wait for their next event longer than the choreography allows, the longest overdue first; measured at "
    "the newest event.",
    f"""
SELECT order_id, restaurant_id, state, event_type AS waits_for, since,
  epoch(newest - since) - deadline_seconds AS overdue_seconds
FROM (
  SELECT order_id, restaurant_id, state, coalesce(accepted_at, restaurant_notified_at, placed_at) AS since,
    max(last_event_at) OVER () AS newest
  FROM orders
)
JOIN deadlines ON event_type = {_WAITS_FOR}
WHERE state NOT IN ({_FINAL}) AND epoch(newest - since) > deadline_seconds
ORDER BY overdue_seconds DESC, order_id
LIMIT 20
""".strip(),
)

# The next two look at one kind of event, without the table of orders: the fewer bytes to read. An event that is there
# twice counts once, since its order counts once.
ORDERS_PER_HOUR = Question(
    "orders_per_hour",
    "Orders per hour",
    "Orders by the hour in which they were placed, in UTC.",
    """
SELECT make_timestamptz((epoch_us(occurred_at) // 3600000000 * 3600000000)::BIGINT) AS hour,
  count(DISTINCT order_id) AS orders
FROM records
WHERE event_type = 'order_placed'/* and the window */
GROUP BY hour
ORDER BY hour
""".strip(),
)

REVENUE_BY_RESTAURANT = Question(
    "revenue_by_restaurant",
    "Revenue by restaurant and day",
    "Totals of orders completed on that day, in minor units, each currency by itself.",
    """
SELECT day, restaurant_id, currency, count(*) AS completed, sum(total)::BIGINT AS revenue
FROM (
  SELECT min(event_date) AS day, min(restaurant_id) AS restaurant_id, min(currency) AS currency, min(total) AS total
  FROM records
  WHERE event_type = 'order_completed'/* and the window */
  GROUP BY order_id
)
GROUP BY day, restaurant_id, currency
ORDER BY day, revenue DESC, restaurant_id, currency
""".strip(),
)

BUSIEST_RESTAURANTS = Question(
    "busiest_restaurants",
    "Busiest restaurants",
    "The fifteen with most orders placed; revenue is of completed orders, in minor units.",
    f"""
SELECT restaurant_id, currency, count(*) AS orders,
  count(*) FILTER (state = '{COMPLETED}') AS completed,
  count(*) FILTER (state = '{REJECTED}') AS rejected,
  quantile_cont(decide_seconds, 0.5) AS median_seconds_to_answer,
  coalesce(sum(total) FILTER (state = '{COMPLETED}'), 0)::BIGINT AS revenue
FROM orders
WHERE placed_at IS NOT NULL
GROUP BY restaurant_id, currency
ORDER BY orders DESC, restaurant_id, currency
LIMIT 15
""".strip(),
)

REVENUE_BY_CITY = Question(
    "revenue_by_city",
    "Revenue by city",
    "Where orders were placed; revenue is of completed orders, in minor units, each currency by itself.",
    f"""
SELECT city, currency, count(*) AS orders,
  count(*) FILTER (state = '{COMPLETED}') AS completed,
  coalesce(sum(total) FILTER (state = '{COMPLETED}'), 0)::BIGINT AS revenue
FROM orders
WHERE placed_at IS NOT NULL
GROUP BY city, currency
ORDER BY orders DESC, city, currency
LIMIT 15
""".strip(),
)

OLDEST_OPEN = Question(
    "oldest_open",
    "Oldest open orders",
    "Orders without an end, the longest waiting first; the age is measured at the newest event.",
    f"""
SELECT order_id, restaurant_id, state, placed_at, epoch(newest - placed_at) AS age_seconds
FROM (SELECT *, max(last_event_at) OVER () AS newest FROM orders)
WHERE placed_at IS NOT NULL AND state NOT IN ({_FINAL})
ORDER BY placed_at, order_id
LIMIT 10
""".strip(),
)

DATA_QUALITY = Question(
    "data_quality",
    "How good the data is",
    "Rows with an event_id already seen are duplicates: counted here, left out everywhere else. Orders without "
    "their order_placed were placed before the window, or their first event is missing.",
    """
SELECT
  (SELECT coalesce(sum(deliveries), 0) FROM distinct_events)::BIGINT AS rows,
  (SELECT count(*) FROM distinct_events) AS events,
  (SELECT coalesce(sum(deliveries - 1), 0) FROM distinct_events)::BIGINT AS duplicates,
  (SELECT count(*) FROM orders) AS orders,
  (SELECT count(*) FROM orders WHERE placed_at IS NULL) AS orders_without_placed,
  (SELECT count(*) FROM distinct_events WHERE order_id IN (SELECT order_id FROM orders WHERE placed_at IS NULL))
    AS events_without_placed,
  (SELECT count(*) FROM orders WHERE accepted_at IS NOT NULL AND rejected_at IS NOT NULL)
    AS orders_accepted_and_rejected,
  (SELECT count(*) FROM orders WHERE completed_at IS NOT NULL AND accepted_at IS NULL)
    AS orders_completed_unaccepted,
  (SELECT count(*) FROM orders
   WHERE least(notify_restaurant_seconds, decide_seconds, notify_user_seconds, complete_seconds) < 0)
    AS orders_with_time_running_backwards,
  (SELECT quantile_cont(epoch(_arrived_at - occurred_at), 0.5) FROM distinct_events) AS median_seconds_to_arrive,
  (SELECT quantile_cont(epoch(_arrived_at - occurred_at), 0.99) FROM distinct_events) AS p99_seconds_to_arrive,
  (SELECT min(occurred_at) FROM distinct_events) AS first_event_at,
  (SELECT max(occurred_at) FROM distinct_events) AS last_event_at
""".strip(),
)


_ORDERS_OVER_TIME = f"""
SELECT greatest(
    make_timestamptz((epoch_us(placed_at) - (epoch_us(placed_at) % {{width}} + {{width}}) % {{width}})::BIGINT),
    TIMESTAMPTZ '0001-01-01 00:00:00+00'
  ) AS placed_from,
  count(*) AS orders,
  count(*) FILTER (state = '{COMPLETED}') AS completed,
  count(*) FILTER (state = '{REJECTED}') AS rejected,
  count(*) FILTER (state = '{CANCELLED}') AS cancelled,
  count(*) FILTER (state = '{EXPIRED}') AS expired,
  count(*) FILTER (state NOT IN ({_FINAL})) AS open
FROM orders
WHERE placed_at IS NOT NULL
GROUP BY placed_from
ORDER BY placed_from
""".strip()


def orders_over_time(bucket: timedelta) -> Question:
    """Orders by when they were placed; buckets are counted from the epoch, so a day is a day in UTC."""
    return Question(
        "orders_over_time",
        "Orders over time",
        "Orders by when they were placed, and how they stand at the end of the window.",
        _ORDERS_OVER_TIME.format(width=bucket // timedelta(microseconds=1)),
    )


# What a business asks first of a lake.
FIVE_QUESTIONS = (ORDERS_PER_HOUR, FUNNEL, STEP_LATENCY, REVENUE_BY_RESTAURANT, STUCK_ORDERS)


def every_question(bucket: timedelta) -> tuple[Question, ...]:
    """All of them, in the order in which the report asks."""
    return (
        OVERVIEW,
        REVENUE,
        FUNNEL,
        DROP_OUTS,
        STEP_LATENCY,
        orders_over_time(bucket),
        BUSIEST_RESTAURANTS,
        REVENUE_BY_CITY,
        OLDEST_OPEN,
        DATA_QUALITY,
    )
