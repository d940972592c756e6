"""A stream that is made anew under its name is archived whole, beside the one before, in every world in the bounds."""

import pytest

from tests.analytics.archiving.commit_model import Bounds
from tests.analytics.archiving.creation_model import explore

pytestmark = pytest.mark.slow

ONE_EACH = Bounds(holders=1, records=1, writes=4, commits=2)
LOST_OFFSETS = Bounds(holders=1, records=1, writes=4, commits=2, offsets_may_be_lost=True)


@pytest.mark.parametrize("bounds", [pytest.param(ONE_EACH, id="one each"), pytest.param(LOST_OFFSETS, id="lost")])
def test_each_record_of_both_streams_is_there_once(bounds: Bounds) -> None:
    worlds, violation = explore(bounds)
    assert violation == ""
    assert worlds > 1000


def test_without_creations_the_stream_made_anew_is_lost() -> None:
    _, violation = explore(ONE_EACH, knows_creations=False)
    assert violation
