"""When orders come, and what is ordered."""

from datetime import timedelta

from analytics.questions.question import Question, bucketed, in_utc
from analytics.questions.words import ENDS
from events import CANCELLED, COMPLETED, EXPIRED, REJECTED

# An event that is there twice counts once, since its order counts once: the fewer bytes to read.
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

HOUR_BY_WEEKDAY = Question(
    "hour_by_weekday",
    "When orders come",
    "Orders by weekday, Monday is 1, and hour of the day in which they were placed, in UTC.",
    f"""
SELECT isodow({in_utc("placed_at")}) AS weekday, hour({in_utc("placed_at")}) AS hour, count(*) AS orders
FROM orders
WHERE placed_at IS NOT NULL
GROUP BY weekday, hour
ORDER BY weekday, hour
""".strip(),
)

ITEMS = Question(
    "items",
    "What is ordered",
    "The fifteen items of which most were ordered, whatever became of the orders; their worth in minor units.",
    """
SELECT sku, name, currency, sum(quantity)::BIGINT AS quantity,
  try_cast(sum(quantity::HUGEINT * unit_price) AS BIGINT) AS worth
FROM (
  SELECT currency, unnest(items, recursive := true)
  FROM events
  WHERE event_type = 'order_placed' AND items IS NOT NULL/* and the window */
)
GROUP BY sku, name, currency
ORDER BY quantity DESC, sku, name, currency
LIMIT 15
""".strip(),
)


def orders_over_time(bucket: timedelta) -> Question:
    """Orders by when they were placed; buckets are counted from the epoch, so a day is a day in UTC."""
    return Question(
        "orders_over_time",
        "Orders over time",
        "Orders by when they were placed, and how they stand at the end of the window.",
        f"""
SELECT {bucketed("placed_at", bucket)} AS placed_from,
  count(*) AS orders,
  count(*) FILTER (state = '{COMPLETED}') AS completed,
  count(*) FILTER (state = '{REJECTED}') AS rejected,
  count(*) FILTER (state = '{CANCELLED}') AS cancelled,
  count(*) FILTER (state = '{EXPIRED}') AS expired,
  count(*) FILTER (state NOT IN ({ENDS})) AS open
FROM orders
WHERE placed_at IS NOT NULL
GROUP BY placed_from
ORDER BY placed_from
""".strip(),
    )
