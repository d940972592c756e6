"""The figures: what they show, and that they fit into any page."""

import re
from collections.abc import Callable, Sequence
from datetime import timedelta
from functools import partial
from xml.etree import ElementTree as ET

import matplotlib as mpl
import pyarrow as pa
import pytest

from analytics.questions import FUNNEL, LATENCY_BY_HOUR, STEP_LATENCY, Question, orders_over_time, revenue_over_time
from analytics.questions.asking import working_set
from analytics.report import plots
from tests.support.lake_rows import GOOD, a_table, an_event, an_order, some_orders

pytestmark = pytest.mark.slow

Figure = Callable[..., str]
BUCKET, DAY = timedelta(minutes=5), timedelta(days=1)
FIGURES: dict[str, Figure] = {
    "funnel": plots.funnel,
    "step_latency": plots.step_latency,
    "latency_by_hour": plots.latency_by_hour,
    "orders_over_time": partial(plots.orders_over_time, bucket=BUCKET),
    "revenue_over_time": partial(plots.revenue_over_time, bucket=DAY),
}
each_figure = pytest.mark.parametrize(("name", "figure"), FIGURES.items(), ids=FIGURES)


def answers(records: pa.Table, asked: Sequence[Question]) -> dict[str, pa.Table]:
    with working_set(records) as taken:
        return taken.answers(asked)


@pytest.fixture(scope="module")
def asked() -> dict[str, pa.Table]:
    asked = [FUNNEL, STEP_LATENCY, LATENCY_BY_HOUR, orders_over_time(BUCKET), revenue_over_time(DAY)]
    return answers(a_table(some_orders()), asked)


def words(svg: str) -> list[str]:
    """The texts in a figure, which must be well-formed."""
    return ["".join(node.itertext()).strip() for node in ET.fromstring(svg).iter("{http://www.w3.org/2000/svg}text")]  # noqa: S314 our own


def boxes(svg: str, colour: str) -> list[tuple[float, float]]:
    """Width and height of each rectangle filled with `colour`, in the order drawn, without the legend's."""
    drawn = svg[: svg.find("-legend_1")] if "-legend_1" in svg else svg
    sizes = []
    for path, style in re.findall(r'<path d="([^"]+)"[^>]*?style="([^"]*)"', drawn):
        corners = [(float(x), float(y)) for x, y in re.findall(r"[ML] ([-\d.]+) ([-\d.]+)", path)]
        if f"fill: {colour}" in style and len(corners) == 4:
            across, down = zip(*corners, strict=True)
            sizes.append((max(across) - min(across), max(down) - min(down)))
    return sizes


@each_figure
def test_the_same_answer_gives_the_same_bytes(name: str, figure: Figure, asked: dict[str, pa.Table]) -> None:
    assert figure(asked[name]) == figure(asked[name])


@each_figure
def test_matplotlib_is_left_as_it_was(name: str, figure: Figure, asked: dict[str, pa.Table]) -> None:
    before = dict(mpl.rcParams)
    figure(asked[name])
    assert dict(mpl.rcParams) == before


@each_figure
@pytest.mark.parametrize("width", [plots.WIDE, plots.NARROW])
def test_a_figure_takes_size_ink_and_font_from_its_page(
    name: str, figure: Figure, asked: dict[str, pa.Table], width: int
) -> None:
    svg = figure(asked[name], width=width)
    element = ET.fromstring(svg)  # noqa: S314 our own
    assert (element.get("width"), element.get("height")) == (None, None)
    assert (element.get("viewBox") or "").startswith(f"0 0 {width} ")
    assert "fill: currentColor" in svg
    assert not re.search(r"font-family|<style|<script|#010203|#000000|#ffffff", svg)
    assert not re.search(r"<dc:date|matplotlib v", svg.lower())


def test_figures_in_one_page_share_no_id_and_refer_to_their_own(asked: dict[str, pa.Table]) -> None:
    drawn = [
        figure(asked[name], width=width) for name, figure in FIGURES.items() for width in (plots.WIDE, plots.NARROW)
    ]
    ids = [re.findall(r'\bid="([^"]+)"', svg) for svg in drawn]
    assert len({each for of_one in ids for each in of_one}) == sum(map(len, ids))
    for svg, own in zip(drawn, ids, strict=True):
        assert set(re.findall(r'(?:url\(|href=")#([^)"]+)', svg)) <= set(own)


def test_the_funnel_draws_each_stage_in_proportion() -> None:
    rows = [
        *an_order(*GOOD, order_id="a"),
        *an_order("restaurant_notified", "order_rejected", order_id="b"),
        *an_order("restaurant_notified", "order_accepted", order_id="c"),
        *an_order(order_id="d"),
    ]
    svg = plots.funnel(answers(a_table(rows), [FUNNEL])["funnel"])
    widths = [width for width, _ in boxes(svg, "#3b82c4")]
    assert [width / widths[0] for width in widths] == pytest.approx([1, 0.75, 0.5, 0.25], abs=1e-4)
    assert {"placed", "4 · 100.0%", "notified", "3 · 75.0%", "accepted", "2 · 50.0%", "1 · 25.0%"} <= set(words(svg))


def test_the_funnel_of_no_orders_is_empty_and_no_error() -> None:
    svg = plots.funnel(answers(a_table([]), [FUNNEL])["funnel"])
    assert [text for text in words(svg) if "0" in text] == ["0"] * 4
    assert [width for width, _ in boxes(svg, "#3b82c4") if width] == []


def test_orders_over_time_are_stacked_by_state() -> None:
    question = orders_over_time(BUCKET)
    rows = [
        *[row for number in range(4) for row in an_order(*GOOD, order_id=f"completed {number}")],
        *[row for number in range(2) for row in an_order("restaurant_notified", order_id=f"open {number}")],
        *an_order("restaurant_notified", "order_rejected", order_id="rejected"),
    ]
    svg = plots.orders_over_time(answers(a_table(rows), [question])[question.name], BUCKET)
    heights = [boxes(svg, colour)[0][1] for colour in ("#3b82c4", "#8a8f98", "#d1690a")]
    assert [height / heights[2] for height in heights] == pytest.approx([4, 2, 1], abs=1e-3)
    assert {"completed", "open", "rejected"} <= set(words(svg))
    assert not {"cancelled", "expired"} & set(words(svg))
    for end in ("order_cancelled", "order_expired", "order_expired"):
        rows += an_order(end, order_id=f"{end} {len(rows)}")
    svg = plots.orders_over_time(answers(a_table(rows), [question])[question.name], BUCKET)
    heights = [boxes(svg, colour)[0][1] for colour in ("#3b82c4", "#8e6bbf", "#7d7a1c")]
    assert [height / heights[1] for height in heights] == pytest.approx([4, 1, 2], abs=1e-3)
    assert {"cancelled", "expired"} <= set(words(svg))


def test_a_time_axis_is_in_utc() -> None:
    question = orders_over_time(BUCKET)
    rows = [row for hour in range(3) for row in an_order(*GOOD, order_id=f"{hour}", after=hour * 3600)]
    svg = plots.orders_over_time(answers(a_table(rows), [question])[question.name], BUCKET)
    assert {"12:00", "13:00", "14:00"} <= set(words(svg))


def test_step_latency_names_steps_and_quantiles(asked: dict[str, pa.Table]) -> None:
    shown = words(plots.step_latency(asked["step_latency"]))
    assert {"notify the restaurant", "accept or reject", "p50", "p95", "p99", "deadline", "1 min"} <= set(shown)


def test_a_step_that_took_no_time_or_less_is_drawn() -> None:
    rows = [an_event("order_placed", after=5), an_event("restaurant_notified", after=3)]
    assert "1 ms" in words(plots.step_latency(answers(a_table(rows), [STEP_LATENCY])["step_latency"]))
