"""What became of the orders: how many, how far they got, where and why they stopped."""

from analytics.questions.question import Question
from analytics.questions.words import ENDS, ENDS_UNANSWERED, FROM_ACCEPTED, WAITS_FOR, WAITS_SINCE
from events import ACCEPTED, CANCELLED, COMPLETED, EXPIRED, NOTIFIED, PLACED, REJECTED

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
  count(*) FILTER (state NOT IN ({ENDS})) AS open,
  median(placed_to_accepted_seconds) AS median_seconds_to_accepted,
  median(placed_to_completed_seconds) AS median_seconds_to_completed
FROM orders
WHERE placed_at IS NOT NULL
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
      count(*) FILTER (state NOT IN ('{PLACED}', {ENDS_UNANSWERED}) OR restaurant_notified_at IS NOT NULL),
      count(*) FILTER (state IN ({FROM_ACCEPTED})),
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
      WHEN state IN ({ENDS_UNANSWERED}) AND restaurant_notified_at IS NULL THEN '{PLACED}'
      WHEN state IN ('{REJECTED}', {ENDS_UNANSWERED}) THEN '{NOTIFIED}'
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
      WHEN state IN ({ENDS}) THEN ''
      WHEN epoch(newest - {WAITS_SINCE}) > deadline_seconds THEN ', overdue'
      ELSE ', still in time'
    END AS cause
  FROM (SELECT *, max(last_event_at) OVER () AS newest FROM orders)
  LEFT JOIN deadlines ON event_type = {WAITS_FOR}
  WHERE placed_at IS NOT NULL AND state <> '{COMPLETED}'
)
GROUP BY stage, cause
ORDER BY CASE stage WHEN '{PLACED}' THEN 1 WHEN '{NOTIFIED}' THEN 2 ELSE 3 END, orders DESC, cause
""".strip(),
)
