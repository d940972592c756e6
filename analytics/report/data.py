"""A report's facts as JSON, and each answer as CSV."""

import csv
import io
from datetime import date, datetime
from typing import Any

import pyarrow as pa

from analytics.reading import Window
from analytics.report.report import Report, Stamp

# What a spreadsheet would take for a formula.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def report_data(report: Report) -> dict[str, Any]:
    """The report as plain JSON values: times in ISO 8601, durations in seconds, money in minor units, SQL beside it."""
    about, before = report.about, report.before
    return {
        "title": about.title,
        "made_at": about.made_at.isoformat(),
        **_bounds(about.window),
        "lake_version": about.lake_version,
        "audit": _stamp(about.audit),
        "proof": _stamp(about.proof),
        "left_out": {
            "events": report.left_out.events,
            "orders": report.left_out.orders,
            "named": [_plain_row(row) for row in report.left_out.named],
        },
        "before": None
        if before is None
        else {
            **_bounds(before.window),
            "is_whole": before.is_whole,
            "answers": {
                name: [_plain_row(row) for row in answer.to_pylist()] for name, answer in before.answers.items()
            },
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


def as_csv(answer: pa.Table) -> str:
    """With a line of names. What begins as a formula has an apostrophe before it, so that no spreadsheet runs it."""
    written = io.StringIO()
    lines = csv.writer(written)
    lines.writerow(answer.column_names)
    for row in answer.to_pylist():
        lines.writerow([_cell(value) for value in _plain_row(row).values()])
    return written.getvalue()


def _cell(value: object) -> object:
    # guarantee: no word of the data is a formula in a spreadsheet
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value


def _bounds(window: Window) -> dict[str, str | None]:
    return {
        "since": window.since.isoformat() if window.since else None,
        "until": window.until.isoformat() if window.until else None,
    }


def _stamp(stamp: Stamp | None) -> dict[str, Any] | None:
    return None if stamp is None else {"ok": stamp.ok, "receipt": stamp.receipt}


def _plain_row(row: dict[str, Any]) -> dict[str, Any]:
    return {key: value.isoformat() if isinstance(value, datetime | date) else value for key, value in row.items()}
