"""Percentiles of what was measured, by the nearest rank: always a value that was."""

import math
from collections.abc import Iterable
from datetime import timedelta
from typing import TypeVar

MeasuredT = TypeVar("MeasuredT", float, timedelta)


def percentile(values: Iterable[MeasuredT], percent: float) -> MeasuredT:
    """The least value that so many percent of all values do not exceed. There must be one value at least."""
    ordered = sorted(values)
    return ordered[max(math.ceil(percent / 100 * len(ordered)) - 1, 0)]
