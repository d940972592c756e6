"""The offsets object, and places in a shard."""

from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from analytics.table.offsets import Offsets, OffsetsObject, Pending
from foundation.bucket import Bucket, WriteRefused
from foundation.clock import Moment
from foundation.ids import random_id
from foundation.kinesis.records import SequenceNumber
from tests.support.fakes.bucket import FakeBucket
from tests.support.fakes.clock import FakeClock

BEFORE = Offsets(epoch=1, n=3, hi=SequenceNumber("0049", 2))
BETWEEN = Offsets(
    epoch=1,
    n=3,
    hi=SequenceNumber("0049", 2),
    pending=Pending(
        batch_id="b", n=4, lo=SequenceNumber("0049", 2), hi=SequenceNumber("50"), files=("a",), rows=1, schema="s"
    ),
)


@pytest.fixture
def offsets() -> OffsetsObject:
    return OffsetsObject(Bucket(FakeBucket().client, "lake"), "events/_offsets/orders/shard.json", random_id)


def test_what_is_written_is_read_back_with_its_text_as_received(offsets: OffsetsObject) -> None:
    assert offsets.read() is None
    held = offsets.replace(offsets.create(BEFORE), BETWEEN)
    assert offsets.read() == held
    assert held.offsets.hi is not None
    assert held.offsets.hi.number == "0049"
    assert held.offsets.pending == BETWEEN.pending


def test_a_content_that_comes_back_is_not_the_one_that_was_read(offsets: OffsetsObject) -> None:
    """S3 names a version by a hash of its content, so without revisions an old reader could still write."""
    first = offsets.create(BEFORE)
    offsets.replace(offsets.replace(first, BETWEEN), BEFORE)
    with pytest.raises(WriteRefused):
        offsets.replace(first, BETWEEN)


def test_places_are_compared_as_integers() -> None:
    assert SequenceNumber("9") < SequenceNumber("10") < SequenceNumber("10", 1) < SequenceNumber("0011")
    assert SequenceNumber("0010") == SequenceNumber("10")
    assert len({SequenceNumber("0010"), SequenceNumber("10")}) == 1


def test_a_body_from_before_the_moment_was_told_does_not_tell_it() -> None:
    old = b'{"revision":"r","epoch":1,"n":3,"hi":{"sequence_number":"0049","sub_sequence_number":2},"pending":null}'
    assert msgspec.json.decode(old, type=Offsets) == msgspec.structs.replace(BEFORE, revision="r", caught_up_at=None)


def test_the_moment_is_read_back_and_a_local_time_is_refused(offsets: OffsetsObject) -> None:
    moment = datetime(2026, 3, 14, 12, 0, 0, 5, tzinfo=UTC)
    offsets.create(msgspec.structs.replace(BEFORE, caught_up_at=moment))
    held = offsets.read()
    assert held is not None
    assert held.offsets.caught_up_at == moment
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(b'{"epoch":1,"n":0,"hi":null,"caught_up_at":"2026-03-14T12:00:00"}', type=Offsets)


@pytest.mark.parametrize("own", [True, False], ids=["own", "stored"])
@pytest.mark.parametrize(
    ("slept", "wall_set", "within"),
    [(0, 0, True), (10, 0, True), (11, 0, False), (0, 11, False), (0, -1, False), (5, -6, False)],
    ids=str,
)
def test_a_moment_is_within_a_span_when_the_wall_clock_says_so(
    own: bool, slept: int, wall_set: int, within: bool
) -> None:
    time = FakeClock()
    moment = Moment.now(time.clock) if own else Moment(time.now())
    time.advance(slept)
    time._start += timedelta(seconds=wall_set)
    assert moment.is_within(timedelta(seconds=10), time.clock) is within


def test_setting_the_wall_clock_back_makes_an_own_moment_no_younger() -> None:
    time = FakeClock()
    moment = Moment.now(time.clock)
    time.advance(11)
    time._start -= timedelta(seconds=5)
    assert not moment.is_within(timedelta(seconds=10), time.clock)
