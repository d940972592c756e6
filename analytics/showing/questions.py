"""What the notebooks ask besides the report's questions."""

from analytics.questions import Question
from events import COMPLETED, EXPIRED, REJECTED

WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")

LATE_STEPS = Question(
    "late_steps",
    "Steps that took too long",
    "Of all steps that an order took, how many kept the choreography's deadline; then the worst one.",
    """
SELECT count(*) AS steps, count(*) FILTER (seconds > deadline_seconds) AS late,
  count(*) FILTER (seconds <= deadline_seconds) / nullif(count(*), 0) AS in_time_share
FROM (
  SELECT unnest(['restaurant_notified', 'order_accepted', 'user_notified', 'order_completed']) AS event_type,
    unnest([notify_restaurant_seconds, decide_seconds, notify_user_seconds, complete_seconds]) AS seconds
  FROM orders
)
JOIN deadlines USING (event_type)
WHERE seconds IS NOT NULL
""".strip(),
)

SERVICE_BY_DAY = Question(
    "service_by_day",
    "Service by day",
    "By the day in UTC on which orders were placed, the newest 14: how many, the share that was completed, and the "
    "seconds from placing to completion within which 50, 95 and 99 of 100 completed orders were.",
    f"""
FROM (
  SELECT date_trunc('day', placed_at) AS day, strftime(day, '%a %-d %b') AS name, count(*) AS orders,
    count(*) FILTER (state = '{COMPLETED}') / count(*) AS completed_share,
    median(placed_to_completed_seconds) AS p50, quantile_cont(placed_to_completed_seconds, 0.95) AS p95,
    quantile_cont(placed_to_completed_seconds, 0.99) AS p99
  FROM orders
  WHERE placed_at IS NOT NULL
  GROUP BY day
  ORDER BY day DESC
  LIMIT 14
)
ORDER BY day
""".strip(),
)

MISSED_BY_RESTAURANT = Question(
    "missed_by_restaurant",
    "Orders that a restaurant let go",
    "Rejected by the restaurant, or expired without its answer; the most first.",
    f"""
SELECT restaurant_id,
  count(*) FILTER (state = '{REJECTED}') AS rejected, count(*) FILTER (state = '{EXPIRED}') AS expired,
  rejected + expired AS missed, missed / count(*) AS share, sum(missed) OVER ()::BIGINT AS of_all
FROM orders
WHERE placed_at IS NOT NULL
GROUP BY restaurant_id
HAVING missed > 0
ORDER BY missed DESC, restaurant_id
""".strip(),
)

HOURS_BY_WEEKDAY = Question(
    "hours_by_weekday",
    "When orders come",
    "Orders by hour and weekday of their placing, in UTC; Monday is 0. The busiest first.",
    f"""
SELECT (isodow(placed_at) - 1)::INTEGER AS weekday, hour(placed_at)::INTEGER AS hour, count(*) AS orders,
  {list(WEEKDAYS)}[weekday + 1] AS weekday_name,
  count(*) / sum(count(*)) OVER () AS share
FROM orders
WHERE placed_at IS NOT NULL
GROUP BY weekday, hour
ORDER BY orders DESC, weekday, hour
""".strip(),
)

RESTAURANTS = Question(
    "restaurants",
    "Restaurants",
    "Each restaurant's orders and their share of all, the busiest first; `so_far` is the share of it and the busier.",
    f"""
SELECT restaurant_id, count(*) AS orders, count(*) / sum(count(*)) OVER () AS share,
  sum(count(*)) OVER (ORDER BY count(*) DESC, restaurant_id) / sum(count(*)) OVER () AS so_far,
  row_number() OVER (ORDER BY count(*) DESC, restaurant_id) AS place,
  count(*) OVER () AS restaurants, sum(count(*)) OVER ()::BIGINT AS of_all,
  count(*) FILTER (state = '{COMPLETED}') / count(*) AS completed_share,
  median(decide_seconds) AS median_seconds_to_answer, median(complete_seconds) AS median_seconds_to_complete
FROM orders
WHERE placed_at IS NOT NULL
GROUP BY restaurant_id
ORDER BY orders DESC, restaurant_id
""".strip(),
)

SLOW_KITCHENS = Question(
    "slow_kitchens",
    "Slow kitchens",
    "Seconds from accepting to completing, of restaurants with ten completed orders at least, the slowest first.",
    """
SELECT restaurant_id, count(*) AS completed, median(complete_seconds) AS p50,
  quantile_cont(complete_seconds, 0.95) AS p95, quantile_cont(complete_seconds, 0.99) AS p99,
  median(p50) OVER () AS usual
FROM orders
WHERE complete_seconds IS NOT NULL
GROUP BY restaurant_id
HAVING completed >= 10
ORDER BY p50 DESC, restaurant_id
""".strip(),
)

RETURNING_CUSTOMERS = Question(
    "returning_customers",
    "Customers who come back",
    "Customers by how often they ordered.",
    """
SELECT CASE WHEN placed >= 5 THEN '5 times or more' WHEN placed = 1 THEN 'once' ELSE placed || ' times' END AS ordered,
  count(*) AS customers, customers / sum(count(*)) OVER () AS share, sum(count(*)) OVER ()::BIGINT AS of_all,
  coalesce(sum(count(*)) FILTER (min(placed) > 1) OVER (), 0)::BIGINT AS came_back
FROM (SELECT customer_id, count(*) AS placed FROM orders WHERE placed_at IS NOT NULL GROUP BY customer_id)
GROUP BY ordered
ORDER BY min(placed)
""".strip(),
)
