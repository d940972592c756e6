"""A stream that is made anew under its name is archived whole, beside the one before, in every world in the bounds."""

import pytest

from tests.analytics.archiving.commit_model import Bounds
from tests.analytics.archiving.creation_model import explore


def bounds(*, writes: int, offsets_may_be_lost: bool) -> Bounds:
    return Bounds(holders=1, records=1, writes=writes, commits=2, offsets_may_be_lost=offsets_may_be_lost)


@pytest.mark.parametrize(
    ("writes", "offsets_may_be_lost"),
    [
        pytest.param(4, False, id="one each", marks=pytest.mark.nightly),
        pytest.param(3, True, id="lost offsets", marks=pytest.mark.slow),
        pytest.param(4, True, id="lost offsets, and one more start", marks=pytest.mark.nightly),
    ],
)
def test_each_record_of_both_streams_is_there_once(writes: int, offsets_may_be_lost: bool) -> None:
    worlds, violation = explore(bounds(writes=writes, offsets_may_be_lost=offsets_may_be_lost))
    assert violation == ""
    assert worlds > 1000


@pytest.mark.slow
def test_without_creations_the_stream_made_anew_is_lost() -> None:
    _, violation = explore(bounds(writes=4, offsets_may_be_lost=False), knows_creations=False)
    assert violation
