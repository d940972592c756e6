"""Lengths of time in words: exact, and roughly."""

from datetime import timedelta

import pytest

from takeaway.terminal.tables import in_words, roughly


@pytest.mark.parametrize(
    ("length", "exact", "rough"),
    [
        (timedelta(), "0 s", "0 s"),
        (timedelta(seconds=0.5), "0.5 s", "0 s"),
        (timedelta(seconds=90), "90 s", "90 s"),
        (timedelta(minutes=2), "2 min", "2 min"),
        (timedelta(minutes=2, seconds=40), "160 s", "3 min"),
        (timedelta(minutes=90), "90 min", "90 min"),
        (timedelta(hours=2), "2 h", "2 h"),
        (timedelta(days=1), "24 h", "24 h"),
        (timedelta(days=2, hours=11), "59 h", "2 days"),
    ],
)
def test_a_length_of_time(length: timedelta, exact: str, rough: str) -> None:
    assert (in_words(length), roughly(length)) == (exact, rough)
