"""The protocol holds in every world within the bounds, and each part of it is needed."""

import pytest

from tests.analytics.archiving.commit_model import Bounds, Flaw, explore

pytestmark = pytest.mark.slow

TWO_HOLDERS = Bounds(holders=2, records=2, writes=6)
THREE_HOLDERS = Bounds(holders=3, records=2, writes=5)
LOST_OFFSETS = Bounds(holders=2, records=2, writes=6, offsets_may_be_lost=True)


@pytest.mark.parametrize(
    "bounds",
    [
        pytest.param(TWO_HOLDERS, id="two"),
        pytest.param(THREE_HOLDERS, id="three", marks=pytest.mark.nightly),
        pytest.param(LOST_OFFSETS, id="lost offsets", marks=pytest.mark.slow),
    ],
)
def test_each_record_is_there_once_and_a_fresh_holder_always_finishes(bounds: Bounds) -> None:
    worlds, violation = explore(bounds)
    assert violation == ""
    assert worlds > 1000


@pytest.mark.parametrize("flaw", [Flaw.NO_FENCE, Flaw.NO_CHECK, Flaw.NO_CONDITION])
def test_without_this_part_something_breaks(flaw: Flaw) -> None:
    _, violation = explore(TWO_HOLDERS, flaw)
    assert violation


def test_without_batch_ids_a_lost_offsets_object_breaks_it() -> None:
    _, violation = explore(LOST_OFFSETS, Flaw.NO_BATCH_ID)
    assert violation
