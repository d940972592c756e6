"""A percentile is a value that was measured: the least that so many percent of all do not exceed."""

from datetime import timedelta

import pytest

from foundation.percentiles import percentile


@pytest.mark.parametrize(("percent", "value"), [(0, 1), (1, 1), (50, 50), (50.5, 51), (99, 99), (100, 100)])
def test_of_a_hundred_values(percent: float, value: float) -> None:
    assert percentile([float(one) for one in range(100, 0, -1)], percent) == value


def test_of_durations() -> None:
    seconds = [timedelta(seconds=one) for one in (4, 1, 3)]
    assert [percentile(seconds, percent) for percent in (50, 99)] == [timedelta(seconds=3), timedelta(seconds=4)]
