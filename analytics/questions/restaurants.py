"""Restaurants: which have most orders, and which are slow."""

from analytics.questions.question import Question
from events import COMPLETED, REJECTED

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

SLOW_RESTAURANTS = Question(
    "slow_restaurants",
    "Slow restaurants",
    "The ten whose customers wait longest for half of their orders, of those with five completed ones at least.",
    """
SELECT restaurant_id, completed, median_seconds_to_answer, quantiles[1] AS median_seconds, quantiles[2] AS p95_seconds
FROM (
  SELECT restaurant_id, count(placed_to_completed_seconds) AS completed,
    quantile_cont(decide_seconds, 0.5) AS median_seconds_to_answer,
    quantile_cont(placed_to_completed_seconds, [0.5, 0.95]) AS quantiles
  FROM orders
  WHERE placed_at IS NOT NULL
  GROUP BY restaurant_id
)
WHERE completed >= 5
ORDER BY median_seconds DESC, restaurant_id
LIMIT 10
""".strip(),
)
