"""A report's questions and their answers, asked of any number of records in bounded memory.

`make_report` asks; `render_report` and `report_data` only say the answers, so the two cannot disagree.
"""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.dataset as ds

from analytics.files import MEMORY
from analytics.questions import Question, bucket_for, working_set
from analytics.reading import ALWAYS, Window
from analytics.report.outliers import LeftOut, events_by_day, left_out, usual_window
from analytics.report.period import period_before
from analytics.report.questions import COMPARED, every_question


@dataclass(frozen=True)
class Stamp:
    """What an audit of the window, or a proof of the lake, said: its one-line receipt, and whether all was well."""

    receipt: str
    ok: bool


@dataclass(frozen=True)
class About:
    """What a report is about. `made_at` is aware; without an `audit` the report says that it was not audited."""

    made_at: datetime
    window: Window = ALWAYS
    lake_version: int | None = None
    audit: Stamp | None = None
    proof: Stamp | None = None
    title: str = "Orders"


@dataclass(frozen=True)
class Before:
    """The period before, the answers to what is held against it, and whether the lake goes back to its beginning."""

    window: Window
    answers: dict[str, pa.Table]
    is_whole: bool


@dataclass(frozen=True)
class Report:
    """The questions of a report and their answers by name; `bucket` is the width of a bar of time.

    `window` is that of `about` without the days of what is left out. `days` are the first and the last of the lake's
    files, None where that has none. `before` is None for a report of all there is.
    """

    about: About
    window: Window
    left_out: LeftOut
    bucket: timedelta
    questions: tuple[Question, ...]
    answers: dict[str, pa.Table]
    days: tuple[date, date] | None = None
    before: Before | None = None

    def rows(self, name: str) -> list[dict[str, Any]]:
        """The answer to the question of that name, a dict a row."""
        rows: list[dict[str, Any]] = self.answers[name].to_pylist()
        return rows

    def rows_before(self, name: str) -> list[dict[str, Any]]:
        """The same of the period before; none where there is none."""
        return [] if self.before is None else self.before.answers[name].to_pylist()

    def sql(self, question: Question) -> str:
        """What to paste to get the same answer from the lake."""
        return question.sql(self.window)


def make_report(
    records: ds.Dataset | pa.Table, about: About, repeats: pa.Table | None = None, *, memory: int = MEMORY
) -> Report:
    """Asks every question of `records`, the lake's columns and `event_date`: a whole lake's, as `Lake.dataset()`.

    `repeats` names the records of events that an earlier one has brought, as `Lake.repeats`; without it they are looked
    for. Days of no period are not read. `memory` is what the database may hold, in bytes.
    """
    days = _days(records)
    earlier = period_before(about.window, about.made_at)
    taken = about.window if earlier is None else Window(earlier.since, about.window.until)
    with working_set(records, taken, repeats, memory=memory) as asked:
        window = usual_window(events_by_day(asked.connection, about.window), about.window, about.made_at)
        bucket = bucket_for(_span_of_placing(asked.connection, window))
        questions = every_question(bucket)
        return Report(
            about,
            window,
            left_out(asked.connection, about.window, window),
            bucket,
            questions,
            asked.answers(questions, window),
            days,
            None
            if earlier is None or earlier.since is None
            else Before(
                earlier, asked.answers(COMPARED, earlier), days is not None and days[0] <= earlier.since.date()
            ),
        )


def _span_of_placing(connection: duckdb.DuckDBPyConnection, window: Window) -> timedelta:
    placed = f"FROM (FROM events{window.where()}) WHERE event_type = 'order_placed'"
    ends = connection.sql(f"SELECT min(occurred_at) AS first, max(occurred_at) AS last {placed}")
    [row] = ends.to_arrow_table().to_pylist()
    return row["last"] - row["first"] if row["first"] else timedelta(0)


def _days(records: ds.Dataset | pa.Table) -> tuple[date, date] | None:
    """By the names of the files, or by the rows of a table."""
    days: set[date] = set()
    if isinstance(records, pa.Table):
        days.update(day for day in records["event_date"].unique().to_pylist() if day is not None)
    else:
        keys = (ds.get_partition_keys(one.partition_expression) for one in records.get_fragments())
        days.update(one["event_date"] for one in keys if "event_date" in one)
    return (min(days), max(days)) if days else None
