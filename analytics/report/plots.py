"""The report's figures as SVG text: one claim each, sharp at any size, on a light page or a dark one.

Each wants an answer that has rows, and gives the same bytes for the same answer. Ink is the page's own text colour.
"""

import io
import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import matplotlib as mpl
import pyarrow as pa
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator
from matplotlib.typing import RcKeyType

from events import CANCELLED, COMPLETED, EXPIRED, REJECTED

# Widths in CSS pixels at which a figure's text has its true size: a column of text, and a phone.
WIDE = 720
NARROW = 340

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

# matplotlib knows no `currentColor`: ink is drawn in a colour nobody uses, and renamed in the text it leaves.
_INK = "#010203"
_FAINT = 0.18

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

_SETTINGS: dict[RcKeyType, Any] = {
    "svg.fonttype": "none",  # text stays text: searchable, selectable, in the page's own font
    "svg.hashsalt": "takeaway",
    "font.size": 12,
    "date.converter": "concise",
    "timezone": "UTC",
    "text.color": _INK,
    "axes.edgecolor": _INK,
    "axes.labelcolor": _INK,
    "xtick.color": _INK,
    "ytick.color": _INK,
}


def funnel(answer: pa.Table, width: int = WIDE) -> str:
    """Bars of how many orders reached each stage. `answer` is that of `questions.FUNNEL`."""
    rows = answer.to_pylist()
    with mpl.rc_context(_SETTINGS):
        figure, axes = _canvas(width, height=40 * len(rows) + 8)
        places = range(len(rows))
        most = max((row["orders"] for row in rows), default=0) or 1
        axes.barh(places, [most] * len(rows), color=_INK, alpha=0.06, height=0.62)
        axes.barh(places, [row["orders"] for row in rows], color=_ACCENT, height=0.62)
        for place, row in enumerate(rows):
            share = "" if row["share"] is None else f" · {row['share']:.1%}"
            axes.annotate(
                f"{row['orders']:,}{share}", (1, place), (8, 0), ("axes fraction", "data"), "offset points", va="center"
            )
        axes.set_yticks(places, [row["stage"] for row in rows])
        axes.set_xlim(0, most)
        axes.invert_yaxis()
        axes.xaxis.set_major_locator(NullLocator())
        return _svg(figure, f"funnel-{width}")


def step_latency(answer: pa.Table, width: int = WIDE) -> str:
    """For each step the span from p50 over p95 to p99 and its deadline, on a logarithmic scale of durations.

    `answer` is that of `questions.STEP_LATENCY`; what took no time at all is drawn at a millisecond.
    """
    rows = answer.to_pylist()
    with mpl.rc_context(_SETTINGS):
        figure, axes = _canvas(width, height=44 * len(rows) + 64)
        for place, row in enumerate(rows):
            quantiles = [max(row[name], 0.001) for name in ("p50", "p95", "p99")]
            axes.plot(quantiles, [place] * 3, color=_ACCENT, linewidth=3, solid_capstyle="round")
            axes.scatter(quantiles, [place] * 3, s=[90, 46, 22], color=_ACCENT, zorder=3)
            axes.scatter(row["deadline_seconds"], place, s=260, marker="|", color=_WARNING, linewidths=2.5, zorder=3)
        axes.set_xscale("log")
        drawn = [max(row[name], 0.001) for row in rows for name in ("p50", "p99", "deadline_seconds")]
        axes.set_xlim(min(drawn) / 2, max(drawn) * 2)
        marks = [mark for mark in _DURATIONS if min(drawn) / 2 <= mark <= max(drawn) * 2]
        axes.xaxis.set_major_locator(FixedLocator(marks[:: 1 if width >= WIDE else 2]))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: _DURATIONS[value]))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.set_yticks(range(len(rows)), [_wrapped(row["step"], width) for row in rows])
        axes.set_ylim(len(rows) - 0.5, -0.5)
        axes.grid(axis="x", color=_INK, alpha=_FAINT, linewidth=0.8)
        key = [
            *(axes.scatter([], [], s=size, color=_ACCENT, label=label) for size, label in _QUANTILE_MARKS),
            axes.scatter([], [], s=140, marker="|", color=_WARNING, linewidths=2.5, label="deadline"),
        ]
        _legend(figure, key)
        return _svg(figure, f"latency-{width}")


_QUANTILE_MARKS = ((90, "p50"), (46, "p95"), (22, "p99"))


def orders_over_time(answer: pa.Table, bucket: timedelta, width: int = WIDE) -> str:
    """Bars of orders by when they were placed, stacked by how they stand now.

    `answer` is that of `questions.orders_over_time(bucket)`; the time axis is UTC.
    """
    rows = answer.to_pylist()
    with mpl.rc_context(_SETTINGS):
        figure, axes = _canvas(width, height=260)
        starts = [row["placed_from"] for row in rows]
        days = bucket / timedelta(days=1)  # matplotlib's unit of time
        bases = [0] * len(rows)
        key: list[Any] = []
        for state, colour in _COLOURS.items():
            heights = [row[state] for row in rows]
            if state not in _ALWAYS and not any(heights):
                continue
            bars = axes.bar(starts, heights, days * 0.86, bases, align="edge", color=colour, label=state)
            key.append(bars)
            bases = [base + height for base, height in zip(bases, heights, strict=True)]
        axes.margins(x=0.01)
        _keep_within_the_calendar(axes)
        axes.yaxis.set_major_locator(MaxNLocator(5, integer=True))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
        axes.grid(axis="y", color=_INK, alpha=_FAINT, linewidth=0.8)
        axes.set_axisbelow(True)
        _legend(figure, key)
        return _svg(figure, f"orders-{width}")


def _keep_within_the_calendar(axes: Axes) -> None:
    first, last = axes.get_xlim()
    if first < _CALENDAR_STARTS + 1 or last > _CALENDAR_ENDS - 1:
        axes.set_xlim(max(first, _CALENDAR_STARTS), min(last, _CALENDAR_ENDS))
        # The locator may put a mark behind the axis' end, on which the formatter breaks.
        axes.set_xticks([mark for mark in axes.get_xticks() if _CALENDAR_STARTS <= mark <= _CALENDAR_ENDS])


def _canvas(width: int, height: int) -> tuple[Figure, Axes]:
    """An empty figure of that many CSS pixels, with no box around its axes."""
    figure = Figure(figsize=(width / 72, height / 72), layout="constrained")
    figure.patch.set_alpha(0)
    axes = figure.add_subplot()
    axes.patch.set_alpha(0)
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0, pad=6)
    return figure, axes


def _legend(figure: Figure, handles: Sequence[Any]) -> None:
    figure.legend(handles=handles, loc="outside upper left", ncols=len(handles), frameon=False, handlelength=1)


def _wrapped(words: str, width: int) -> str:
    """A label of several words, on two lines where there is little room."""
    head, _, tail = words.rpartition(" ")
    return f"{head}\n{tail}" if width < WIDE and head else words


def _svg(figure: Figure, name: str) -> str:
    """The figure as an `<svg>` element to put into a page: no fixed size, ids of its own, the page's ink and font."""
    written = io.StringIO()
    figure.savefig(written, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    text = written.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r'(<svg [^>]*?)width="[^"]+" height="[^"]+"', r"\1", text, count=1, flags=re.DOTALL)
    text = re.sub(r"<defs>\s*<style.*?</defs>", "", text, count=1, flags=re.DOTALL)  # it would style the whole page
    text = re.sub(r'\bid="', f'id="{name}-', text)
    text = re.sub(r'(url\(|href=")#', rf"\1#{name}-", text)
    text = re.sub(r"font-family: [^;\"]+;?", "", text)
    return text.replace(_INK, "currentColor").strip()
