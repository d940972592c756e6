"""The report's figures as SVG text: one claim each, sharp at any size, on a light page or a dark one.

Each wants an answer that has rows, and gives the same bytes for the same answer. Ink is the page's own text colour.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

import matplotlib as mpl
import pyarrow as pa
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator

from analytics.report.canvas import FAINT, INK, NARROW, SETTINGS, WIDE, Titles, canvas, legend, svg_of
from analytics.report.words import duration, moment, money, number
from events import CANCELLED, COMPLETED, EXPIRED, REJECTED

# Told apart by the colour-blind (blue, grey, orange, violet, olive) and at least 3:1 on white and on near-black.
_ACCENT, _WARNING = "#3b82c4", "#d1690a"
_COLOURS = {
    COMPLETED: _ACCENT,
    "open": "#8a8f98",
    REJECTED: _WARNING,
    CANCELLED: "#8e6bbf",
    EXPIRED: "#7d7a1c",
}
_ALWAYS = (COMPLETED, "open", REJECTED)

# In matplotlib's days: it draws no axis beyond the years 1 to 9999. The end is a little early, since doubles are coarse
# there and matplotlib rounds them.
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_CALENDAR_STARTS = (datetime(1, 1, 1, tzinfo=UTC) - _EPOCH) / timedelta(days=1)
_CALENDAR_ENDS = (datetime(9999, 12, 31, 23, 59, 59, 900_000, tzinfo=UTC) - _EPOCH) / timedelta(days=1)

_DURATIONS = {
    0.001: "1 ms",
    0.01: "10 ms",
    0.1: "0.1 s",
    1.0: "1 s",
    10.0: "10 s",
    60.0: "1 min",
    600.0: "10 min",
    3600.0: "1 h",
    36000.0: "10 h",
    86400.0: "1 d",
    864000.0: "10 d",
}


def funnel(answer: pa.Table, width: int = WIDE) -> str:
    """Bars of how many orders reached each stage. `answer` is that of `questions.FUNNEL`."""
    rows = answer.to_pylist()
    with mpl.rc_context(SETTINGS):
        figure, axes = canvas(width, height=40 * len(rows) + 8)
        places = range(len(rows))
        most = max((row["orders"] for row in rows), default=0) or 1
        axes.barh(places, [most] * len(rows), color=INK, alpha=0.06, height=0.62)
        titles = Titles()
        for bar, row in zip(
            axes.barh(places, [row["orders"] for row in rows], color=_ACCENT, height=0.62), rows, strict=True
        ):
            titles.give(bar, f"{row['stage']}: {number(row['orders'])} orders")
        for place, row in enumerate(rows):
            share = "" if row["share"] is None else f" · {row['share']:.1%}"
            axes.annotate(
                f"{row['orders']:,}{share}", (1, place), (8, 0), ("axes fraction", "data"), "offset points", va="center"
            )
        axes.set_yticks(places, [row["stage"] for row in rows])
        axes.set_xlim(0, most)
        axes.invert_yaxis()
        axes.xaxis.set_major_locator(NullLocator())
        return svg_of(figure, f"funnel-{width}", titles)


def step_latency(answer: pa.Table, width: int = WIDE) -> str:
    """For each step the span from p50 over p95 to p99 and its deadline, on a logarithmic scale of durations.

    `answer` is that of `questions.STEP_LATENCY`; what took no time at all is drawn at a millisecond.
    """
    rows = answer.to_pylist()
    with mpl.rc_context(SETTINGS):
        figure, axes = canvas(width, height=44 * len(rows) + 64)
        titles = Titles()
        for place, row in enumerate(rows):
            quantiles = [max(row[name], 0.001) for name in ("p50", "p95", "p99")]
            axes.plot(quantiles, [place] * 3, color=_ACCENT, linewidth=3, solid_capstyle="round")
            for (size, name), at in zip(_QUANTILE_MARKS, quantiles, strict=True):
                dot = axes.scatter(at, place, s=size, color=_ACCENT, zorder=3)
                titles.give(dot, f"{row['step']}, {name}: {duration(row[name])}")
            mark = axes.scatter(
                row["deadline_seconds"], place, s=260, marker="|", color=_WARNING, linewidths=2.5, zorder=3
            )
            titles.give(mark, f"{row['step']}, deadline: {duration(row['deadline_seconds'])}")
        axes.set_xscale("log")
        drawn = [max(row[name], 0.001) for row in rows for name in ("p50", "p99", "deadline_seconds")]
        axes.set_xlim(min(drawn) / 2, max(drawn) * 2)
        marks = [mark for mark in _DURATIONS if min(drawn) / 2 <= mark <= max(drawn) * 2]
        axes.xaxis.set_major_locator(FixedLocator(marks[:: 1 if width >= WIDE else 2]))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: _DURATIONS[value]))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.set_yticks(range(len(rows)), [_wrapped(row["step"], width) for row in rows])
        axes.set_ylim(len(rows) - 0.5, -0.5)
        axes.grid(axis="x", color=INK, alpha=FAINT, linewidth=0.8)
        key = [
            *(axes.scatter([], [], s=size, color=_ACCENT, label=label) for size, label in _QUANTILE_MARKS),
            axes.scatter([], [], s=140, marker="|", color=_WARNING, linewidths=2.5, label="deadline"),
        ]
        legend(figure, key)
        return svg_of(figure, f"latency-{width}", titles)


_QUANTILE_MARKS = ((90, "p50"), (46, "p95"), (22, "p99"))


def orders_over_time(answer: pa.Table, bucket: timedelta, width: int = WIDE) -> str:
    """Bars of orders by when they were placed, stacked by how they stand now.

    `answer` is that of `questions.orders_over_time(bucket)`; the time axis is UTC.
    """
    rows = answer.to_pylist()
    with mpl.rc_context(SETTINGS):
        figure, axes = canvas(width, height=260)
        starts = [row["placed_from"] for row in rows]
        days = bucket / timedelta(days=1)  # matplotlib's unit of time
        bases, titles = [0] * len(rows), Titles()
        key: list[Any] = []
        for state, colour in _COLOURS.items():
            heights = [row[state] for row in rows]
            if state not in _ALWAYS and not any(heights):
                continue
            bars = axes.bar(starts, heights, days * 0.86, bases, align="edge", color=colour, label=state)
            for bar, height, start in zip(bars, heights, starts, strict=True):
                titles.give(bar, f"{number(height)} {state} of those from {moment(start)}")
            key.append(bars)
            bases = [base + height for base, height in zip(bases, heights, strict=True)]
        _time_and_counts(axes)
        legend(figure, key)
        return svg_of(figure, f"orders-{width}", titles)


def revenue_over_time(answer: pa.Table, bucket: timedelta, width: int = WIDE) -> str:
    """Bars of the revenue of one currency, that of which there are most orders; a bucket without orders has no bar.

    `answer` is that of `questions.revenue_over_time(bucket)`.
    """
    currency = most_used(answer)
    rows = [row for row in answer.to_pylist() if row["currency"] == currency]
    with mpl.rc_context(SETTINGS):
        figure, axes = canvas(width, height=200)
        titles = Titles()
        starts, heights = [row["placed_from"] for row in rows], [row["revenue"] for row in rows]
        bars = axes.bar(starts, heights, bucket / timedelta(days=1) * 0.86, align="edge", color=_ACCENT)
        for bar, row in zip(bars, rows, strict=True):
            titles.give(bar, f"{money(row['revenue'], currency)} from {moment(row['placed_from'])}")
        _time_and_counts(axes)
        # Words of the data stay out of axes: matplotlib reads some of them as formulas.
        axes.yaxis.set_major_formatter(
            FuncFormatter(lambda value, _: money(round(value), currency).rpartition("\N{NO-BREAK SPACE}")[2])
        )
        return svg_of(figure, f"revenue-{width}", titles)


def most_used(answer: pa.Table) -> str | None:
    """The currency of most orders."""
    orders: dict[str | None, int] = {}
    for row in answer.to_pylist():
        orders[row["currency"]] = orders.get(row["currency"], 0) + row["orders"]
    return max(orders, key=lambda currency: (orders[currency], currency or ""), default=None)


def latency_by_hour(answer: pa.Table, width: int = WIDE) -> str:
    """A line for each step: how soon 95% of it are done, by hour of the day.

    `answer` is that of `questions.LATENCY_BY_HOUR`.
    """
    rows = answer.to_pylist()
    with mpl.rc_context(SETTINGS):
        figure, axes = canvas(width, height=260)
        titles, key = Titles(), []
        steps = list(dict.fromkeys(row["step"] for row in rows))
        for step, colour, marker in zip(steps, _STEP_COLOURS, "osD^", strict=False):
            of_step = {row["hour"]: row for row in rows if row["step"] == step}
            # An hour without any is a gap in the line.
            ends = [max(of_step[hour]["p95"], 0.001) if hour in of_step else float("nan") for hour in range(24)]
            [line] = axes.plot(range(24), ends, color=colour, linewidth=1.8, marker=marker, markersize=4, label=step)
            key.append(line)
            for hour, row in of_step.items():
                dot = axes.scatter(hour, max(row["p95"], 0.001), s=130, alpha=0, color=colour)
                titles.give(
                    dot, f"{step}, {hour:02}:00: 95% within {duration(row['p95'])}, {number(row['orders'])} orders"
                )
        axes.set_yscale("log")
        drawn = [max(row["p95"], 0.001) for row in rows]
        axes.set_ylim(min(drawn) / 2, max(drawn) * 2)
        marks = [mark for mark in _DURATIONS if min(drawn) / 2 <= mark <= max(drawn) * 2]
        axes.yaxis.set_major_locator(FixedLocator(marks))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: _DURATIONS[value]))
        axes.yaxis.set_minor_locator(NullLocator())
        axes.set_xlim(-0.5, 23.5)
        hours = range(0, 24, 3 if width >= WIDE else 6)
        axes.set_xticks(list(hours), [f"{hour:02}:00" for hour in hours])
        axes.grid(color=INK, alpha=FAINT, linewidth=0.8)
        legend(figure, key, columns=4 if width >= WIDE else 2)
        return svg_of(figure, f"by-hour-{width}", titles)


# Told apart by their markers too.
_STEP_COLOURS = (_ACCENT, _WARNING, "#8e6bbf", "#7d7a1c")


def _time_and_counts(axes: Axes) -> None:
    """An axis of time below, one of whole numbers on the left."""
    axes.margins(x=0.01)
    _keep_within_the_calendar(axes)
    axes.yaxis.set_major_locator(MaxNLocator(5, integer=True))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    axes.grid(axis="y", color=INK, alpha=FAINT, linewidth=0.8)
    axes.set_axisbelow(True)


def _keep_within_the_calendar(axes: Axes) -> None:
    first, last = axes.get_xlim()
    if first < _CALENDAR_STARTS + 1 or last > _CALENDAR_ENDS - 1:
        axes.set_xlim(max(first, _CALENDAR_STARTS), min(last, _CALENDAR_ENDS))
        # The locator may put a mark behind the axis' end, on which the formatter breaks.
        axes.set_xticks([mark for mark in axes.get_xticks() if _CALENDAR_STARTS <= mark <= _CALENDAR_ENDS])


def _wrapped(words: str, width: int) -> str:
    """A label of several words, on two lines where there is little room."""
    head, _, tail = words.rpartition(" ")
    return f"{head}\n{tail}" if width < WIDE and head else words


__all__ = [
    "NARROW",
    "WIDE",
    "funnel",
    "latency_by_hour",
    "most_used",
    "orders_over_time",
    "revenue_over_time",
    "step_latency",
]
