"""The archiver: where it begins, what it sets apart, and what it calls done."""

import json
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError, ReadTimeoutError

from analytics.archiving.decode import decode_records
from analytics.archiving.diagnostics import LakeGapIsEmpty
from analytics.archiving.shard_sink import CommitFailed
from analytics.privacy.customer_keys import CustomerKeys
from analytics.rotation import RotationPolicy
from consumers.archiver import MOST_ATTEMPTS, Archiver
from consumers.dead_letters.set_apart import SetsApart
from consumers.dead_letters.stored import S3DeadLetters, StoredLetter
from consumers.diagnostics import ReadFailed, RecordSetApart, RecordsTrimmed, ShardStopped
from consumers.engines.worker.settings import WorkerSettings
from consumers.engines.worker.worker import Worker
from consumers.processing import Pace, ShardAssignment, ShardStop, Standstill
from events.wire import encode
from foundation.kinesis.records import Batch, Position, Record, Sentinel, SequenceNumber
from tests.support.builders import a_batch, a_record, an_envelope
from tests.support.fakes.bucket import FakeBucket, Gate
from tests.support.worlds import worker_world as worlds
from tests.support.worlds.lake_world import KEYS, NEVER, SHARD, STREAM, Crash, World

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
    return S3DeadLetters(letters_bucket.client, "dead-letters", KEYS)


@pytest.fixture
def archiver_of(world: World, letters: S3DeadLetters) -> Any:
    """Each one it makes is a new holder in the same process."""

    def make(policy: RotationPolicy = NEVER, checkpoint: Position = BEGINNING) -> Archiver:
        return Archiver(
            ShardAssignment(STREAM, SHARD, checkpoint),
            sink=world.sink(policy=policy),
            keys=KEYS,
            apart=SetsApart("archiver", letters, clock=world.clock.clock, emit=world.diagnostics.append),
            clock=world.clock.clock,
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
    padded = archiver.process(a_batch(a_record("0011")))
    assert str(padded.resume_after) == "0011"


def test_a_gap_stops_the_shard_and_names_both_places(world: World, archiver_of: Any) -> None:
    archiver = archiver_of(AT_ONCE)
    archiver.process(behind_the_tip(a_batch(*records(1, 2))))
    with pytest.raises(ShardStop, match=r"up to 2\.0.*after 5\.0"):
        archiver.process(a_batch(*records(6), after=at(5)))
    with pytest.raises(ShardStop):
        archiver.process(a_batch(after=at(5)))
    assert world.archived() == [1, 2]


def behind_the_tip(batch: Batch) -> Batch:
    return replace(batch, millis_behind_latest=1)


def test_trimmed_records_that_the_lake_has_are_no_gap(world: World, archiver_of: Any) -> None:
    archiver_of(AT_ONCE).process(a_batch(*records(1, 2)))
    world.clock.advance(23 * 3600)
    archiver_of(AT_ONCE).process(a_batch(*records(6), after=at(5)))
    assert world.archived() == [1, 2, 6]
    assert len(world.seen(LakeGapIsEmpty)) == 1


def test_a_batch_that_is_tried_for_long_says_nothing_about_what_came_meanwhile(world: World, archiver_of: Any) -> None:
    """The lake was out of reach for a day and more, with a batch read at the tip before that."""
    archiver = archiver_of(AT_ONCE)
    world.bucket.fail("put_object", "SlowDown")
    with pytest.raises(CommitFailed):
        archiver.process(a_batch(*records(1, 2)))
    world.clock.advance(30 * 3600)
    assert archiver.process(a_batch(*records(1, 2))).resume_after == at(2)
    with pytest.raises(ShardStop, match=r"30\.0 hours ago"):
        archiver.process(a_batch(*records(6), after=at(5)))
    with pytest.raises(ShardStop, match=r"30\.0 hours ago"):
        archiver_of().process(a_batch(*records(6), after=at(5)))


class Streamed:
    """The archiver under our own engine: two records archived, and then hours without any."""

    def __init__(self, lake: World, letters: S3DeadLetters) -> None:
        self.engine = worlds.World()
        self.lake = lake
        self.lake.clock = self.engine.time
        self._letters = letters
        self._started: list[tuple[threading.Event, threading.Thread]] = []
        self.sink = lake.sink(policy=AT_ONCE)
        self.start("first")
        self.put("a", "b")
        self.engine.run(60)

    def start(self, worker_id: str) -> None:
        engine = self.engine
        worker = Worker(
            WorkerSettings(application=worlds.APPLICATION, stream="orders", worker_id=worker_id),
            kinesis=engine.kinesis.client,
            dynamodb=engine.dynamodb.client,
            factory=lambda assignment: Archiver(
                assignment,
                sink=self.sink,
                keys=KEYS,
                apart=SetsApart("archiver", self._letters, clock=engine.time.clock, emit=engine.happened.append),
                clock=engine.time.clock,
            ),
            clock=engine.time.clock,
            emit=engine.happened.append,
            wait=engine.threads.wait,
            thread=engine.threads.thread,
        )
        stop = threading.Event()
        thread = engine.threads.thread(target=lambda: worker.run(stop), name=worker_id)
        thread.start()
        self._started.append((stop, thread))

    def stop(self) -> None:
        for stop, thread in self._started:
            stop.set()
            thread.join()

    def put(self, *causes: str) -> None:
        for cause in causes:
            data = encode(an_envelope(cause=cause))
            self.engine.kinesis.put_record(StreamName="orders", Data=data, PartitionKey="order-1")

    def trim(self, records: int) -> None:
        self.engine.kinesis.trim(SHARD, records)


@pytest.fixture
def streamed(world: World, letters: S3DeadLetters) -> Iterator[Streamed]:
    made = Streamed(world, letters)
    yield made
    made.stop()
    made.engine.end()


@pytest.mark.slow
def test_after_an_idle_day_a_failed_read_stops_nothing(streamed: Streamed) -> None:
    streamed.trim(2)
    streamed.engine.kinesis.fail("get_records", EndpointConnectionError(endpoint_url="http://kinesis"))
    streamed.engine.run(30)
    streamed.put("c", "d")
    streamed.engine.run(60)
    assert len(streamed.lake.archived()) == 4
    assert len(streamed.engine.all(ReadFailed)) == 1
    assert streamed.engine.all(RecordsTrimmed) == []
    assert streamed.engine.all(ShardStopped) == []


@pytest.mark.slow
def test_after_an_idle_day_a_restart_stops_nothing(streamed: Streamed) -> None:
    streamed.stop()
    streamed.trim(2)
    streamed.engine.time.advance(22 * 3600)
    streamed.put("c", "d")
    streamed.start("second")
    streamed.engine.run(60)
    assert len(streamed.lake.archived()) == 4
    assert len(streamed.engine.all(RecordsTrimmed)) == 1  # the engine cannot know
    assert streamed.engine.all(ShardStopped) == []


def test_records_trimmed_while_nobody_read_stop_the_shard(streamed: Streamed) -> None:
    streamed.stop()
    streamed.put("lost", "d")
    streamed.engine.time.advance(23.5 * 3600)
    streamed.trim(3)
    streamed.start("second")
    streamed.engine.run(60)
    assert len(streamed.lake.archived()) == 2
    (stopped,) = streamed.engine.all(ShardStopped)
    assert "TAKEAWAY_LAKE_ACCEPT_GAP" in str(stopped.error)


def test_unreadable_records_are_set_apart_whole_and_progress_covers_them(
    world: World, letters: S3DeadLetters, archiver_of: Any
) -> None:
    archiver = archiver_of(AT_ONCE)
    progress = archiver.process(a_batch(a_record(1), bad(2), a_record(3), bad(4)))
    assert progress.resume_after == at(4)
    assert world.archived() == [1, 3]
    kept = [stored for _, stored in letters.read_all(letters.keys("archiver")) if isinstance(stored, StoredLetter)]
    assert [(stored.letter.sequence_number, stored.letter.payload) for stored in kept] == [
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


def test_unreadable_records_are_set_apart_in_any_number(world: World, letters: S3DeadLetters, archiver_of: Any) -> None:
    archiver = archiver_of(AT_ONCE)
    progress = archiver.process(a_batch(a_record(1), *(bad(number) for number in range(2, 302)), a_record(302)))
    assert progress.resume_after == at(302)
    assert world.archived() == [1, 302]
    assert len(letters.keys("archiver")) == 300


def test_what_is_read_again_is_no_second_letter(letters: S3DeadLetters, archiver_of: Any) -> None:
    for _ in range(3):
        archiver_of().process(a_batch(*(bad(number) for number in range(1, 7))))
    assert len(letters.keys("archiver")) == 6


class Decoding:
    """The archiver's own decoder, with a bug: it raises for a batch with any record that `fails` tells."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.fails: Callable[[Record], bool] = lambda _: False
        monkeypatch.setattr("consumers.archiver.decode_records", self)

    def __call__(self, shard_id: str, records: Sequence[Record], keys: CustomerKeys) -> Any:
        if any(map(self.fails, records)):
            raise OverflowError("a bug, ada@example.com")
        return decode_records(shard_id, records, keys)


@pytest.fixture
def decoding(monkeypatch: pytest.MonkeyPatch) -> Decoding:
    return Decoding(monkeypatch)


def stands(archiver: Archiver, batch: Batch, times: int = MOST_ATTEMPTS) -> list[type[Exception]]:
    """What it raises, so often in a row."""
    raised = []
    for _ in range(times):
        with pytest.raises(Exception) as error:  # noqa: PT011 - of which class is what is asked
            archiver.process(batch)
        raised.append(error.type)
    return raised


@pytest.mark.parametrize("before", [0, 7])
def test_records_that_the_archivers_own_code_fails_on_are_set_apart_when_others_can_be_read(
    world: World, letters: S3DeadLetters, archiver_of: Any, decoding: Decoding, before: int
) -> None:
    archiver = archiver_of(AT_ONCE)
    decoding.fails = lambda record: record.number in {"8", "12"}
    batch = a_batch(*(a_record(number) for number in range(8 - before, 15)))
    assert stands(archiver, batch, MOST_ATTEMPTS - 1) == [OverflowError] * (MOST_ATTEMPTS - 1)
    assert archiver.process(batch).resume_after == at(14)
    assert world.archived() == [number for number in range(8 - before, 15) if number not in {8, 12}]
    kept = [found.letter for _, found in letters.read_all(letters.keys()) if isinstance(found, StoredLetter)]
    assert sorted((letter.sequence_number, letter.attempts, letter.kind) for letter in kept) == [
        ("12", MOST_ATTEMPTS, "OverflowError"),
        ("8", MOST_ATTEMPTS, "OverflowError"),
    ]
    assert "ada@" not in str(world.seen(RecordSetApart))


def test_one_that_is_read_alone_is_set_apart_when_the_golden_bytes_can_be_read(
    letters: S3DeadLetters, archiver_of: Any, decoding: Decoding
) -> None:
    archiver = archiver_of(AT_ONCE)
    decoding.fails = lambda record: record.number == "8"
    stands(archiver, a_batch(a_record(8)), MOST_ATTEMPTS - 1)
    assert archiver.process(a_batch(a_record(8))).resume_after == at(8)
    assert len(letters.keys()) == 1


@pytest.mark.parametrize("golden_too", [True, False])
def test_an_archiver_whose_own_code_is_broken_stands_and_goes_on_when_it_works(
    world: World, letters: S3DeadLetters, archiver_of: Any, decoding: Decoding, *, golden_too: bool
) -> None:
    archiver = archiver_of(AT_ONCE)
    decoding.fails = lambda record: golden_too or record.number != "0"
    batch = a_batch(*records(*range(1, 13)))
    stands(archiver, batch, MOST_ATTEMPTS - 1)
    for _ in range(9):
        failure = archiver.process(batch).failure
        assert isinstance(failure.error, Standstill)
        assert failure.pace is Pace.SLOW
    assert isinstance(archiver.flush().failure.error, Standstill)
    assert letters.keys() == []
    decoding.fails = lambda _: False
    assert archiver.process(a_batch(*records(13), after=at(12))).resume_after == at(13)
    assert world.archived() == list(range(1, 14))
    assert letters.keys() == []


def test_where_it_fails_on_all_that_is_read_others_that_follow_tell(
    world: World, letters: S3DeadLetters, archiver_of: Any, decoding: Decoding
) -> None:
    archiver = archiver_of(AT_ONCE)
    decoding.fails = lambda record: 1 <= int(record.number) < 20
    batch = a_batch(*records(*range(1, 20)))
    stands(archiver, batch, MOST_ATTEMPTS - 1)
    assert isinstance(archiver.process(batch).failure.error, Standstill)
    assert archiver.process(a_batch(*records(20), after=at(19))).resume_after == at(20)
    assert world.archived() == [20]
    assert len(letters.keys()) == 19


def test_a_batch_that_is_tried_again_writes_no_letter_twice(
    world: World, letters_bucket: FakeBucket, archiver_of: Any
) -> None:
    archiver = archiver_of(AT_ONCE)
    batch = a_batch(*(bad(number) for number in range(1, 7)))
    for _ in range(2):
        letters_bucket.fail("put_object", "SlowDown")
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


def archived_days(world: World) -> list[str]:
    return sorted(added.day.isoformat() for commit in world.log.commits for added in commit.files)


@pytest.mark.slow
def test_events_of_any_year_are_kept_each_in_its_own_day(world: World, archiver_of: Any) -> None:
    """A date is what its producer says, however implausible: the record is there once, and readers choose the days."""
    moments = [datetime(year, 7, 1, 12, tzinfo=UTC) for year in (1, 2019, 2026, 2093, 9999)]
    archiver = archiver_of(AT_ONCE)
    bodies = [encode(an_envelope(cause=str(moment.year), occurred_at=moment)) for moment in moments]
    archiver.process(a_batch(*(a_record(number, data=body) for number, body in enumerate(bodies, start=1))))
    assert sorted(world.archived()) == [1, 2, 3, 4, 5]
    assert archived_days(world) == ["0001-07-01", "2019-07-01", "2026-07-01", "2093-07-01", "9999-07-01"]
    assert len(world.log.commits) == 1


@pytest.mark.slow
@pytest.mark.parametrize("field", ["unknown", "city"])
def test_a_record_as_large_as_kinesis_takes_disturbs_no_other(
    world: World, letters: S3DeadLetters, archiver_of: Any, field: str
) -> None:
    """10 MiB in a field that nobody knows are kept, sealed; in one whose length has a limit they are set apart."""
    fields = json.loads(encode(an_envelope(cause="large"))) | {field: "x" * (10 * 1024 * 1024 - 1000)}
    archiver = archiver_of(AT_ONCE)
    large = a_record(2, data=json.dumps(fields).encode())
    assert archiver.process(a_batch(a_record(1), large, a_record(3))).resume_after == at(3)
    kept = [found for _, found in letters.read_all(letters.keys("archiver")) if isinstance(found, StoredLetter)]
    if field == "unknown":
        assert world.archived() == [1, 2, 3]
        assert kept == []
    else:
        assert world.archived() == [1, 3]
        assert kept[0].letter.payload == large.data


@pytest.mark.slow
def test_a_repeated_record_is_dropped_counted_and_passed(world: World, archiver_of: Any) -> None:
    archiver = archiver_of(AT_ONCE)
    again = a_record(1).data
    progress = archiver.process(a_batch(a_record(1), a_record(2, data=again), bad(3), a_record(4)))
    assert progress.resume_after == at(4)
    assert world.archived() == [1, 4]
    (entry,) = world.log.commits[0].entries.values()
    assert (entry.rows, entry.dropped, entry.set_apart) == (2, 1, 1)
    assert archiver_of(AT_ONCE).process(a_batch(a_record(5, data=again), after=at(4))).resume_after == at(5)
    assert world.archived() == [1, 4]


@pytest.mark.slow
def test_every_record_is_a_row_or_dropped_or_set_apart_wherever_the_archiver_crashes(letters: S3DeadLetters) -> None:
    """Repeats and bad records among others, a crash at each call in turn: the log accounts for each of them, once."""
    batch = a_batch(
        a_record(1), a_record(2, data=a_record(1).data), bad(3), a_record(4), a_record(5, data=a_record(4).data)
    )

    def life(gate: Gate, lake: World) -> None:
        archiver = Archiver(
            ShardAssignment(STREAM, SHARD, BEGINNING),
            sink=lake.sink(gate, policy=AT_ONCE),
            keys=KEYS,
            apart=SetsApart("archiver", letters, clock=lake.clock.clock, emit=lake.diagnostics.append),
            clock=lake.clock.clock,
        )
        archiver.process(batch)
        archiver.process(a_batch(a_record(6, data=a_record(1).data), a_record(7), after=at(5)))

    def crash() -> None:
        raise Crash

    counting = Gate()
    life(counting, World())
    for call in range(1, counting.calls + 1):
        for applied in (False, True):
            lake = World()
            with suppress(Crash):
                life(Gate(call, crash, applied=applied), lake)
            life(Gate(), lake)
            entries = [entry for commit in lake.log.commits for entry in commit.entries.values() if entry.batch_id]
            assert lake.archived() == [1, 4, 7], (call, applied)
            assert sum(entry.dropped for entry in entries) == 3
            assert sum(entry.set_apart for entry in entries) == 1
