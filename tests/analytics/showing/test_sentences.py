"""Sentences have the data's numbers, and say another thing where there are none."""

import pyarrow as pa
import pytest

from analytics.showing import Sentence, duration, say

ANSWER = pa.table({"orders": [2911], "share": [0.9451], "median": [None], "name": ["<b>Bobby's</b>\u202e\n"]})


@pytest.mark.parametrize(
    ("sentence", "told"),
    [
        ("{orders:order} came", "2,911 orders came"),
        ("{orders} of them, {share:share}", "2,911 of them, 94.5%"),
        ("{orders:.1e}", "2.9e+03"),
        ("half within {median:duration}", "nothing yet"),
        ("{weather}", "nothing yet"),
    ],
)
def test_numbers_come_from_the_first_row(sentence: str, told: str) -> None:
    assert str(say(ANSWER, sentence, "nothing yet")) == told


def test_one_is_no_plural_and_nothing_is_said_by_name() -> None:
    assert str(say(pa.table({"orders": [1]}), "{orders:order}")) == "1 order"
    assert str(say(ANSWER.slice(1), "{orders}")) == "The lake does not say: orders."
    assert str(say(None, "{orders}", "none")) == "none"


def test_markup_and_directions_of_the_data_are_shown_and_not_obeyed() -> None:
    said = say(ANSWER, "{name}")
    assert said._repr_html_().partition(">")[2] == "&lt;b&gt;Bobby&#x27;s&lt;/b&gt;\\u202e\\n</p>"
    assert repr(Sentence("a\tb")) == "a\\tb"


@pytest.mark.parametrize(
    ("seconds", "told"),
    [(0.304, "304 ms"), (1.66, "1.7 s"), (60, "1 min"), (3600, "1 h"), (9000, "2.5 h"), (-86_400 * 3, "-3 d")],
)
def test_a_duration_is_told_in_one_unit(seconds: float, told: str) -> None:
    assert duration(seconds) == told
