"""The offsets object, and places in a shard."""

import pytest

from analytics.bucket import Bucket, WriteRefused
from analytics.offsets import Offsets, OffsetsObject, Pending, Place, random_id
from tests.fakes.bucket import FakeBucket

BEFORE = Offsets(epoch=1, n=3, hi=Place("0049", 2))
BETWEEN = Offsets(
    epoch=1,
    n=3,
    hi=Place("0049", 2),
    pending=Pending(batch_id="b", n=4, lo=Place("0049", 2), hi=Place("50"), files=("a",), rows=1, schema="s"),
)


@pytest.fixture
def offsets() -> OffsetsObject:
    return OffsetsObject(Bucket(FakeBucket().client, "lake"), "events/_offsets/orders/shard.json", random_id)


def test_what_is_written_is_read_back_with_its_text_as_received(offsets: OffsetsObject) -> None:
    assert offsets.read() is None
    held = offsets.replace(offsets.create(BEFORE), BETWEEN)
    assert offsets.read() == held
    assert held.offsets.hi is not None
    assert held.offsets.hi.sequence_number == "0049"
    assert held.offsets.pending == BETWEEN.pending


def test_a_content_that_comes_back_is_not_the_one_that_was_read(offsets: OffsetsObject) -> None:
    """S3 names a version by a hash of its content, so without revisions an old reader could still write."""
    first = offsets.create(BEFORE)
    offsets.replace(offsets.replace(first, BETWEEN), BEFORE)
    with pytest.raises(WriteRefused):
        offsets.replace(first, BETWEEN)


def test_places_are_compared_as_integers() -> None:
    assert Place("9") < Place("10") < Place("10", 1) < Place("0011")
    assert Place("0010") == Place("10")
    assert len({Place("0010"), Place("10")}) == 1
