"""Events to timelines: one row an order, with when each thing happened, where it stands and how long each step took.

Written as SQL, because DuckDB reads a lake faster than pandas and anyone can paste it beside `FROM timelines`.
"""

from dataclasses import dataclass
from datetime import UTC, datetime

import duckdb
import pyarrow as pa

from events.choreography import CHOREOGRAPHY
from events.orders import EVENT_TYPES

# How long after the event that brings it about an event is expected, from the choreography.
_DEADLINES = "SELECT * FROM (VALUES {rows}) AS deadline(event_type, deadline_seconds)"

# Each event once: the first to arrive of those with one `event_id`, which is also what compaction keeps.
# Sequence numbers are decimal text of differing length: shorter is smaller.
_DISTINCT_EVENTS = """
SELECT event_id, event_type, order_id, occurred_at, restaurant_id, customer_id, city, total, currency, reason,
  _arrived_at, count(*) OVER (PARTITION BY event_id) AS deliveries
FROM events{where}
QUALIFY row_number() OVER (
  PARTITION BY event_id
  ORDER BY _arrived_at, _shard, length(_sequence_number), _sequence_number, _sub_sequence_number
) = 1
"""

# A time is that of the first such event by when it occurred, so the order of arrival does not matter. Of an acceptance
# and a rejection the earlier counts, and a customer who was told implies an acceptance.
_TIMELINES = """
SELECT *,
  CASE
    WHEN completed_at IS NOT NULL THEN 'completed'
    WHEN rejected_at IS NOT NULL AND (accepted_at IS NULL OR rejected_at < accepted_at) THEN 'rejected'
    WHEN accepted_at IS NOT NULL OR user_notified_at IS NOT NULL THEN 'accepted'
    WHEN restaurant_notified_at IS NOT NULL THEN 'notified'
    ELSE 'placed'
  END AS state,
  epoch(restaurant_notified_at - placed_at) AS notify_restaurant_seconds,
  epoch(least(accepted_at, rejected_at) - restaurant_notified_at) AS decide_seconds,
  epoch(user_notified_at - accepted_at) AS notify_user_seconds,
  epoch(completed_at - accepted_at) AS complete_seconds,
  epoch(accepted_at - placed_at) AS placed_to_accepted_seconds,
  epoch(completed_at - placed_at) AS placed_to_completed_seconds
FROM (
  SELECT order_id,
    min_by(restaurant_id, (occurred_at, event_id)) AS restaurant_id,
    min_by(customer_id, (occurred_at, event_id)) AS customer_id,
    min_by(city, (occurred_at, event_id)) FILTER (event_type = 'order_placed') AS city,
    min_by(total, (occurred_at, event_id)) FILTER (event_type = 'order_placed') AS total,
    min_by(currency, (occurred_at, event_id)) FILTER (event_type = 'order_placed') AS currency,
    min(occurred_at) FILTER (event_type = 'order_placed') AS placed_at,
    min(occurred_at) FILTER (event_type = 'restaurant_notified') AS restaurant_notified_at,
    min(occurred_at) FILTER (event_type = 'order_accepted') AS accepted_at,
    min(occurred_at) FILTER (event_type = 'order_rejected') AS rejected_at,
    min_by(reason, (occurred_at, event_id)) FILTER (event_type = 'order_rejected') AS rejection_reason,
    min(occurred_at) FILTER (event_type = 'user_notified') AS user_notified_at,
    min(occurred_at) FILTER (event_type = 'order_completed') AS completed_at,
    max(occurred_at) AS last_event_at,
    count(*) AS events
  FROM distinct_events
  GROUP BY order_id
)
"""

NEEDED_COLUMNS = (
    *("event_id", "event_type", "order_id", "occurred_at", "restaurant_id", "customer_id", "city", "total"),
    *("currency", "reason", "_shard", "_sequence_number", "_sub_sequence_number", "_arrived_at", "event_date"),
)


class UnusableEvents(ValueError):
    """A table that is not the lake's events. Says which columns are missing."""


@dataclass(frozen=True)
class Window:
    """Which events count: those that occurred at or after `since` and before `until`, both aware; None is no bound."""

    since: datetime | None = None
    until: datetime | None = None

    def where(self) -> str:
        """The window as SQL on `events`, by day as well so that a reader skips other days' files; empty if unbounded"""
        bounds = []
        if self.since:
            since = self.since.astimezone(UTC)
            bounds += [f"event_date >= DATE '{since:%Y-%m-%d}'", f"occurred_at >= {_literal(since)}"]
        if self.until:
            until = self.until.astimezone(UTC)
            bounds += [f"event_date <= DATE '{until:%Y-%m-%d}'", f"occurred_at < {_literal(until)}"]
        return "\nWHERE " + "\n  AND ".join(bounds) if bounds else ""


ALWAYS = Window()


def common_tables(window: Window = ALWAYS) -> dict[str, str]:
    """What the questions read, as SQL by name, in the order in which one builds on the other; the base is `events`."""
    deadlines = ", ".join(
        f"('{EVENT_TYPES[event]}', {step.deadline.total_seconds():g}::DOUBLE)"
        for step in CHOREOGRAPHY
        if step.deadline
        for event in step.publishes
    )
    return {
        "deadlines": _DEADLINES.format(rows=deadlines),
        "distinct_events": _DISTINCT_EVENTS.format(where=window.where()).strip(),
        "timelines": _TIMELINES.strip(),
    }


def prepared(events: pa.Table, window: Window = ALWAYS) -> duckdb.DuckDBPyConnection:
    """A database in memory, on UTC, that holds `events` and the common tables, each built once. Close it after use."""
    missing = [name for name in NEEDED_COLUMNS if name not in events.column_names]
    if missing:
        raise UnusableEvents(
            f"the events lack {', '.join(missing)}. fix: pass the table that `Lake.events()` returns, with all columns"
        )
    connection = duckdb.connect(":memory:")
    connection.execute("SET TimeZone = 'UTC'")
    connection.register("events", events)
    for name, select in common_tables(window).items():
        connection.execute(f"CREATE TEMP TABLE {name} AS {select}")
    return connection


def timelines(events: pa.Table, window: Window = ALWAYS) -> pa.Table:
    """One row for each order that has an event in the window, sorted by `placed_at`, then `order_id`.

    `*_at` are UTC and null where there was no such event; `*_seconds` are floats, negative where clocks disagreed;
    `total` is in minor units; `state` is placed, notified, accepted, rejected or completed; `events` counts distinct
    events. `city`, `total`, `currency` and `placed_at` are null for an order placed outside the window.
    """
    with prepared(events, window) as connection:
        rows: pa.Table = connection.sql("FROM timelines ORDER BY placed_at, order_id").to_arrow_table()
    return rows


def _literal(moment: datetime) -> str:
    return f"TIMESTAMPTZ '{moment:%Y-%m-%d %H:%M:%S.%f}+00'"
