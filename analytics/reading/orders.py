"""Records to orders: one row an order, with when each thing happened, where it stands and how long each step took.

The one definition of the table `orders`, in the lake and in the report. Written as SQL, because DuckDB reads a lake
faster than pandas and anyone can paste it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import TypeAlias

import duckdb
import pyarrow as pa

from analytics.table import IDENTITY, STREAM_ORDER
from events import CHOREOGRAPHY, EVENT_TYPES, EVENTS, PLACED, PRECEDENCE, Event, OrderPlaced, OrderRejected

# How long after the event that brings it about an event is expected, from the choreography.
_DEADLINES = "SELECT * FROM (VALUES {rows}) AS deadline(event_type, deadline_seconds)"

# Each event once: the first of its rows to arrive, which is also what compaction keeps.
_EVENTS = f"""(
    SELECT * FROM records
    QUALIFY row_number() OVER (PARTITION BY {", ".join(IDENTITY)} ORDER BY {STREAM_ORDER}) = 1
  )"""  # noqa: S608 - words of ours


def _at(event: type[Event]) -> str:
    """The column that says when it happened: `order_placed` is `placed_at`, `user_notified` is `user_notified_at`."""
    return f"{EVENT_TYPES[event].removeprefix('order_')}_at"


_PLACED, _REJECTED = EVENT_TYPES[OrderPlaced], EVENT_TYPES[OrderRejected]
_REASON = f"min_by(reason, occurred_at) FILTER (event_type = '{_REJECTED}') AS rejection_reason"
_TIMES = [
    f"min(occurred_at) FILTER (event_type = '{EVENT_TYPES[event]}') AS {_at(event)}"
    + (f",\n    {_REASON}" if event is OrderRejected else "")
    for event in EVENTS
]


def _cases() -> Iterator[str]:
    """The precedence of facts: of the first rank that has one the earliest says where an order stands."""
    for rank in PRECEDENCE:
        times = [_at(event) for event, _ in rank]
        for at, (_, state) in zip(times, rank, strict=True):
            # guarantee: the lake's orders stand where their commands left them
            holds = f"{at} IS NOT NULL" if len(rank) == 1 else f"{at} = least({', '.join(times)})"
            if state != PLACED:
                yield f"WHEN {holds} THEN '{state}'"


# Smallest and earliest only: the order of arrival changes no row. Of events, not of records: a repeat may say another
# time, and is gone once its day is compacted. A time is that of the first such event by when it occurred.
_ORDERS = """
SELECT *,
  CASE
    {cases}
    ELSE '{otherwise}'
  END AS state,
  epoch(restaurant_notified_at - placed_at) AS notify_restaurant_seconds,
  epoch(least(accepted_at, rejected_at) - restaurant_notified_at) AS decide_seconds,
  epoch(user_notified_at - accepted_at) AS notify_user_seconds,
  epoch(completed_at - accepted_at) AS complete_seconds,
  epoch(accepted_at - placed_at) AS placed_to_accepted_seconds,
  epoch(completed_at - placed_at) AS placed_to_completed_seconds
FROM (
  SELECT order_id,
    min(restaurant_id) AS restaurant_id,
    min(customer_id) AS customer_id,
    min_by(city, occurred_at) FILTER (event_type = '{placed}') AS city,
    min_by(total, occurred_at) FILTER (event_type = '{placed}') AS total,
    min_by(currency, occurred_at) FILTER (event_type = '{placed}') AS currency,
    {times},
    max(occurred_at) AS last_event_at
  FROM {events}{where}
  GROUP BY order_id
)
"""

_CALENDAR_STARTS, _CALENDAR_ENDS = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)

NEEDED_COLUMNS = (
    *("event_id", "event_type", "order_id", "occurred_at", "restaurant_id", "customer_id", "city", "total"),
    *("currency", "reason", "_shard", "_sequence_number", "_sub_sequence_number", "_arrived_at", "event_date"),
)


class UnclearTime(ValueError):
    """A time that names no moment: without a time zone, or no time at all."""


class UnusableRecords(ValueError):
    """A table that is not the lake's records. Says which columns are missing."""


@dataclass(frozen=True)
class Window:
    """Which events count: those that occurred at or after `since` and before `until`, both aware; None is no bound."""

    since: datetime | None = None
    until: datetime | None = None

    def __post_init__(self) -> None:
        for name, moment in (("since", self.since), ("until", self.until)):
            if moment is not None:
                _require_moment(name, moment)

    @classmethod
    def of(cls, since: "When | None", until: "When | None") -> "Window":
        """From what people write. Raises `UnclearTime`."""
        return cls(_moment("since", since), _moment("until", until))

    def where(self) -> str:
        """The window as SQL on `records`, by day as well so that a reader skips other days' files; "" if unbounded."""
        bounds = []
        if self.since:
            since = self.since.astimezone(UTC)
            bounds += [f"event_date >= DATE '{since.date()}'", f"occurred_at >= {_literal(since)}"]
        if self.until:
            until = self.until.astimezone(UTC)
            bounds += [f"event_date <= DATE '{until.date()}'", f"occurred_at < {_literal(until)}"]
        return "\nWHERE " + "\n  AND ".join(bounds) if bounds else ""

    def wider(self, margin: timedelta) -> "Window":
        """With so much more at either end, as far as the calendar goes."""
        return Window(
            None if self.since is None or self.since - _CALENDAR_STARTS < margin else self.since - margin,
            None if self.until is None or _CALENDAR_ENDS - self.until < margin else self.until + margin,
        )


# An aware datetime, ISO 8601 text with an offset, or a date: the beginning of that day in UTC.
When: TypeAlias = datetime | date | str

ALWAYS = Window()
EVERY_ORDER = "FROM orders ORDER BY placed_at, order_id"


def common_tables(window: Window = ALWAYS, *, events: str = "") -> dict[str, str]:
    """What the questions read, as SQL by name; the base is `records`, the lake's rows as they were archived.

    `events` names a table of them without repeats, if there is one.
    """
    # Several steps may tell one event.
    allowed = {event: step.deadline for step in CHOREOGRAPHY if step.deadline for event in step.publishes}
    deadlines = ", ".join(
        f"('{EVENT_TYPES[event]}', {deadline.total_seconds():g}::DOUBLE)" for event, deadline in allowed.items()
    )
    return {
        "deadlines": _DEADLINES.format(rows=deadlines),
        "orders": _ORDERS.format(
            cases="\n    ".join(_cases()),
            otherwise=PLACED,
            placed=_PLACED,
            times=",\n    ".join(_TIMES),
            # guarantee: a repeat changes no order
            events=events or _EVENTS,
            where=window.where().replace("\n", "\n  "),
        ).strip(),
    }


def prepared(records: pa.Table, window: Window = ALWAYS) -> duckdb.DuckDBPyConnection:
    """A database in memory, on UTC, that holds `records` and the common tables, each built once. Close it after use."""
    missing = [name for name in NEEDED_COLUMNS if name not in records.column_names]
    if missing:
        raise UnusableRecords(
            f"the records lack {', '.join(missing)}. fix: pass `Lake.dataset().to_table()`, with all columns"
        )
    connection = duckdb.connect(":memory:")
    connection.execute("SET TimeZone = 'UTC'")
    connection.register("records", records)
    for name, select in common_tables(window).items():
        connection.execute(f"CREATE TEMP TABLE {name} AS {select}")
    return connection


def timelines(records: pa.Table, window: Window = ALWAYS) -> pa.Table:
    """One row for each order that has an event in the window, sorted by `placed_at`, then `order_id`.

    `*_at` are UTC and null where there was no such event; `*_seconds` are floats, negative where clocks disagreed;
    `total` is in minor units; `state` is one of `events.STANDINGS`. `city`, `total`, `currency` and `placed_at` are
    null for an order placed outside the window.
    """
    with prepared(records, window) as connection:
        rows: pa.Table = connection.sql(EVERY_ORDER).to_arrow_table()
    return rows


def _require_moment(name: str, moment: datetime) -> None:
    # guarantee: a time without a zone is refused
    if moment.utcoffset() is None:
        raise UnclearTime(
            f"`{name}` is {moment}, and no time zone says when that is. fix: for UTC, "
            f'"{moment.isoformat()}Z", or a datetime with tzinfo=UTC'
        )
    try:
        moment.astimezone(UTC)
    except OverflowError as error:
        raise UnclearTime(
            f"`{name}` is {moment}, which in UTC lies outside the years 1 to 9999. fix: leave it out"
        ) from error


def _moment(name: str, when: When | None) -> datetime | None:
    if isinstance(when, str):
        try:
            when = date.fromisoformat(when) if len(when) == len("2026-03-14") else datetime.fromisoformat(when)
        except ValueError as error:
            raise UnclearTime(
                f'`{name}` is {when!r}, which is no time. fix: ISO 8601, as "2026-03-14T12:00:00Z" or "2026-03-14"'
            ) from error
    if isinstance(when, date) and not isinstance(when, datetime):
        return datetime.combine(when, time.min, UTC)
    return when


def _literal(moment: datetime) -> str:
    # `strftime` would write the year 1 as 1.
    return f"TIMESTAMPTZ '{moment.replace(tzinfo=None).isoformat(' ', 'microseconds')}+00'"
