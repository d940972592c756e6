"""How long steps take, whose deadlines are missed, and which orders are stuck."""

from analytics.questions.question import Question, in_utc
from analytics.questions.words import ENDS, WAITS_FOR, WAITS_SINCE
from events import EVENT_TYPES, EXPIRED, OrderAccepted, OrderCompleted

_STEPS = "unnest(['notify the restaurant', 'accept or reject', 'notify the customer', 'prepare and complete']) AS step"
_SECONDS = "unnest([notify_restaurant_seconds, decide_seconds, notify_user_seconds, complete_seconds]) AS seconds"

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

LATENCY_BY_HOUR = Question(
    "latency_by_hour",
    "How long each step takes, by hour",
    "By the hour of the day, in UTC, in which the step began: when the event was heard that it follows.",
    f"""
SELECT step, hour, orders, quantiles[1] AS p50, quantiles[2] AS p95
FROM (
  SELECT position, step, hour({in_utc("since")}) AS hour, count(*) AS orders,
    quantile_cont(seconds, [0.5, 0.95]) AS quantiles
  FROM (
    SELECT unnest([1, 2, 3, 4]) AS position,
      {_STEPS},
      unnest([placed_at, restaurant_notified_at, accepted_at, accepted_at]) AS since,
      {_SECONDS}
    FROM orders
  )
  WHERE seconds IS NOT NULL
  GROUP BY position, step, hour
)
ORDER BY position, hour
""".strip(),
)

MISSED_DEADLINES = Question(
    "missed_deadlines",
    "Missed deadlines by restaurant",
    "Orders placed in the window that were answered or completed late, expired without an answer, or wait longer than "
    "the choreography allows, measured at the newest event. An order may be under several, and is missed once.",
    f"""
SELECT restaurant_id, count(*) AS orders,
  count(*) FILTER (answered_late OR expired OR completed_late OR overdue) AS missed,
  count(*) FILTER (answered_late) AS answered_late,
  count(*) FILTER (expired) AS expired,
  count(*) FILTER (completed_late) AS completed_late,
  count(*) FILTER (overdue) AS overdue
FROM (
  SELECT restaurant_id, state = '{EXPIRED}' AS expired,
    coalesce(decide_seconds > (
      SELECT deadline_seconds FROM deadlines WHERE event_type = '{EVENT_TYPES[OrderAccepted]}'
    ), false) AS answered_late,
    coalesce(complete_seconds > (
      SELECT deadline_seconds FROM deadlines WHERE event_type = '{EVENT_TYPES[OrderCompleted]}'
    ), false) AS completed_late,
    coalesce(state NOT IN ({ENDS}) AND epoch(newest - {WAITS_SINCE}) > deadline_seconds, false) AS overdue
  FROM (SELECT *, max(last_event_at) OVER () AS newest FROM orders)
  LEFT JOIN deadlines ON event_type = {WAITS_FOR}
  WHERE placed_at IS NOT NULL
)
GROUP BY restaurant_id
HAVING missed > 0
ORDER BY missed DESC, restaurant_id
LIMIT 15
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
  SELECT order_id, restaurant_id, state, {WAITS_SINCE} AS since,
    max(last_event_at) OVER () AS newest
  FROM orders
)
JOIN deadlines ON event_type = {WAITS_FOR}
WHERE state NOT IN ({ENDS}) AND epoch(newest - since) > deadline_seconds
ORDER BY overdue_seconds DESC, order_id
LIMIT 20
""".strip(),
)

OLDEST_OPEN = Question(
    "oldest_open",
    "Oldest open orders",
    "Orders without an end, the longest waiting first; the age is measured at the newest event.",
    f"""
SELECT order_id, restaurant_id, state, placed_at, epoch(newest - placed_at) AS age_seconds
FROM (SELECT *, max(last_event_at) OVER () AS newest FROM orders)
WHERE placed_at IS NOT NULL AND state NOT IN ({ENDS})
ORDER BY placed_at, order_id
LIMIT 10
""".strip(),
)
