"""Charts of any answer, by the names of its columns: each a `Picture` under its claim, or words where nothing is there.

The same answer gives the same picture. A row without a value is left out.
"""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

import pyarrow as pa
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator

from analytics.showing.pictures import ACCENT, FAINT, GREY, INK, OLIVE, VIOLET, WARNING, Canvas, Picture, drawing, label
from analytics.showing.sentences import Sentence, duration

_NOTHING = "Nothing to draw: the lake has no rows for this."
_IN_TURN = (ACCENT, WARNING, GREY, VIOLET, OLIVE)
_QUANTILES = {"p50": 90, "p95": 46, "p99": 22}
_MARKS = [0.001, 0.01, 0.1, 1, 10, 60, 600, 3600, 36_000, 86_400, 864_000, 8_640_000]

Claim = Sentence | str


def bars(
    answer: pa.Table, name: str, value: str, *, share: str = "", unit: str = "", most: int = 15, claim: Claim = ""
) -> Picture | Sentence:
    """A bar a row, with its number and the share beside it; the first `most` rows. `unit` "s" writes durations."""
    rows = _with(answer, value)[:most]
    if not rows:
        return Sentence(_NOTHING)
    with drawing():
        canvas = Canvas(str(claim), height=34 * len(rows) + 12)
        axes, places = canvas.axes, range(len(rows))
        longest = max(float(row[value]) for row in rows) or 1.0
        axes.barh(places, [longest] * len(rows), color=FAINT, height=0.62)
        axes.barh(places, [float(row[value]) for row in rows], color=ACCENT, height=0.62)
        for place, row in enumerate(rows):
            told = duration(row[value]) if unit == "s" else f"{row[value]:,}"
            told += f" · {row[share]:.1%}" if share and row[share] is not None else ""
            axes.annotate(told, (1, place), (8, 0), ("axes fraction", "data"), "offset points", va="center")
        axes.set_yticks(places, [label(row[name]) for row in rows])
        axes.set_xlim(0, longest)
        axes.set_ylim(len(rows) - 0.5, -0.5)
        axes.xaxis.set_major_locator(NullLocator())
        return canvas.picture()


def columns(
    answer: pa.Table, when: str, values: Sequence[str], width: timedelta, *, claim: Claim = ""
) -> Picture | Sentence:
    """Columns over time, in UTC, `width` wide, one value stacked on the other; what is nowhere above 0 is left out."""
    rows = _with(answer, when)
    if not rows:
        return Sentence(_NOTHING)
    with drawing():
        canvas = Canvas(str(claim), height=260)
        starts, bases, key = [row[when] for row in rows], [0.0] * len(rows), []
        for colour, name in zip(_IN_TURN, values, strict=False):
            heights = [float(row[name] or 0) for row in rows]
            if any(heights):
                days = width / timedelta(days=1) * 0.86
                key.append(canvas.axes.bar(starts, heights, days, bases, align="edge", color=colour, label=name))
                bases = [base + height for base, height in zip(bases, heights, strict=True)]
        _counted(canvas)
        if len(key) > 1:
            canvas.legend(key)
        return canvas.picture()


def spans(answer: pa.Table, name: str, *, deadline: str = "", claim: Claim = "") -> Picture | Sentence:
    """A row's span of seconds from `p50` over `p95` to `p99` as far as it has them, and its deadline; logarithmic."""
    rows = _with(answer, "p50")
    if not rows:
        return Sentence(_NOTHING)
    quantiles = [column for column in _QUANTILES if column in answer.column_names]
    with drawing():
        canvas = Canvas(str(claim), height=40 * len(rows) + 56)
        axes, drawn = canvas.axes, []
        for place, row in enumerate(rows):
            # What took no time at all is drawn at a millisecond.
            seconds = [max(row[column], 0.001) for column in quantiles]
            drawn += seconds
            axes.plot(seconds, [place] * len(seconds), color=ACCENT, linewidth=3, solid_capstyle="round")
            axes.scatter(seconds, [place] * len(seconds), s=[_QUANTILES[one] for one in quantiles], color=ACCENT)
            if deadline and row[deadline] is not None:
                drawn.append(row[deadline])
                axes.scatter(row[deadline], place, s=260, marker="|", color=WARNING, linewidths=2.5, zorder=3)
        axes.set_xscale("log")
        axes.set_xlim(min(drawn) / 2, max(drawn) * 2)
        axes.xaxis.set_major_locator(FixedLocator([one for one in _MARKS if min(drawn) / 2 <= one <= max(drawn) * 2]))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda seconds, _: duration(seconds)))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.set_yticks(range(len(rows)), [label(row[name]) for row in rows])
        axes.set_ylim(len(rows) - 0.5, -0.5)
        axes.grid(axis="x", color=FAINT)
        key = [axes.scatter([], [], s=_QUANTILES[one], color=ACCENT, label=one) for one in quantiles]
        if deadline:
            key.append(axes.scatter([], [], s=140, marker="|", color=WARNING, linewidths=2.5, label="deadline"))
        canvas.legend(key)
        return canvas.picture()


def heat_map(
    answer: pa.Table, across: str, down: str, value: str, *, names: Sequence[str] = (), claim: Claim = ""
) -> Picture | Sentence:
    """A cell for each `across`, a whole number, and `down`; the darker, the more. `names` are those of `down`."""
    rows = _with(answer, across, down, value)
    if not rows:
        return Sentence(_NOTHING)
    cells: Mapping[tuple[Any, Any], float] = {(row[down], row[across]): float(row[value]) for row in rows}
    left, right = min(row[across] for row in rows), max(row[across] for row in rows)
    places = range(left, right + 1)
    kinds = list(range(len(names))) if names else sorted({row[down] for row in rows})
    with drawing():
        canvas = Canvas(str(claim), height=30 * len(kinds) + 40)
        axes = canvas.axes
        most = max(cells.values()) or 1.0
        grid = [[cells.get((kind, place), 0.0) for place in places] for kind in kinds]
        axes.imshow(grid, cmap="Blues", vmin=0, vmax=most, aspect="auto", extent=_extent(places, kinds))
        for number, kind in enumerate(kinds):
            for place in places:
                if here := cells.get((kind, place)):
                    ink = "white" if here > 0.6 * most else INK
                    axes.text(place, number, f"{here:,.0f}", ha="center", va="center", color=ink, fontsize=9)
        axes.set_yticks(range(len(kinds)), [label(names[kind] if names else kind) for kind in kinds])
        axes.set_xticks(list(places)[:: max(1, len(places) // 24)])
        return canvas.picture()


def _extent(places: Sequence[int], kinds: Sequence[Any]) -> tuple[float, float, float, float]:
    return places[0] - 0.5, places[-1] + 0.5, len(kinds) - 0.5, -0.5


def _with(answer: pa.Table, *needed: str) -> list[dict[str, Any]]:
    """The rows that have a value in each of these columns."""
    rows: list[dict[str, Any]] = answer.to_pylist()
    return [row for row in rows if all(row[name] is not None for name in needed)]


def _counted(canvas: Canvas) -> None:
    axes = canvas.axes
    axes.margins(x=0.01)
    axes.set_ylim(bottom=0)
    axes.yaxis.set_major_locator(MaxNLocator(5))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    axes.grid(axis="y", color=FAINT)
    axes.set_axisbelow(True)
