"""The archiver: where it begins, what it sets apart, and what it calls done."""

from datetime import timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError, ReadTimeoutError

from analytics.rotation import RotationPolicy
from analytics.shard_sink import CommitFailed
from consumers.archiver import Archiver
from consumers.dead_letters import S3DeadLetters
from consumers.diagnostics import RecordSetApart
from consumers.processing import ShardAssignment, ShardStop
from consumers.records import Position, Record, Sentinel, SequenceNumber
from tests.analytics.lake_world import NEVER, SHARD, STREAM, World
from tests.builders import a_batch, a_record
from tests.fakes.bucket import FakeBucket

AT_ONCE = RotationPolicy(rows=1, age=timedelta(0))
BEGINNING = Sentinel.TRIM_HORIZON


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture(scope="module")
def letters_bucket() -> FakeBucket:
    return FakeBucket("dead-letters")


@pytest.fixture
def letters(letters_bucket: FakeBucket) -> S3DeadLetters:
    letters_bucket.objects.clear()
    return S3DeadLetters(letters_bucket.client, "dead-letters")


@pytest.fixture
def archiver_of(world: World, letters: S3DeadLetters) -> Any:
    def make(policy: RotationPolicy = NEVER, checkpoint: Position = BEGINNING) -> Archiver:
        return Archiver(
            ShardAssignment(STREAM, SHARD, checkpoint),
            sink=world.sink(policy=policy),
            dead_letters=letters,
            clock=world.clock.clock,
            emit=world.diagnostics.append,
        )

    return make


def at(number: int, sub: int = 0) -> SequenceNumber:
    return SequenceNumber(str(number), sub)


def records(*numbers: int) -> tuple[Record, ...]:
    return tuple(a_record(number) for number in numbers)


def bad(number: int) -> Record:
    return a_record(number, data=b"not an event")


def test_it_begins_at_the_streams_beginning_when_the_lake_is_empty(archiver_of: Any) -> None:
    assert archiver_of().resume_after is BEGINNING
    assert archiver_of(checkpoint=at(7)).resume_after is BEGINNING


def test_the_lake_decides_where_it_begins_whatever_the_checkpoint_says(archiver_of: Any) -> None:
    first = archiver_of()
    first.process(a_batch(*records(1, 2)))
    first.flush()
    for checkpoint in (BEGINNING, at(1), at(9)):
        assert archiver_of(checkpoint=checkpoint).resume_after == at(2)


def test_it_refuses_to_leave_out_what_the_stream_holds(archiver_of: Any) -> None:
    with pytest.raises(ShardStop, match="TRIM_HORIZON"):
        archiver_of(checkpoint=Sentinel.LATEST)
    with pytest.raises(ShardStop, match="TRIM_HORIZON"):
        archiver_of().process(a_batch(*records(1), after=Sentinel.LATEST))


def test_progress_is_what_is_committed_and_no_more(world: World, archiver_of: Any) -> None:
    archiver = archiver_of()
    assert archiver.process(a_batch(*records(1, 2))).resume_after is BEGINNING
    assert archiver.process(a_batch(*records(3), after=at(2))).resume_after is BEGINNING
    assert archiver.flush().resume_after == at(3)
    assert world.archived() == [1, 2, 3]


def test_an_idle_stream_lets_time_pass_too(world: World, archiver_of: Any) -> None:
    archiver = archiver_of(RotationPolicy(age=timedelta(seconds=60)))
    archiver.process(a_batch(*records(1)))
    world.clock.advance(61)
    assert archiver.process(a_batch(after=at(1))).resume_after == at(1)
    assert world.archived() == [1]


def test_what_the_lake_has_is_dropped_when_it_is_read_again(world: World, archiver_of: Any) -> None:
    archiver_of(AT_ONCE).process(a_batch(*records(1, 2)))
    again = archiver_of(AT_ONCE)
    assert again.process(a_batch(*records(1, 2, 3))).resume_after == at(3)
    assert again.process(a_batch(*records(2, 3), after=at(1))).resume_after == at(3)
    assert world.archived() == [1, 2, 3]


def test_user_records_of_one_aggregate_are_told_apart(world: World, archiver_of: Any) -> None:
    archiver = archiver_of(AT_ONCE)
    archiver.process(a_batch(a_record(1, sub=0), a_record(1, sub=1)))
    progress = archiver.process(a_batch(a_record(1, sub=1), a_record(1, sub=2), after=at(1)))
    assert progress.resume_after == at(1, 2)
    assert world.archived() == [1, 1, 1]


def test_numbers_are_compared_as_integers_and_kept_as_text(archiver_of: Any) -> None:
    archiver = archiver_of(AT_ONCE)
    archiver.process(a_batch(*records(9)))
    progress = archiver.process(a_batch(*records(10), after=SequenceNumber("009")))
    assert progress.resume_after == at(10)
    padded = archiver.process(a_batch(Record(SequenceNumber("0011"), "k", a_record().arrived_at, a_record(11).data)))
    assert str(padded.resume_after) == "0011"


def test_a_gap_stops_the_shard_and_names_both_places(world: World, archiver_of: Any) -> None:
    archiver = archiver_of(AT_ONCE)
    archiver.process(a_batch(*records(1, 2)))
    with pytest.raises(ShardStop, match=r"up to 2\.0.*after 5\.0"):
        archiver.process(a_batch(*records(6), after=at(5)))
    with pytest.raises(ShardStop):
        archiver.process(a_batch(after=at(5)))
    assert world.archived() == [1, 2]


def test_unreadable_records_are_set_apart_whole_and_progress_covers_them(
    world: World, letters: S3DeadLetters, archiver_of: Any
) -> None:
    archiver = archiver_of(AT_ONCE)
    progress = archiver.process(a_batch(a_record(1), bad(2), a_record(3), bad(4)))
    assert progress.resume_after == at(4)
    assert world.archived() == [1, 3]
    kept = [letters.read(key) for key in letters.keys("archiver")]
    assert [(letter.sequence_number, letter.payload) for letter in kept] == [
        ("2", b"not an event"),
        ("4", b"not an event"),
    ]
    assert [seen.sequence_number for seen in world.seen(RecordSetApart)] == ["2", "4"]
    assert archiver_of().resume_after == at(4)


def test_a_batch_of_nothing_but_unreadable_records_still_moves_on(world: World, archiver_of: Any) -> None:
    archiver = archiver_of()
    archiver.process(a_batch(bad(1), bad(2)))
    assert archiver.flush().resume_after == at(2)
    assert world.archived() == []


def test_ten_unreadable_in_a_row_stop_the_shard_and_lose_nothing(letters: S3DeadLetters, archiver_of: Any) -> None:
    archiver = archiver_of(AT_ONCE)
    archiver.process(a_batch(a_record(1), *(bad(number) for number in range(2, 8))))
    with pytest.raises(ShardStop, match="10 records in a row"):
        archiver.process(a_batch(*(bad(number) for number in range(8, 12)), after=at(7)))
    assert len(letters.keys("archiver")) == 6
    assert archiver_of().resume_after == at(7)


def test_a_readable_record_ends_the_row(archiver_of: Any) -> None:
    archiver = archiver_of(AT_ONCE)
    archiver.process(a_batch(*(bad(number) for number in range(1, 10)), a_record(10)))
    progress = archiver.process(a_batch(*(bad(number) for number in range(11, 20)), after=at(10)))
    assert progress.resume_after == at(19)


def test_a_batch_that_is_tried_again_is_not_counted_again(
    world: World, letters_bucket: FakeBucket, archiver_of: Any
) -> None:
    archiver = archiver_of(AT_ONCE)
    batch = a_batch(*(bad(number) for number in range(1, 7)))
    letters_bucket.fail("put_object", "SlowDown", times=2)
    for _ in range(2):
        with pytest.raises(ClientError, match="SlowDown"):
            archiver.process(batch)
    assert archiver.process(batch).resume_after == at(6)
    assert len(world.seen(RecordSetApart)) == 6


def test_a_record_is_never_covered_before_its_letter_is_safe(
    world: World, letters_bucket: FakeBucket, archiver_of: Any
) -> None:
    archiver = archiver_of(AT_ONCE)
    letters_bucket.fail("put_object", "SlowDown")
    with pytest.raises(ClientError):
        archiver.process(a_batch(a_record(1), bad(2)))
    assert archiver.flush().resume_after is BEGINNING
    assert world.log.commits == []


def test_after_a_failed_commit_the_same_records_are_archived_once(world: World, archiver_of: Any) -> None:
    archiver = archiver_of(AT_ONCE)
    world.bucket.fail("put_object", "SlowDown")
    with pytest.raises(CommitFailed, match="SlowDown"):
        archiver.process(a_batch(*records(1, 2, 3)))
    world.bucket.lose_answer("put_object")
    with pytest.raises(ReadTimeoutError):
        archiver.process(a_batch(*records(1, 2, 3)))
    assert archiver.process(a_batch(*records(1, 2, 3, 4))).resume_after == at(4)
    assert world.archived() == [1, 2, 3, 4]


def test_a_lake_that_contradicts_itself_stops_the_shard(world: World, archiver_of: Any) -> None:
    archiver_of(AT_ONCE).process(a_batch(*records(1)))
    world.log.commits.clear()
    with pytest.raises(ShardStop, match="fix: find out who changed the log"):
        archiver_of()
