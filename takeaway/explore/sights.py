"""What the app shows, as values: the lake or why there is none, its questions, a table to look at, a journey."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from analytics.lake import Lake
from analytics.questions import STUCK_ORDERS, Question, bucket_for
from analytics.report.questions import every_question
from foundation.clock import SYSTEM_CLOCK, uninterrupted_wait
from takeaway.errors import UserError
from takeaway.stack import lake_told_in_one_line
from takeaway.terminal import counted
from takeaway.trace import as_lines, not_found, order_facts, timeline_of

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = [
    "STUCK_ORDERS",
    "TABLES",
    "Opened",
    "beside",
    "counted",
    "formats",
    "in_words",
    "journey",
    "opened",
    "table_of",
]

# The newest; more of them would fill a browser's and this process' memory, and be no better seen.
MOST_ROWS = 200_000
TABLES = {"orders": "last_event_at", "events": "occurred_at", "records": "_arrived_at"}
_SPAN = "SELECT count(*) AS events, min(occurred_at) AS first, max(occurred_at) AS last FROM events"
_STREAM_SECONDS = 10.0


@dataclass(frozen=True)
class Opened:
    """The lake as of one moment, with how many events it has and when these occurred; or why it has none."""

    lake: Lake | None
    events: int = 0
    span: timedelta = timedelta(0)
    told: str = ""

    @property
    def questions(self) -> dict[str, Question]:
        """By title, in the order in which the report asks; those of time in buckets that fit the events."""
        asked = {one.title: one for one in every_question(bucket_for(self.span))}
        return asked | {STUCK_ORDERS.title: STUCK_ORDERS}


def opened(environ: Mapping[str, str] | None = None) -> Opened:
    """Never raises for what a person can mend: that is `told`."""
    environ = os.environ if environ is None else environ
    try:
        with lake_told_in_one_line(environ):
            lake = Lake.from_environment(environ)
            [row] = lake.sql(_SPAN).to_pylist()
    except (UserError, LookupError) as error:
        return Opened(None, told=in_words(error))
    first, last, events = row["first"], row["last"], counted(row["events"], "event")
    told = f"{events}, from {first:%Y-%m-%d %H:%M} to {last:%Y-%m-%d %H:%M} UTC; version {lake.version}"
    return Opened(lake, row["events"], last - first, told)


def in_words(error: Exception) -> str:
    return f"{error.what} Fix: {error.fix}" if isinstance(error, UserError) else str(error).replace(" fix: ", " Fix: ")


def beside(*parts: str) -> str:
    """HTML side by side where there is room, and one below the other where there is not."""
    cells = "".join(f'<div style="min-width: 0; overflow: auto">{part}</div>' for part in parts)
    columns = "repeat(auto-fit, minmax(min(100%, 30rem), 1fr))"
    return f'<div style="display: grid; gap: 1rem; grid-template-columns: {columns}">{cells}</div>'


def formats(rows: "pa.Table") -> dict[str, str]:
    """How a table shows its columns: numbers with a fraction to two places, all others as they are."""
    import pyarrow as pa

    return {field.name: "{:,.2f}" for field in rows.schema if pa.types.is_floating(field.type)}


def table_of(lake: Lake, name: str) -> "tuple[pa.Table, str]":
    """The rows of one of `TABLES` to look at, the newest where there are too many, and how many these are."""
    rows = lake.sql(f"FROM {name} ORDER BY {TABLES[name]} DESC LIMIT {MOST_ROWS}")
    if rows.num_rows < MOST_ROWS:
        return rows, f"{rows.num_rows:,} rows, all there are"
    return rows, f"the newest {MOST_ROWS:,} rows"


def journey(order_id: str, environ: Mapping[str, str] | None = None) -> str:
    """What `takeaway trace` tells of the order, or why it tells nothing."""
    environ = os.environ if environ is None else environ
    try:
        facts = order_facts(environ, order_id, within=_STREAM_SECONDS, clock=SYSTEM_CLOCK, wait=uninterrupted_wait())
        if facts.found_nothing:
            raise not_found(facts)
    except UserError as error:
        return in_words(error)
    return "\n".join(as_lines(timeline_of(facts), SYSTEM_CLOCK.now()))
