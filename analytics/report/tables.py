"""What the page's tables show of the answers: a caption, and columns with their words."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from analytics.report.report import Report
from analytics.report.words import NOTHING, duration, journey, moment, money, number, share
from events import COMPLETED, EXPIRED, REJECTED

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Column:
    """One column: what a row shows in it, and how. `bar` is the part of a bar below it, from 0 to 1."""

    label: str
    show: Callable[[Row], str]
    kind: str = "n"
    is_bad: Callable[[Row], bool] = lambda _: False
    bar: Callable[[Row], float] | None = None


@dataclass(frozen=True)
class Shown:
    """A table of the page; the first column of kind `name` heads its rows."""

    caption: str
    columns: tuple[Column, ...]


def _text(name: str, label: str, *, is_name: bool = False) -> Column:
    return Column(label, lambda row: row[name] or NOTHING, "name" if is_name else "text")


def _number(name: str, label: str, *, is_bad: bool = False) -> Column:
    return Column(
        label, lambda row: number(row[name]), is_bad=(lambda row: bool(row[name])) if is_bad else lambda _: False
    )


def _duration(name: str, label: str) -> Column:
    return Column(label, lambda row: duration(row[name]))


def _money(name: str, label: str) -> Column:
    return Column(label, lambda row: money(row[name], row["currency"]))


def _share(part: str, whole: str, label: str) -> Column:
    return Column(label, lambda row: share(row[part], row[whole]))


def _moment(name: str, label: str) -> Column:
    return Column(label, lambda row: moment(row[name]), "text")


_JOURNEY = Column("How to see its journey", lambda row: journey(row["order_id"]), "command")


def shown_tables(report: Report) -> dict[str, Shown]:
    """By the names of the questions."""
    overview = report.rows("overview")[0]
    most = max((row["orders"] for row in report.rows("busiest_restaurants")), default=0) or 1
    is_overdue: Callable[[Row], bool] = lambda row: row["cause"].endswith("overdue")  # noqa: E731 - said once
    return {
        "drop_outs": Shown(
            "Orders that are not completed, by the last stage they reached and the cause",
            (
                Column("Cause", lambda row: row["cause"], "name", is_overdue),
                _text("stage", "After"),
                _number("orders", "Orders"),
                Column("Of all orders", lambda row: share(row["orders"], overview["orders"])),
            ),
        ),
        "step_latency": Shown(
            "Time from the event that is heard to the event that follows",
            (
                _text("step", "Step", is_name=True),
                _number("orders", "Orders"),
                _duration("p50", "p50"),
                _duration("p95", "p95"),
                _duration("p99", "p99"),
                _duration("longest", "Longest"),
                _duration("deadline_seconds", "Deadline"),
                _number("late", "Late", is_bad=True),
            ),
        ),
        "missed_deadlines": Shown(
            "The fifteen restaurants with most orders that missed a deadline",
            (
                _text("restaurant_id", "Restaurant", is_name=True),
                _number("orders", "Orders"),
                _number("missed", "Missed"),
                _share("missed", "orders", "Of orders"),
                _number("answered_late", "Answered late"),
                _number(EXPIRED, "Expired"),
                _number("completed_late", "Completed late"),
                _number("overdue", "Overdue now"),
            ),
        ),
        "stuck_orders": Shown(
            "Orders that wait longer than the choreography allows: the twenty longest overdue",
            (
                _JOURNEY,
                Column("Overdue", lambda row: duration(row["overdue_seconds"]), is_bad=lambda _: True),
                _text("waits_for", "Waits for"),
                _text("restaurant_id", "Restaurant"),
                _moment("since", "Since"),
            ),
        ),
        "oldest_open": Shown(
            "Orders without an end: the ten longest waiting",
            (_JOURNEY, _duration("age_seconds", "Age"), _text("state", "State"), _text("restaurant_id", "Restaurant")),
        ),
        "revenue_over_time": Shown(
            "Orders by when they were placed, and the revenue of the completed ones",
            (
                Column("From", lambda row: moment(row["placed_from"])[:10], "name"),
                _number("orders", "Orders"),
                _share(COMPLETED, "orders", "Completed"),
                _money("revenue", "Revenue"),
            ),
        ),
        "revenue_by_city": Shown(
            "The fifteen cities with most orders, and the revenue of the completed ones",
            (
                _text("city", "City", is_name=True),
                _number("orders", "Orders"),
                _share(COMPLETED, "orders", "Completed"),
                _money("revenue", "Revenue"),
            ),
        ),
        "busiest_restaurants": Shown(
            "The fifteen restaurants with most orders",
            (
                Column(
                    "Restaurant",
                    lambda row: row["restaurant_id"] or NOTHING,
                    "name",
                    bar=lambda row: row["orders"] / most,
                ),
                _number("orders", "Orders"),
                _share(COMPLETED, "orders", "Completed"),
                _share(REJECTED, "orders", "Rejected"),
                _duration("median_seconds_to_answer", "Median answer"),
                _money("revenue", "Revenue"),
            ),
        ),
        "slow_restaurants": Shown(
            "The ten restaurants whose customers wait longest, of those with five completed orders",
            (
                _text("restaurant_id", "Restaurant", is_name=True),
                _number(COMPLETED, "Completed"),
                _duration("median_seconds_to_answer", "Median answer"),
                _duration("median_seconds", "Half done within"),
                _duration("p95_seconds", "95% done within"),
            ),
        ),
        "items": Shown(
            "The fifteen items of which most were ordered",
            (
                _text("name", "Item", is_name=True),
                _text("sku", "SKU"),
                _number("quantity", "Ordered"),
                _money("worth", "Worth"),
            ),
        ),
        "customers_by_orders": Shown(
            "Customers by how many orders they placed",
            (
                Column(
                    "Orders each",
                    lambda row: "5 or more" if row["orders_each"] == 5 else str(row["orders_each"]),
                    "name",
                ),
                _number("customers", "Customers"),
                _number("orders", "Orders"),
                Column("Of all orders", lambda row: share(row["orders"], overview["orders"])),
            ),
        ),
        "vouchers": Shown(
            "Completed orders with a voucher and without, and whether their customers ordered again",
            (
                Column("Completed order", lambda row: "with a voucher" if row["voucher"] else "without", "name"),
                _number(COMPLETED, "Orders"),
                _number("ordered_again", "Ordered again"),
                _share("ordered_again", COMPLETED, "Of them"),
                _duration("median_seconds_to_next", "Half within"),
            ),
        ),
    }
