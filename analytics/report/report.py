"""The report: one HTML file that needs nothing else, and the same facts as a JSON document.

`make_report` asks the questions; `render` and `report_data` only say the answers, so the two cannot disagree.
"""

import re
import shlex
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from jinja2 import Environment, PackageLoader, StrictUndefined

from analytics.reading import ALWAYS, Window
from analytics.report import plots
from analytics.report.outliers import LeftOut, left_out, usual_window, within
from analytics.report.questions import Question, answers, bucket_for, every_question
from events import amount
from foundation.plain_text import plain_text

_NO_BREAK = "\N{NO-BREAK SPACE}"
_PLAIN_ID = re.compile(r"[\w.-]+", re.ASCII)
_NOTHING = "\N{EN DASH}"


@dataclass(frozen=True)
class AuditStamp:
    """What an audit of the window said: its one-line receipt, and whether all was well."""

    receipt: str
    ok: bool


@dataclass(frozen=True)
class About:
    """What a report is about. `made_at` is aware; without an `audit` the report says that nobody checked."""

    made_at: datetime
    window: Window = ALWAYS
    lake_version: int | None = None
    audit: AuditStamp | None = None
    title: str = "Orders"


@dataclass(frozen=True)
class Report:
    """The questions of a report and their answers by name; `bucket` is the width of a bar of time.

    `window` is that of `about` without the days of what is left out.
    """

    about: About
    window: Window
    left_out: LeftOut
    bucket: timedelta
    questions: tuple[Question, ...]
    answers: dict[str, pa.Table]

    def rows(self, name: str) -> list[dict[str, Any]]:
        """The answer to the question of that name, a dict a row."""
        rows: list[dict[str, Any]] = self.answers[name].to_pylist()
        return rows

    def sql(self, question: Question) -> str:
        """What to paste to get the same answer from the lake."""
        return question.sql(self.window)


def make_report(records: pa.Table, about: About) -> Report:
    """Asks every question of `records`: the lake's columns and `event_date`, at least all records of the window."""
    window = usual_window(records, about.window, about.made_at)
    bucket = bucket_for(_span_of_placing(records, window))
    questions = every_question(bucket)
    outliers = left_out(records, about.window, window)
    return Report(about, window, outliers, bucket, questions, answers(records, questions, window))


def report_data(report: Report) -> dict[str, Any]:
    """The report as plain JSON values: times in ISO 8601, durations in seconds, money in minor units, SQL beside it."""
    about = report.about
    return {
        "title": about.title,
        "made_at": about.made_at.isoformat(),
        "since": about.window.since.isoformat() if about.window.since else None,
        "until": about.window.until.isoformat() if about.window.until else None,
        "lake_version": about.lake_version,
        "audit": {"ok": about.audit.ok, "receipt": about.audit.receipt} if about.audit else None,
        "left_out": {
            "events": report.left_out.events,
            "orders": report.left_out.orders,
            "named": [_plain_row(row) for row in report.left_out.named],
        },
        "answers": {
            question.name: {
                "title": question.title,
                "meaning": question.meaning,
                "rows": [_plain_row(row) for row in report.rows(question.name)],
                "sql": report.sql(question),
            }
            for question in report.questions
        },
    }


def render_report(report: Report) -> str:
    """The whole report as one HTML document: nothing to fetch, no script, every word from the data escaped."""
    environment = Environment(
        loader=PackageLoader("analytics.report"),
        autoescape=True,
        finalize=_harmless,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "number": number,
        "share": share,
        "duration": duration,
        "money": money,
        "moment": moment,
        "journey": journey,
    }
    return environment.get_template("report.html").render(
        about=report.about,
        left_out=report.left_out,
        bucket=report.bucket.total_seconds(),
        questions={question.name: question for question in report.questions},
        sql={question.name: report.sql(question) for question in report.questions},
        answers={question.name: report.rows(question.name) for question in report.questions},
        drawn=lambda name: _drawn(report, name),
    )


def journey(order_id: str) -> str:
    """The command that shows the events of an order, to be pasted into a shell whatever the id is."""
    literal = order_id.replace("'", "''")
    query = f"from events select event_type, occurred_at where order_id = '{literal}' order by 2"
    # Plainer to read; but within double quotes a shell looks for more than words.
    quoted = f'"{query}"' if _PLAIN_ID.fullmatch(order_id) else shlex.quote(query)
    return f"takeaway lake sql {quoted}"


def number(value: float | None) -> str:
    """A count with thousands set apart."""
    return _NOTHING if value is None else f"{value:,.0f}"


def share(part: float | None, whole: float | None = 1) -> str:
    """A part of a whole as a percentage with one decimal, never rounded to nothing or to all of it."""
    if part is None or not whole:
        return _NOTHING
    percent = f"{part / whole:.1%}"
    if percent == "0.0%" and part > 0:
        return "<0.1%"
    return ">99.9%" if percent == "100.0%" and part < whole else percent


def duration(seconds: float | None) -> str:
    """A duration in the one or two units that matter: 304 ms, 1.7 s, 2 min 31 s, 1 h 5 min, 3 d 4 h."""
    if seconds is None:
        return _NOTHING
    sign, size = "\N{MINUS SIGN}" if seconds < 0 else "", abs(seconds)
    if size < 0.9995:
        words = f"{size * 1000:.0f}{_NO_BREAK}ms"
    elif size < 59.95:
        words = f"{size:.1f}".removesuffix(".0") + f"{_NO_BREAK}s"
    elif size < 3599.5:
        words = _two_units(round(size), 60, "min", "s")
    elif size < 86370:
        words = _two_units(round(size / 60), 60, "h", "min")
    else:
        words = _two_units(round(size / 3600), 24, "d", "h")
    return sign + words


def _two_units(count: int, size: int, large: str, small: str) -> str:
    many, rest = divmod(count, size)
    return f"{many:,}{_NO_BREAK}{large}" + (f"{_NO_BREAK}{rest}{_NO_BREAK}{small}" if rest else "")


def money(minor_units: int | None, currency: str | None) -> str:
    """An amount of minor units in its currency: EUR 1,234.56, JPY 1,235."""
    if minor_units is None or currency is None:
        return _NOTHING
    return amount(minor_units, currency).replace(" ", _NO_BREAK)


def moment(value: datetime | None) -> str:
    """A time in UTC to the second."""
    # `strftime` would write the year 1 as 1.
    return _NOTHING if value is None else value.astimezone(UTC).replace(tzinfo=None).isoformat(" ", "seconds")


def _span_of_placing(records: pa.Table, window: Window) -> timedelta:
    placed = records.filter((pc.field("event_type") == "order_placed") & within(window))["occurred_at"]
    first, last = pc.min(placed).as_py(), pc.max(placed).as_py()
    return last - first if first else timedelta(0)


def _drawn(report: Report, name: str) -> list[str]:
    """The figure of that answer, for a wide page and for a phone."""
    figures: dict[str, Callable[..., str]] = {
        "funnel": plots.funnel,
        "step_latency": plots.step_latency,
        "orders_over_time": partial(plots.orders_over_time, bucket=report.bucket),
    }
    return [figures[name](report.answers[name], width=width) for width in (plots.WIDE, plots.NARROW)]


def _plain_row(row: dict[str, Any]) -> dict[str, Any]:
    return {key: value.isoformat() if isinstance(value, datetime) else value for key, value in row.items()}


def _harmless(value: object) -> object:
    """What data say, without what a page would obey; what we made ourselves is marked up already."""
    return plain_text(value) if isinstance(value, str) and not hasattr(value, "__html__") else value
