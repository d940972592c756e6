"""The realism card: generated orders pass it, and those of simpler generators do not."""

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from producers.load.market.demand import WeekDemand
from producers.load.market.market import Market
from producers.load.realism.comparison import PUBLISHED, card
from producers.load.realism.measurements import Measured, gini, measure
from producers.load.realism.picture import draw

pytestmark = pytest.mark.slow


def missed(measured: Measured) -> set[str]:
    return {row.statistic for row in card(measured.statistics) if not row.ok}


def plain_poisson(market: Market) -> Market:
    assert isinstance(market.demand, WeekDemand)
    return replace(market, demand=replace(market.demand, drift_shape=math.inf))


def zipf(exponent: float) -> Callable[[Market], Market]:
    def swapped(market: Market) -> Market:
        ranked = enumerate(market.restaurants, start=1)
        return replace(market, restaurants=tuple(replace(one, weight=rank**-exponent) for rank, one in ranked))

    return swapped


@pytest.fixture(scope="module")
def measured() -> Measured:
    return measure(7)


def test_every_statistic_is_within_its_tolerance(measured: Measured) -> None:
    assert missed(measured) == set()
    assert measured.statistics.keys() == PUBLISHED.keys()


def test_plain_poisson_arrivals_fail_it() -> None:
    assert missed(measure(7, plain_poisson)) == {"arrivals: variance / mean in peak hours"}


@pytest.mark.parametrize("exponent", [0.75, 1.0])
def test_zipf_weights_fail_it(exponent: float) -> None:
    assert "popularity: the top tenth's share" in missed(measure(7, zipf(exponent)))


def test_a_card_has_a_row_for_each_statistic_and_none_is_passed_over(measured: Measured) -> None:
    assert [row.statistic for row in card(measured.statistics)] == list(PUBLISHED)
    with pytest.raises(KeyError):
        card({})


def test_gini() -> None:
    assert gini([0.25] * 4) == pytest.approx(0)
    assert gini([1.0, 0, 0, 0]) == pytest.approx(0.75)


@pytest.mark.parametrize("name", ["card.svg", "card.png"])
def test_the_picture_is_drawn_and_an_svg_is_the_same_for_the_same_numbers(
    measured: Measured, tmp_path: Path, name: str
) -> None:
    draw(measured, tmp_path / name)
    first = (tmp_path / name).read_bytes()
    draw(measured, tmp_path / name)
    assert len(first) > 10_000
    assert (tmp_path / name).read_bytes() == first
    if name.endswith("svg"):
        assert b"Burstier than Poisson" in first
