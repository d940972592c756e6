"""One question of a lake, asked in a process of its own: `ours` by `Lake.sql`, or `peer` by DuckDB alone.

The peer reads the same files by the data set that deltalake makes of them, with the shortest SQL that gives the same
answer; as ours, it must not be fooled by events that were published twice. Prints the answer's digest.
"""

import hashlib
import os
import sys

PEERS = {
    "orders_per_hour": """
        SELECT date_trunc('hour', occurred_at) AS hour, count(DISTINCT order_id) AS orders
        FROM events WHERE event_type = 'order_placed' GROUP BY hour ORDER BY hour""",
    "funnel": """
        SELECT stage, orders, orders / max(orders) OVER () AS share FROM (
          SELECT CASE event_type WHEN 'order_placed' THEN 'placed' WHEN 'restaurant_notified' THEN 'notified'
            WHEN 'order_accepted' THEN 'accepted' ELSE 'completed' END AS stage, count(DISTINCT order_id) AS orders
          FROM events WHERE event_type NOT IN ('order_rejected', 'user_notified') GROUP BY event_type
        ) ORDER BY orders DESC""",
    "step_latency": """
        WITH orders AS (
          SELECT order_id, min(occurred_at) FILTER (event_type = 'order_placed') AS placed,
            min(occurred_at) FILTER (event_type = 'restaurant_notified') AS notified,
            min(occurred_at) FILTER (event_type = 'order_accepted') AS accepted,
            min(occurred_at) FILTER (event_type = 'order_rejected') AS rejected,
            min(occurred_at) FILTER (event_type = 'user_notified') AS told,
            min(occurred_at) FILTER (event_type = 'order_completed') AS completed
          FROM events GROUP BY order_id
        ), steps AS (
          SELECT unnest(['notify the restaurant', 'accept or reject', 'notify the customer', 'prepare and complete'])
              AS step,
            unnest([60.0::DOUBLE, 600, 60, 7200]) AS deadline_seconds,
            unnest([epoch(notified - placed), epoch(least(accepted, rejected) - notified), epoch(told - accepted),
              epoch(completed - accepted)]) AS seconds
          FROM orders
        )
        SELECT step, deadline_seconds, count(seconds) AS orders, quantile_cont(seconds, 0.5) AS p50,
          quantile_cont(seconds, 0.95) AS p95, quantile_cont(seconds, 0.99) AS p99, max(seconds) AS longest,
          count(*) FILTER (seconds > deadline_seconds) AS late
        FROM steps GROUP BY step, deadline_seconds
        ORDER BY list_position(['notify the restaurant', 'accept or reject', 'notify the customer'], step)""",
    "revenue_by_restaurant": """
        SELECT day, restaurant_id, currency, count(*) AS completed, sum(total)::BIGINT AS revenue FROM (
          SELECT DISTINCT order_id, restaurant_id, currency, total, event_date AS day
          FROM events WHERE event_type = 'order_completed'
        ) GROUP BY ALL ORDER BY day, revenue DESC, restaurant_id, currency""",
    "stuck_orders": """
        WITH orders AS (
          SELECT order_id, min(restaurant_id) AS restaurant_id,
            min(occurred_at) FILTER (event_type = 'order_placed') AS placed,
            min(occurred_at) FILTER (event_type = 'restaurant_notified') AS notified,
            min(occurred_at) FILTER (event_type = 'order_accepted') AS accepted,
            count(*) FILTER (event_type IN ('order_rejected', 'order_completed')) AS ended, max(occurred_at) AS last
          FROM events GROUP BY order_id
        ), waiting AS (
          SELECT order_id, restaurant_id, CASE WHEN accepted IS NOT NULL THEN ('accepted', 'order_completed', 7200)
            WHEN notified IS NOT NULL THEN ('notified', 'order_accepted', 600)
            ELSE ('placed', 'restaurant_notified', 60) END AS wait,
            coalesce(accepted, notified, placed) AS since, ended, max(last) OVER () AS newest
          FROM orders
        )
        SELECT order_id, restaurant_id, wait[1] AS state, wait[2] AS waits_for, since,
          epoch(newest - since) - wait[3]::DOUBLE AS overdue_seconds
        FROM waiting WHERE ended = 0 AND overdue_seconds > 0 ORDER BY overdue_seconds DESC, order_id LIMIT 20""",
}


def ours(name: str) -> list[dict[str, object]]:
    from analytics.lake import Lake  # noqa: PLC0415 - each imports what it needs, and pays for it
    from analytics.report.questions import FIVE_QUESTIONS  # noqa: PLC0415

    question = next(question for question in FIVE_QUESTIONS if question.name == name)
    rows: list[dict[str, object]] = Lake.from_environment().sql(question.sql()).to_pylist()
    return rows


def peers(name: str) -> list[dict[str, object]]:
    import duckdb  # noqa: PLC0415
    from deltalake import DeltaTable  # noqa: PLC0415
    from pyarrow import fs  # noqa: PLC0415

    bucket, endpoint = os.environ["TAKEAWAY_LAKE_BUCKET"], os.environ["AWS_ENDPOINT_URL"]
    table = DeltaTable(f"s3://{bucket}/events", storage_options={"aws_endpoint": endpoint, "aws_allow_http": "true"})
    s3 = fs.S3FileSystem(endpoint_override=endpoint.removeprefix("http://"), scheme="http")
    dataset = table.to_pyarrow_dataset(filesystem=fs.SubTreeFileSystem(f"{bucket}/events", s3))
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.register("events", dataset)
        rows: list[dict[str, object]] = connection.sql(PEERS[name]).to_arrow_table().to_pylist()
        return rows


def main(who: str, name: str) -> None:
    rows = ours(name) if who == "ours" else peers(name)
    # Floats to the microsecond: sums of different order differ in their last bits.
    told = repr([[round(cell, 6) if isinstance(cell, float) else cell for cell in row.values()] for row in rows])
    print(f"{len(rows)} rows {hashlib.sha256(told.encode()).hexdigest()}")  # noqa: T201


if __name__ == "__main__":
    main(*sys.argv[1:])
