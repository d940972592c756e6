"""The committer that the shards of a process share: when it commits, what it holds, and who hears of a failure."""

import gc
import threading
from collections.abc import Callable
from datetime import timedelta
from functools import partial

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from analytics.archiving.diagnostics import LakeCommitted, LakeGapAccepted, LakeGapIsEmpty, LakeShardFailed
from analytics.archiving.holder import ShardTaken
from analytics.archiving.shard_sink import CommitFailed, LakeGap, ShardSink
from analytics.assembly import lake_sink
from analytics.rotation import RotationPolicy
from analytics.settings import LakeSettings
from analytics.table.layout import ShardPaths
from analytics.table.offsets import Offsets
from foundation.bucket import WriteRefused
from foundation.clock import Moment
from foundation.kinesis.records import SequenceNumber
from foundation.settings import from_environment
from tests.support.builders import NOON
from tests.support.fakes.bucket import Gate
from tests.support.worlds.lake_world import KEYS, NEVER, OTHER_SHARD, SHARD, STREAM, Crash, World, feed, rows

PATHS = ShardPaths(STREAM, SHARD)
HOUR = 3600.0


def offsets(world: World) -> Offsets:
    held = world.stored()
    assert held is not None
    return held.offsets


def idle_since(world: World, hours: float) -> ShardSink:
    """A new process' shard, after one that had archived records 1 and 2, seen the tip, and ended so long ago."""
    shard = world.sink().open(SHARD)
    feed(shard, [1, 2])
    shard.flush()
    world.idle(shard)
    world.clock.advance(hours * HOUR)
    return world.sink().open(SHARD)


@pytest.fixture
def world() -> World:
    return World()


def test_an_empty_lake_has_no_place(world: World) -> None:
    shard = world.sink().open(SHARD)
    assert shard.committed is None
    assert shard.taken is None
    assert shard.flush() is None
    assert world.log.commits == []


def test_rows_wait_until_a_file_is_due(world: World) -> None:
    shard = world.sink(policy=RotationPolicy(rows=5)).open(SHARD)
    feed(shard, range(1, 5))
    assert shard.advance() is None
    assert shard.taken == SequenceNumber("4")
    feed(shard, range(5, 6))
    assert shard.advance() == SequenceNumber("5")
    assert world.archived() == [1, 2, 3, 4, 5]


def test_time_alone_makes_a_file_due(world: World) -> None:
    shard = world.sink(policy=RotationPolicy(age=timedelta(seconds=60))).open(SHARD)
    feed(shard, [1])
    world.clock.advance(59)
    feed(shard, [2])
    assert shard.advance() is None
    world.clock.advance(1)
    assert shard.advance() == SequenceNumber("2")
    world.clock.advance(3600)
    assert shard.advance() == SequenceNumber("2")
    assert len(world.log.commits) == 1


def test_a_wall_clock_that_jumps_neither_rushes_nor_delays_a_file(world: World) -> None:
    shard = world.sink(policy=RotationPolicy(age=timedelta(seconds=60))).open(SHARD)
    feed(shard, [1])
    for days in (400, -800):
        world.clock._start += timedelta(days=days)
        assert shard.advance() is None
    world.clock.advance(60)
    assert shard.advance() == SequenceNumber("1")


def test_all_shards_and_all_days_leave_in_one_commit(world: World) -> None:
    sink = world.sink()
    first, second = sink.open(SHARD), sink.open(OTHER_SHARD)
    feed(first, [1])
    first.append(rows(2, occurred_at=NOON - timedelta(days=1)), after=SequenceNumber("1"), upto=SequenceNumber("2"))
    feed(second, [1, 2, 3])
    assert first.flush() == SequenceNumber("2")
    assert len(world.log.commits) == 1
    assert [file.path.partition("/")[0] for file in world.log.commits[0].files] == [
        "event_date=2026-03-13",
        "event_date=2026-03-14",
        "event_date=2026-03-14",
    ]
    assert second.committed == SequenceNumber("3")
    assert second.flush() == SequenceNumber("3")
    (committed,) = world.seen(LakeCommitted)
    assert (committed.shards, committed.rows, committed.files) == (2, 5, 3)
    assert committed.size == sum(file.size for file in world.log.commits[0].files)


def test_a_file_tells_in_its_footer_what_it_covers(world: World) -> None:
    shard = world.sink(new_id=iter(["r1", "batch-1", "r2", "r3"]).__next__).open(SHARD)
    feed(shard, [1, 2])
    shard.flush()
    (path,) = (file.path for file in world.log.commits[0].files)
    footer = pq.read_schema(pa.BufferReader(world.bucket.objects[f"events/{path}"])).metadata
    assert footer == {
        b"stream": b"orders",
        b"shard": SHARD.encode(),
        b"n": b"1",
        b"epoch": b"1",
        b"batch_id": b"batch-1",
        b"lo": b"None",
        b"hi": b"2.0",
        b"dropped": b"0",
        b"set_apart": b"0",
    }
    assert world.log.commits[0].entries[PATHS.application].batch_id == "batch-1"


def test_records_that_became_no_rows_are_covered_too(world: World) -> None:
    sink = world.sink()
    shard = sink.open(SHARD)
    shard.append(rows(), after=None, upto=SequenceNumber("3"))
    assert shard.flush() == SequenceNumber("3")
    assert world.log.commits[0].files == ()
    assert world.sink().open(SHARD).committed == SequenceNumber("3")


def test_a_gap_halts_and_names_both_places(world: World) -> None:
    shard = world.sink().open(SHARD)
    feed(shard, [1, 2])
    with pytest.raises(LakeGap, match=r"up to 2\.0.*after 3\.0"):
        shard.append(rows(4), after=SequenceNumber("3"), upto=SequenceNumber("4"))
    shard.append(rows(3), after=SequenceNumber("2"), upto=SequenceNumber("3"))
    shard.flush()
    assert world.archived() == [1, 2, 3]


def test_an_empty_lake_takes_nothing_but_the_beginning(world: World) -> None:
    shard = world.sink().open(SHARD)
    with pytest.raises(LakeGap, match=r"up to nothing.*after 3\.0"):
        shard.append(rows(4), after=SequenceNumber("3"), upto=SequenceNumber("4"))


def test_a_place_inside_an_aggregate_counts(world: World) -> None:
    shard = world.sink().open(SHARD)
    shard.append(rows(1), after=None, upto=SequenceNumber("1", 4))
    with pytest.raises(LakeGap):
        shard.check_gap(SequenceNumber("1", 5))
    shard.check_gap(SequenceNumber("0001", 4))


@pytest.mark.slow
def test_trimmed_records_behind_a_shard_lately_caught_up_were_all_in_the_lake(world: World) -> None:
    shard = idle_since(world, hours=23)
    shard.append(rows(6), after=SequenceNumber("5"), upto=SequenceNumber("6"))
    assert shard.flush() == SequenceNumber("6")
    assert world.archived() == [1, 2, 6]
    (told,) = world.seen(LakeGapIsEmpty)
    assert (told.shard_id, told.hi, told.after) == (SHARD, "2.0", "5.0")
    assert told.caught_up_at == world.clock.now() - timedelta(hours=23)


def test_a_span_that_may_have_been_trimmed_unread_halts_and_says_what_to_do(world: World) -> None:
    shard = idle_since(world, hours=23.1)
    named = rf'23\.1 hours ago.*fix: .*TAKEAWAY_LAKE_ACCEPT_GAP="{SHARD}:2\.0" and restart'
    for _ in range(2):
        with pytest.raises(LakeGap, match=named):
            shard.append(rows(6), after=SequenceNumber("5"), upto=SequenceNumber("6"))
    assert shard.taken == SequenceNumber("2")
    assert world.seen(LakeGapIsEmpty) == []


def test_when_nobody_knows_the_last_tip_a_gap_halts(world: World) -> None:
    feed(shard := world.sink().open(SHARD), [1, 2])
    shard.flush()
    again = world.sink().open(SHARD)
    with pytest.raises(LakeGap, match=r"up to 2\.0.*after 5\.0.*is not known"):
        again.check_gap(SequenceNumber("5"))


def test_offsets_of_an_older_release_tell_no_tip(world: World) -> None:
    idle_since(world, hours=0)
    body = msgspec.json.decode(world.bucket.objects[PATHS.offsets_key])
    del body["caught_up_at"]
    world.bucket.objects[PATHS.offsets_key] = msgspec.json.encode(body)
    with pytest.raises(LakeGap, match="is not known"):
        world.sink().open(SHARD).check_gap(SequenceNumber("5"))


def test_a_tip_in_the_future_proves_nothing(world: World) -> None:
    shard = idle_since(world, hours=1)
    world.clock._start -= timedelta(hours=2)
    with pytest.raises(LakeGap, match="has not reached yet"):
        shard.check_gap(SequenceNumber("5"))


@pytest.mark.parametrize(("hours", "wall_hours"), [(24, -10), (0, 24)], ids=["set back", "slept"])
def test_within_one_life_both_clocks_must_agree(world: World, hours: int, wall_hours: int) -> None:
    feed(shard := world.sink().open(SHARD), [1, 2])
    shard.flush()
    world.idle(shard)
    world.clock.advance(hours * HOUR)
    world.clock._start += timedelta(hours=wall_hours)
    with pytest.raises(LakeGap, match=r"24\.0 hours ago"):
        shard.check_gap(SequenceNumber("5"))


def test_while_rows_wait_the_shard_is_not_caught_up(world: World) -> None:
    feed(shard := world.sink().open(SHARD), [1, 2])
    world.idle(shard)
    with pytest.raises(LakeGap):
        shard.check_gap(SequenceNumber("5"))
    assert offsets(world).caught_up_at is None
    shard.flush()
    assert offsets(world).caught_up_at == world.clock.now()
    shard.check_gap(SequenceNumber("5"))


def test_rows_that_come_during_a_commit_do_not_hide_the_tip_before_them(world: World) -> None:
    def more() -> None:
        feed(shard, [3])
        shard.at_tip(Moment(NOON + timedelta(days=1)))

    shard = world.sink(Gate(8, more)).open(SHARD)
    feed(shard, [1, 2])
    shard.at_tip(before := Moment.now(world.clock.clock))
    shard.flush()
    assert (offsets(world).hi, offsets(world).caught_up_at) == (SequenceNumber("2"), before.at)


@pytest.mark.parametrize("hours", [23, 23.1])
def test_a_shard_that_is_gone_is_a_gap_unless_the_lake_has_all_of_it(world: World, hours: float) -> None:
    shard = idle_since(world, hours=hours)
    if hours <= 23:
        shard.check_gone()
        assert [told.after for told in world.seen(LakeGapIsEmpty)] == ["SHARD_END"]
        return
    with pytest.raises(LakeGap, match=rf'is gone.*23\.1 hours ago.*TAKEAWAY_LAKE_ACCEPT_GAP="{SHARD}:2\.0" and'):
        shard.check_gone()
    world.sink(accepted_gaps={f"{SHARD}:2.0"}).open(SHARD).check_gone()
    assert [told.after for told in world.seen(LakeGapAccepted)] == ["SHARD_END"]


def test_a_shard_that_is_gone_was_read_to_its_tip_also_while_its_rows_wait(world: World) -> None:
    feed(shard := world.sink().open(SHARD), [1, 2])
    shard.at_tip(Moment.now(world.clock.clock))
    shard.check_gone()
    assert world.archived() == [1, 2]
    assert len(world.seen(LakeGapIsEmpty)) == 1


@pytest.mark.slow
def test_only_the_gap_that_was_named_is_accepted(world: World) -> None:
    idle_since(world, hours=30)
    for named in (f"{SHARD}:1.0", f"{SHARD}:5.0", f"{OTHER_SHARD}:2.0", "2.0"):
        with pytest.raises(LakeGap):
            world.sink(accepted_gaps={named}).open(SHARD).check_gap(SequenceNumber("5"))
    shard = world.sink(accepted_gaps={f"{SHARD}:2.0"}).open(SHARD)
    shard.append(rows(6), after=SequenceNumber("5"), upto=SequenceNumber("6"))
    with pytest.raises(LakeGap):
        shard.check_gap(SequenceNumber("8"))
    assert shard.flush() == SequenceNumber("6")
    (told,) = world.seen(LakeGapAccepted)
    assert (told.shard_id, told.hi, told.after) == (SHARD, "2.0", "5.0")
    assert "30.0 hours ago" in told.unread


def test_settings_accept_no_gap_unless_named() -> None:
    assert LakeSettings("lake").accepted_gaps == frozenset()
    environ = {"TAKEAWAY_LAKE_BUCKET": "lake", "TAKEAWAY_LAKE_ACCEPT_GAP": "shard-0:2.0, shard-1:nothing,"}
    assert from_environment(LakeSettings, environ).accepted_gaps == {"shard-0:2.0", "shard-1:nothing"}


@pytest.mark.slow
def test_the_environment_names_what_is_accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    sink = lake_sink(
        {"TAKEAWAY_LAKE_BUCKET": "lake", "TAKEAWAY_LAKE_ACCEPT_GAP": "s:2.0"}, STREAM, lambda _: None, KEYS
    )
    assert sink._accepted_gaps == {"s:2.0"}


def test_an_idle_shard_tells_its_offsets_so_once_an_hour_and_nothing_else(world: World) -> None:
    feed(shard := world.sink().open(SHARD), [1, 2])
    shard.flush()
    before, told = offsets(world), []
    for _ in range(4 * 5):
        world.idle(shard, seconds=900)
        told.append(offsets(world))
    moments = sorted({held.caught_up_at for held in told if held.caught_up_at})
    assert [moment - moments[0] for moment in moments] == [timedelta(hours=hour) for hour in range(5)]
    same = {"revision": "", "caught_up_at": None}
    assert {msgspec.structs.replace(held, **same) for held in told} == {msgspec.structs.replace(before, **same)}


def test_a_clock_that_was_set_back_is_told_at_once(world: World) -> None:
    shard = idle_since(world, hours=0)
    world.clock._start -= timedelta(hours=5)
    world.idle(shard)
    assert offsets(world).caught_up_at == world.clock.now()


@pytest.mark.parametrize("applied", [False, True], ids=["before", "applied"])
def test_a_refresh_without_an_answer_opens_the_shard_again(world: World, applied: bool) -> None:
    feed(shard := world.sink().open(SHARD), [1, 2])
    shard.flush()
    if applied:
        world.bucket.lose_answer("put_object")
    else:
        world.bucket.fail("put_object", "SlowDown")
    with pytest.raises(CommitFailed):
        world.idle(shard)
    assert offsets(world).epoch == 1
    assert shard.advance() == SequenceNumber("2")
    assert (offsets(world).epoch, offsets(world).caught_up_at) == (2, world.clock.now())
    feed(shard, [3])
    shard.flush()
    assert world.archived() == [1, 2, 3]


def test_a_crash_at_a_refresh_leaves_what_was_told_before(world: World) -> None:
    def crash() -> None:
        raise Crash

    shard = world.sink(Gate(5 + 5 + 2, crash)).open(SHARD)  # opening, a commit, and the second refresh
    feed(shard, [1, 2])
    shard.flush()
    world.idle(shard)
    before = offsets(world)
    with pytest.raises(Crash):
        world.idle(shard)
    assert offsets(world) == before
    world.sink().open(SHARD).check_gap(SequenceNumber("5"))


def test_a_zombies_refresh_is_refused(world: World) -> None:
    zombie = idle_since(world, hours=0)
    feed(successor := world.sink().open(SHARD), [3])
    successor.flush()
    there = offsets(world)
    with pytest.raises(CommitFailed) as raised:
        world.idle(zombie)
    assert isinstance(raised.value.__cause__, WriteRefused)
    assert offsets(world) == there
    with pytest.raises(ShardTaken):
        zombie.advance()


def test_a_refresh_is_left_for_later_while_somebody_commits(world: World) -> None:
    def meanwhile() -> None:
        assert shard.refresh_due is not None
        shard._committer.refresh(shard)
        assert shard.refresh_due is not None

    sink = world.sink(Gate(2 * 5 + 3, meanwhile))
    shard, busy = sink.open(SHARD), sink.open(OTHER_SHARD)
    shard.at_tip(Moment.now(world.clock.clock))
    feed(busy, [1])
    busy.flush()
    assert offsets(world).caught_up_at is None
    shard.advance()
    assert offsets(world).caught_up_at == world.clock.now()


def test_nothing_is_taken_twice(world: World) -> None:
    shard = world.sink().open(SHARD)
    feed(shard, [1, 2])
    with pytest.raises(ValueError, match="taken before"):
        shard.append(rows(2), after=SequenceNumber("1"), upto=SequenceNumber("2"))


def test_a_failed_shard_leaves_the_group_and_the_others_commit(world: World) -> None:
    sink = world.sink()
    first, second = sink.open(SHARD), sink.open(OTHER_SHARD)
    feed(first, [1])
    feed(second, [1])
    thief = world.sink().open(OTHER_SHARD)  # so that the second shard's intent is refused
    assert first.flush() == SequenceNumber("1")
    assert world.archived(SHARD) == [1]
    assert world.archived(OTHER_SHARD) == []
    with pytest.raises(CommitFailed, match=OTHER_SHARD) as raised:
        second.advance()
    assert isinstance(raised.value.__cause__, WriteRefused)
    assert [failed.shard_id for failed in world.seen(LakeShardFailed)] == [OTHER_SHARD]
    assert thief.committed is None


def test_an_uploaded_file_whose_answer_was_lost_is_known_again(world: World) -> None:
    """A client that sends a write twice is refused by its own first one."""
    shard = world.sink().open(SHARD)
    feed(shard, [1])
    put = world.bucket._put

    def put_twice(**parameters: object) -> object:
        if str(parameters["Key"]).endswith(".parquet"):
            put(**parameters)
        return put(**parameters)

    world.bucket._put = put_twice  # type: ignore[method-assign, assignment]
    assert shard.flush() == SequenceNumber("1")
    assert world.archived() == [1]


def test_a_file_that_another_wrote_is_never_taken_for_ones_own(world: World) -> None:
    shard = world.sink().open(SHARD)
    feed(shard, [1])
    in_the_way = f"events/{PATHS.data_file(NOON.date(), shard.holder.next_number, 0)}"
    world.bucket.objects[in_the_way] = b"another's"
    with pytest.raises(CommitFailed, match="create"):
        shard.flush()
    assert shard.flush() == SequenceNumber("1")
    assert world.archived() == [1]
    assert world.bucket.objects[in_the_way] == b"another's"


@pytest.mark.slow
def test_memory_is_bounded_by_a_commit(world: World) -> None:
    size = rows(1).nbytes
    shard = world.sink(most_waiting=3 * size).open(SHARD)
    for number in range(1, 10):
        feed(shard, [number])
        assert shard.backlog.size <= 3 * size
    assert world.archived() == [1, 2, 3, 4, 5, 6]


def test_a_shard_whose_processor_is_gone_is_forgotten(world: World) -> None:
    sink = world.sink()
    gone, stays = sink.open(SHARD), sink.open(OTHER_SHARD)
    feed(gone, [1])
    feed(stays, [1])
    del gone
    gc.collect()
    stays.flush()
    assert (world.archived(SHARD), world.archived(OTHER_SHARD)) == ([], [1])


@pytest.mark.slow
def test_others_go_on_buffering_while_one_commits(world: World) -> None:
    at_the_log, go_on = threading.Event(), threading.Event()

    def hold() -> None:
        at_the_log.set()
        assert go_on.wait(10)

    sink = world.sink(Gate(2 * 5 + 3, hold), policy=RotationPolicy(rows=1))
    first, second = sink.open(SHARD), sink.open(OTHER_SHARD)
    feed(first, [1])
    committing = _thread(first.advance)
    assert at_the_log.wait(10)
    feed(second, [1, 2])
    assert second.advance() is None  # due, but somebody is at it
    go_on.set()
    committing.join(10)
    assert first.committed == SequenceNumber("1")
    assert second.advance() == SequenceNumber("2")
    assert (world.archived(SHARD), world.archived(OTHER_SHARD)) == ([1], [1, 2])


def test_rows_that_come_during_a_commit_wait_for_the_next(world: World) -> None:
    def more() -> None:
        feed(shard, [2])

    shard = world.sink(Gate(8, more)).open(SHARD)
    feed(shard, [1])
    assert shard.flush() == SequenceNumber("1")
    assert shard.taken == SequenceNumber("2")
    assert shard.flush() == SequenceNumber("2")
    assert world.archived() == [1, 2]


@pytest.mark.slow
def test_many_threads_share_one_committer(world: World) -> None:
    sink = world.sink(policy=RotationPolicy(rows=7), most_waiting=20 * rows(1).nbytes)
    shard_ids = [f"shardId-{number:012d}" for number in range(4)]

    def read(shard_id: str) -> None:
        shard = sink.open(shard_id)
        for number in range(1, 31):
            feed(shard, [number])
            shard.advance()
        assert shard.flush() == SequenceNumber("30")

    threads = [_thread(partial(read, shard_id)) for shard_id in shard_ids]
    for thread in threads:
        thread.join(60)
    assert [world.archived(shard_id) for shard_id in shard_ids] == [list(range(1, 31))] * 4
    assert world.seen(LakeShardFailed) == []


def _thread(target: Callable[[], object]) -> threading.Thread:
    thread = threading.Thread(target=target, daemon=True)
    thread.start()
    return thread


def test_a_policy_that_never_fires_leaves_rows_to_flush(world: World) -> None:
    shard = world.sink(policy=NEVER).open(SHARD)
    feed(shard, range(1, 100))
    assert shard.advance() is None
    assert shard.flush() == SequenceNumber("99")
