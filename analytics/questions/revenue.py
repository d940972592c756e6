"""Money, each currency by itself, in minor units."""

from datetime import timedelta

from analytics.questions.question import Question, bucketed
from events import COMPLETED

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

# It looks at one kind of event, without the table of orders: the fewer bytes to read.
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


def revenue_over_time(bucket: timedelta) -> Question:
    """By when orders were placed; a bucket is a day at least."""
    return Question(
        "revenue_over_time",
        "Revenue by day" if bucket == timedelta(days=1) else f"Revenue by {bucket.days} days",
        "Orders by when they were placed, and the totals of those that are completed, in minor units.",
        f"""
SELECT {bucketed("placed_at", bucket)} AS placed_from, currency, count(*) AS orders,
  count(*) FILTER (state = '{COMPLETED}') AS completed,
  coalesce(sum(total) FILTER (state = '{COMPLETED}'), 0)::BIGINT AS revenue
FROM orders
WHERE placed_at IS NOT NULL
GROUP BY placed_from, currency
ORDER BY placed_from, currency
""".strip(),
    )
