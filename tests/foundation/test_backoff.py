"""Pauses between tries: doubled each time, up to a longest one."""

import pytest

from foundation.backoff import pause_after


@pytest.mark.parametrize(
    ("first", "longest", "pauses"),
    [(1.0, 30.0, [1, 2, 4, 8, 16, 30, 30]), (0.05, 2.0, [0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 2]), (3.0, 2.0, [2, 2])],
)
def test_a_pause_doubles_up_to_the_longest(first: float, longest: float, pauses: list[float]) -> None:
    asked = [pause_after(failures, first=first, longest=longest) for failures in range(1, len(pauses) + 1)]
    assert asked == pauses


def test_unless_told_otherwise_it_goes_from_a_second_to_half_a_minute() -> None:
    assert (pause_after(1), pause_after(10_000)) == (1, 30)
