"""Charts of any answer: the same picture each time, names of the data as they are, and words where nothing is."""

import io
from datetime import UTC, datetime, timedelta
from typing import Any
from xml.etree import ElementTree as ET

import pyarrow as pa
import pytest
from matplotlib.image import imread

from analytics.showing import Picture, Sentence, bars, columns, heat_map, spans

pytestmark = pytest.mark.slow
STRANGE = "Bobby's <script>alert(1)</script> & $\\frac{1}{0}$ 🍕 \u202e\x00" + "long " * 200
ANSWER = pa.table(
    {
        "name": [STRANGE, "plain", None],
        "orders": [7, 0, None],
        "share": [0.9, None, None],
        "at": [datetime(2026, 6, 1, 12, tzinfo=UTC), datetime(2026, 6, 3, 12, tzinfo=UTC), None],
        "hour": [1, 3, None],
        "p50": [0.0, 5.0, None],
        "p95": [12.0, 5.0, None],
        "deadline": [60.0, None, None],
    }
)
HOUR = timedelta(hours=1)
CHARTS: dict[str, Any] = {
    "bars": lambda answer: bars(answer, "name", "orders", share="share", claim=STRANGE[:80]),
    "columns": lambda answer: columns(answer, "at", ["orders", "hour"], HOUR, claim="claim"),
    "spans": lambda answer: spans(answer, "name", deadline="deadline", claim="claim"),
    "heat_map": lambda answer: heat_map(answer, "hour", "name", "orders"),
}
each = pytest.mark.parametrize("chart", CHARTS.values(), ids=CHARTS)


@each
def test_a_picture_has_three_forms_that_are_the_same_each_time(chart: Any) -> None:
    one, again = chart(ANSWER), chart(ANSWER)
    assert isinstance(one, Picture)
    assert (one.svg, one.png) == (again.svg, again.png)
    data, metadata = one._repr_mimebundle_()
    assert set(data) == {"image/svg+xml", "image/png", "text/plain"}
    assert imread(io.BytesIO(one.png)).shape[1] == 2 * metadata["image/png"]["width"]
    # No glimpse of a name can be a tag, and the claim is one line of plain text.
    texts = [node.text or "" for node in ET.fromstring(one.svg).iter("{http://www.w3.org/2000/svg}text")]  # noqa: S314
    assert any("<script>" in text for text in texts) or "name" not in chart.__code__.co_consts
    assert not {"\u202e", "\x00", "\n"} & set(one.svg + repr(one))
    assert len(one.png) < 60_000


@each
@pytest.mark.parametrize("answer", [ANSWER.slice(2), ANSWER.slice(3)], ids=["no values", "no rows"])
def test_where_nothing_is_words_say_so(chart: Any, answer: pa.Table) -> None:
    assert chart(answer) == Sentence("Nothing to draw: the lake has no rows for this.")
