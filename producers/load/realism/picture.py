"""The realism card as a picture: what was generated, and over it what was published."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.typing import RcKeyType

from producers.load.market import SLOT_MINUTES
from producers.load.realism.measurements import SLOTS_A_DAY, SLOTS_AN_HOUR, Measured

GENERATED, PUBLISHED = "#3b82c4", "#d1690a"
# Grubhub's times to ready, fitted by likelihood: shape, and scale in minutes.
READY_SHAPE, READY_SCALE = 2.12, 8.34
# The published ranges of the best lunch and dinner hours' shares.
LUNCH, DINNER = (0.06, 0.12), (0.12, 0.22)
TOP_SHARES = ((0.1, 0.34, 0.41), (0.2, 0.54, 0.60))
BASKET_QUARTILES = (2, 3, 4)

_SETTINGS: dict[RcKeyType, Any] = {"svg.fonttype": "none", "svg.hashsalt": "takeaway", "font.size": 9}


def draw(measured: Measured, path: Path) -> None:
    """Writes it as the name says: SVG or PNG. The same numbers give the same SVG."""
    with mpl.rc_context(_SETTINGS):
        figure = Figure(figsize=(12, 7), layout="constrained")
        axes = figure.subplots(2, 3)
        _hours(axes[0, 0], measured.hours)
        _counts(axes[0, 1], measured.slot_counts)
        _ready(axes[0, 2], measured.waits)
        _promises(axes[1, 0], measured)
        _popularity(axes[1, 1], measured.shares)
        _baskets(axes[1, 2], measured)
        figure.legend(
            *zip(*[(axes[0, 0].patches[0], "generated"), (axes[0, 0].lines[0], "published")], strict=True),
            loc="outside lower center",
            ncols=2,
            frameon=False,
        )
        for each in figure.axes:
            each.spines[["top", "right"]].set_visible(False)
        metadata = {"Date": None} if path.suffix == ".svg" else None
        figure.savefig(path, dpi=120, metadata=metadata)


def _hours(axes: Axes, hours: Sequence[float]) -> None:
    axes.set_title("Two peaks a day: share of the orders by hour")
    axes.bar(range(24), hours, color=GENERATED)
    for (least, most), (first, last) in ((LUNCH, (10.5, 14.5)), (DINNER, (16.5, 22.5))):
        axes.plot([first, last], [least, least], color=PUBLISHED)
        axes.plot([first, last], [most, most], color=PUBLISHED)
        axes.fill_between([first, last], least, most, color=PUBLISHED, alpha=0.15, lw=0)
    axes.set_xlabel("hour of the day; bands: where the best lunch and dinner hour lie")


def _counts(axes: Axes, slot_counts: Sequence[int]) -> None:
    """Of the dinner hour that is the best on most days, each beside its own day's mean."""
    axes.set_title(f"Burstier than Poisson: {SLOT_MINUTES}-minute counts at dinner")
    first = 18 * SLOTS_AN_HOUR
    apart: list[float] = []
    for at in range(0, len(slot_counts), SLOTS_A_DAY):
        hour = slot_counts[at + first : at + first + SLOTS_AN_HOUR]
        apart += [count - sum(hour) / len(hour) for count in hour]
    edges = np.arange(-20, 21, 2)
    axes.hist(apart, bins=list(edges), color=GENERATED, density=True)
    mean = float(np.mean(slot_counts) * SLOTS_A_DAY / SLOTS_AN_HOUR * 0.155)
    for dispersion, style, name in ((1.47, "-", "variance / mean 1.47"), (1.0, ":", "plain Poisson")):
        sd = math.sqrt(dispersion * mean * (SLOTS_AN_HOUR - 1) / SLOTS_AN_HOUR)
        xs = np.linspace(-20, 20, 200)
        density = np.exp(-((xs / sd) ** 2) / 2) / sd / math.sqrt(2 * math.pi)
        axes.plot(xs, density, style, color=PUBLISHED, label=name)
    axes.legend(frameon=False)
    axes.set_xlabel("orders above or below the hour's mean")


def _ready(axes: Axes, waits: Sequence[float]) -> None:
    axes.set_title("From placing to ready, in minutes")
    axes.hist(waits, bins=list(range(0, 81, 2)), color=GENERATED, density=True)
    xs = np.linspace(0.1, 80, 200)
    scale = math.gamma(READY_SHAPE) * READY_SCALE**READY_SHAPE
    axes.plot(xs, xs ** (READY_SHAPE - 1) * np.exp(-xs / READY_SCALE) / scale, color=PUBLISHED)
    axes.set_xlabel(f"line: Grubhub's gamma({READY_SHAPE}, {READY_SCALE})")


def _promises(axes: Axes, measured: Measured) -> None:
    axes.set_title("People promise round numbers")
    minutes = sorted(measured.promises)
    total = measured.promises.total()
    axes.bar(minutes, [measured.promises[one] / total for one in minutes], width=3.5, color=GENERATED)
    axes.plot([10, 15, 20, 25, 30], [0.005] * 5, "v", color=PUBLISHED)
    axes.set_xticks(range(0, 65, 5))
    axes.set_xlim(0, 62)
    axes.set_xlabel("promised minutes; marked: the published five most common")


def _popularity(axes: Axes, markets: Sequence[tuple[float, ...]]) -> None:
    axes.set_title("A tenth of the restaurants has over a third")
    for shares in markets:
        axes.plot(np.arange(1, len(shares) + 1) / len(shares), np.cumsum(shares), color=GENERATED, alpha=0.5, lw=1)
    for top, least, most in TOP_SHARES:
        axes.plot([top, top], [least, most], color=PUBLISHED, lw=4)
    axes.set_xlabel("share of the restaurants, the most popular first; a line a market")
    axes.set_ylabel("share of the orders")


def _baskets(axes: Axes, measured: Measured) -> None:
    axes.set_title("Items in a basket")
    sizes = [size for size in sorted(measured.baskets) if size <= 14]
    axes.bar(sizes, [measured.baskets[size] / measured.baskets.total() for size in sizes], color=GENERATED)
    for quartile in BASKET_QUARTILES:
        axes.axvline(quartile, color=PUBLISHED, ls="--", lw=1)
    axes.set_xlabel("dashed: DoorDash's quartiles")
