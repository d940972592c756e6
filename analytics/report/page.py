"""The report as one HTML document: nothing to fetch, no script, every word from the data escaped."""

import base64
from collections.abc import Callable, Sequence
from datetime import timedelta
from functools import partial
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from analytics.report import flow_drawing, plots
from analytics.report.data import as_csv
from analytics.report.report import Report
from analytics.report.tables import shown_tables
from analytics.report.words import change, duration, moment, money, number, share
from events import CANCELLED, COMPLETED, EXPIRED, REJECTED
from foundation.plain_text import plain_text

_WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


def render_report(report: Report) -> str:
    """The whole page."""
    environment = Environment(
        loader=PackageLoader("analytics.report"),
        autoescape=True,
        finalize=_harmless,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"number": number, "share": share, "duration": duration, "money": money, "moment": moment}
    return environment.get_template("report.html").render(
        about=report.about,
        before=report.before,
        days=report.days,
        left_out=report.left_out,
        bucket=report.bucket.total_seconds(),
        cards=cards(report),
        questions={question.name: question for question in report.questions},
        sql={question.name: report.sql(question) for question in report.questions},
        answers={question.name: report.rows(question.name) for question in report.questions},
        tables=shown_tables(report),
        heat=heat(report.rows("hour_by_weekday")),
        csv={name: _csv_link(as_csv(answer)) for name, answer in report.answers.items()},
        drawn=lambda name: _drawn(report, name),
        in_words=flow_drawing.in_words,
        main_currency=plots.most_used(report.answers["revenue_over_time"]),
    )


def cards(report: Report) -> list[dict[str, Any]]:
    """The figures on top: label, values, a note, and the change against the period before, if there is one."""
    now, then = report.rows("overview")[0], next(iter(report.rows_before("overview")), None)
    customers, customers_then = report.rows("customers")[0], next(iter(report.rows_before("customers")), None)

    def card(
        label: str, name: str, note: str, show: Callable[[Any], str] = number, *, of: Any = None
    ) -> dict[str, Any]:
        of_now, of_then = (now, then) if of is None else of
        changed = None
        if of_then is not None:
            changed = change(of_now[name], of_then[name]), show(of_then[name])
        return {"label": label, "values": [show(of_now[name])], "note": note, "changes": [changed] if changed else []}

    def part(name: str, more: str = "") -> str:
        return f"{share(now[name], now['orders'])} of orders{more}"

    shown = [
        card("Orders", "orders", "placed in the period"),
        card("Completed", COMPLETED, part(COMPLETED)),
        card("Rejected", REJECTED, part(REJECTED)),
        card("Cancelled", CANCELLED, part(CANCELLED, ", by customers")),
        card("Expired", EXPIRED, part(EXPIRED, ", unanswered")),
        card("Open", "open", part("open")),
        card("Median until accepted", "median_seconds_to_accepted", "from placing the order", duration),
        card("Median until completed", "median_seconds_to_completed", "from placing the order", duration),
        card("Customers", "customers", "who placed orders", of=(customers, customers_then)),
        card(
            "Returning customers",
            "returned",
            f"with {share(customers['orders_of_returned'], customers['orders'])} of orders",
            of=(customers, customers_then),
        ),
    ]
    return [*shown, _revenue_card(report)]


def _revenue_card(report: Report) -> dict[str, Any]:
    earlier = {row["currency"]: row["revenue"] for row in report.rows_before("revenue")}
    rows = report.rows("revenue")
    changes = []
    if report.before is not None:
        for row in rows:
            then = earlier.get(row["currency"], 0)
            changes.append((change(row["revenue"], then), money(then, row["currency"])))
    values = [money(row["revenue"], row["currency"]) for row in rows] or [money(None, None)]
    return {"label": "Revenue", "values": values, "note": "of completed orders", "changes": changes}


def heat(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """A line for each weekday: its name, and for each hour the orders and what part of the busiest hour's they are."""
    orders = {(row["weekday"], row["hour"]): row["orders"] for row in rows}
    most = max(orders.values(), default=0) or 1
    return [
        {
            "day": name,
            "hours": [
                {
                    "hour": hour,
                    "orders": (count := orders.get((place, hour), 0)),
                    "part": count / most,
                    "short": _short(count),
                }
                for hour in range(24)
            ],
        }
        for place, name in enumerate(_WEEKDAYS, start=1)
    ]


def _short(count: int) -> str:
    """At most four letters: 0 is left empty, 12,345 is 12k."""
    for size, letter in ((10**9, "G"), (10**6, "M"), (10**3, "k")):
        if count >= size:
            return f"{count / size:.0f}{letter}" if count >= 10 * size else f"{count / size:.1f}{letter}"
    return str(count) if count else ""


def _drawn(report: Report, name: str) -> list[str]:
    """The figure of that answer, for a wide page and for a phone."""
    figures: dict[str, Callable[..., str]] = {
        "funnel": plots.funnel,
        "step_latency": plots.step_latency,
        "latency_by_hour": plots.latency_by_hour,
        "orders_over_time": partial(plots.orders_over_time, bucket=report.bucket),
        "revenue_over_time": partial(plots.revenue_over_time, bucket=max(report.bucket, timedelta(days=1))),
    }
    if name == "flow":
        return [flow_drawing.flow(report.rows(name), width) for width in (plots.WIDE, plots.NARROW)]
    return [figures[name](report.answers[name], width=width) for width in (plots.WIDE, plots.NARROW)]


def _csv_link(text: str) -> Markup:
    """A link's address that holds the file itself. Excel takes UTF-8 for what it is by its first three bytes."""
    return (
        Markup("data:text/csv;charset=utf-8;base64,") + base64.b64encode(text.encode("utf-8-sig", "replace")).decode()
    )


def _harmless(value: object) -> object:
    """What data say, without what a page would obey; what we made ourselves is marked up already."""
    return plain_text(value) if isinstance(value, str) and not hasattr(value, "__html__") else value
