"""How good the data is."""

from analytics.questions.question import Question

DATA_QUALITY = Question(
    "data_quality",
    "How good the data is",
    "Rows with an event_id already seen are duplicates: counted here, left out everywhere else. Orders without "
    "their order_placed were placed before the window, or their first event is missing.",
    """
SELECT r.rows, e.events, r.rows - e.events AS duplicates, o.*, e.* EXCLUDE events
FROM (SELECT count(*) AS rows FROM records WHERE true/* and the window */) AS r
CROSS JOIN (
  SELECT count(*) AS events,
    quantile_cont(epoch(_arrived_at - occurred_at), 0.5) AS median_seconds_to_arrive,
    quantile_cont(epoch(_arrived_at - occurred_at), 0.99) AS p99_seconds_to_arrive,
    min(occurred_at) AS first_event_at,
    max(occurred_at) AS last_event_at
  FROM events
  WHERE true/* and the window */
) AS e
CROSS JOIN (
  SELECT count(*) AS orders,
    count(*) FILTER (placed_at IS NULL) AS orders_without_placed,
    (SELECT count(*) FROM events SEMI JOIN (FROM orders WHERE placed_at IS NULL) USING (order_id)
     WHERE true/* and the window */) AS events_without_placed,
    count(*) FILTER (accepted_at IS NOT NULL AND rejected_at IS NOT NULL) AS orders_accepted_and_rejected,
    count(*) FILTER (completed_at IS NOT NULL AND accepted_at IS NULL) AS orders_completed_unaccepted,
    count(*) FILTER (least(notify_restaurant_seconds, decide_seconds, notify_user_seconds, complete_seconds) < 0)
      AS orders_with_time_running_backwards
  FROM orders
) AS o
""".strip(),
)

FLOW = Question(
    "flow",
    "The flow, as declared and as it ran",
    "Each event that a step may tell: how often one was told in time's order, how long after the event heard, and how "
    "often later than the step's deadline. As of `takeaway flow show --mined`, of the window's events.",
    """
SELECT step, actor, hears, tells, deadline_seconds, count(late) AS told,
  quantile_cont(seconds, 0.5) AS p50, quantile_cont(seconds, 0.95) AS p95,
  count(*) FILTER (late) AS late
FROM flow LEFT JOIN told USING (step, tells)
GROUP BY step, actor, hears, tells, deadline_seconds
ORDER BY step, tells
""".strip(),
)
