"""Looks at real workers on simulated time: what is seen of them, and how it is judged."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consumers.engines.worker.leases.lease import Lease
from consumers.engines.worker.leases.table import LeaseTable
from consumers.processing import ShardStop
from foundation.kinesis.aggregation import AGGREGATE_KEY
from foundation.kinesis.hash_keys import hash_key
from foundation.kinesis.records import Sentinel, SequenceNumber
from takeaway.standing.collector import Collector, Reader, SeenReader
from takeaway.standing.judge import Judgement, Verdict, judged
from takeaway.standing.shard_standing import ShardStanding
from tests.support.fakes.clock import START
from tests.support.worlds.worker_world import APPLICATION, Refused, World, failing

pytestmark = pytest.mark.slow

SHARD = "shardId-000000000000"
HALF = 2**127


@pytest.fixture
def world() -> Iterator[World]:
    made = World()
    yield made
    made.end()


def look(world: World, look_seconds: float = 0.0) -> SeenReader:
    def wait(seconds: float) -> bool:
        world.run(seconds)
        return False

    clock = world.time.clock
    collector = Collector(world.kinesis.client, world.dynamodb.client, "orders", clock.now(), clock, wait)
    return collector.look(Reader(APPLICATION, APPLICATION, 10 / 3, START, look_seconds))


def shard(world: World, look_seconds: float = 0.0) -> ShardStanding:
    return next(one for one in look(world, look_seconds).shards if one.shard_id == SHARD)


def verdict(world: World, pace: float = 1.0, look_seconds: float = 0.0) -> Judgement:
    return judged(shard(world, look_seconds), pace, start="start it")


def test_a_worker_that_reads_is_well_and_so_it_is_after_a_week_of_nothing(world: World) -> None:
    world.put("a", "b")
    world.start()
    world.run(5)
    assert verdict(world).verdict is Verdict.OK
    world.run(3000)
    seen = shard(world)
    assert (seen.owner, seen.renewed, seen.unread, seen.moved) == ("worker-1", True, False, False)
    assert seen.standing_seconds is not None
    assert seen.standing_seconds > 3000
    assert seen.end == seen.checkpoint
    assert judged(seen, 1.0, start="").verdict is Verdict.OK


def test_one_that_fails_is_told_in_its_own_words_since_it_began(world: World) -> None:
    world.put("a", "bad")
    world.before = failing(9999, "bad", Refused("no such address"))
    world.start()
    world.run(20)
    seen = shard(world)
    assert seen.trouble is not None
    assert seen.trouble.error == "Refused: no such address"
    assert START <= seen.trouble.since <= START + timedelta(seconds=5)
    assert seen.trouble_seconds is not None
    assert seen.trouble_seconds > 15
    assert judged(seen, 1.0, start="").verdict is Verdict.STALLED
    world.before = lambda *_: None
    world.run(60)
    assert shard(world).trouble is None
    assert verdict(world).verdict is Verdict.OK


def test_one_that_refuses_to_go_on_is_stopped(world: World) -> None:
    world.put("bad")
    world.before = failing(9999, "bad", Refused())
    world.failure = ShardStop("a bad deployment")
    world.start()
    world.run(10)
    judgement = verdict(world)
    assert judgement.verdict is Verdict.STOPPED
    assert "a bad deployment" in judgement.why


def test_what_failed_once_is_no_trouble(world: World) -> None:
    world.start()
    world.run(10)
    world.put("bad")
    world.before = failing(1, "bad", Refused())
    world.run(0.5)
    assert verdict(world).verdict is Verdict.OK


def test_a_frozen_worker_is_not_seen_to_keep_its_lease(world: World) -> None:
    world.start()
    world.run(10)
    world.freeze("worker-1")
    world.put("a")
    judgement = verdict(world)
    assert judgement.verdict is Verdict.STOPPED
    assert "no worker keeps its lease" in judgement.why


def test_one_that_hangs_keeps_its_lease_and_stands_still_after_a_minute(world: World) -> None:
    world.start()
    world.run(10)
    world.put("hangs")
    world.before = lambda *_: world.sleep(500)
    world.run(40)
    assert verdict(world).verdict is Verdict.OK
    world.run(30)
    judgement = verdict(world)
    assert judgement.verdict is Verdict.STALLED
    assert judgement.seconds is not None
    assert judgement.seconds > 60


def test_one_that_starts_anew_behind_an_old_checkpoint_is_given_its_time(world: World) -> None:
    first = world.put("a")[0]
    world.start().stop_after(5)
    world.put("b")
    world.run(3600)
    world.lazy = True  # as an archiver that has not committed yet
    world.start("worker-2")
    world.run(10)
    seen = shard(world)
    assert (seen.checkpoint, seen.unread, seen.renewed) == (first, True, True)
    assert judged(seen, 60.0, start="").verdict is Verdict.WARN
    world.run(200)
    assert verdict(world, pace=60.0).verdict is Verdict.STALLED


def test_a_lease_table_without_notes_is_looked_at_for_longer(world: World) -> None:
    table = LeaseTable(world.dynamodb.client, APPLICATION, "theirs")
    number = world.put("a", "b")[0]
    table.add(Lease(SHARD, SequenceNumber(number), owner="theirs"))
    world.run(100)
    assert verdict(world).verdict is Verdict.STOPPED
    renewing = world.threads.thread(target=lambda: renew(world, table), name="theirs")
    renewing.start()
    assert verdict(world).verdict is Verdict.WARN
    assert verdict(world, look_seconds=61.0).verdict is Verdict.STALLED
    renewing.join()


def renew(world: World, table: LeaseTable) -> None:
    for _ in range(200):
        table.renew(table.list()[SHARD])
        world.sleep(1)


def test_a_position_of_a_stream_that_was_made_anew_is_told(world: World) -> None:
    world.put("a", "b")
    world.start().stop_after(5)
    world.run(60)
    world.kinesis.stream_named("", "orders").created_at = world.time.now()
    judgement = verdict(world)
    assert judgement.verdict is Verdict.STOPPED
    assert "made anew" in judgement.why


def test_a_child_waits_for_its_parent_and_is_no_problem_of_its_own(world: World) -> None:
    world.put("bad")
    world.before = failing(9999, "bad", Refused())
    world.kinesis.split_shard(StreamName="orders", ShardToSplit=SHARD, NewStartingHashKey=str(HALF))
    world.put("later")
    world.start(shard_sync_seconds=5)
    world.run(20)
    seen = look(world)
    found = {one.shard_id: judged(one, 1.0, start="").verdict for one in seen.shards}
    assert found.pop(SHARD) is Verdict.STALLED
    assert set(found.values()) <= {Verdict.OK}
    assert [one.waits_for for one in seen.shards if one.shard_id != SHARD] == [(SHARD,)] * len(found)
    assert found, "the children have leases, and are looked at"


def test_a_shard_that_no_worker_has_taken_up_is_told_once_records_have_waited(world: World) -> None:
    table = LeaseTable(world.dynamodb.client, APPLICATION, "worker-1")
    table.add(Lease("shardId-000000000009", Sentinel.SHARD_END))
    world.put("a")
    assert verdict(world).verdict is Verdict.WARN
    world.run(100)
    judgement = verdict(world)
    assert (judgement.verdict, "no worker has made its lease" in judgement.why) == (Verdict.STOPPED, True)


def test_a_stray_aggregate_at_the_tip_is_not_unread(world: World) -> None:
    world.put("a")
    world.start()
    world.run(5)
    world.kinesis.split_shard(StreamName="orders", ShardToSplit=SHARD, NewStartingHashKey=str(HALF))
    world.run(120)
    children = [one.shard_id for one in look(world).shards if not one.finished]
    assert len(children) == 2
    # Packed before the split, and landed in the other half's child.
    stray = next(key for key in map(str, range(99)) if (hash_key(key) < HALF) != (hash_key(AGGREGATE_KEY) < HALF))
    world.put_aggregate("x", "y", key=stray, outer_key=AGGREGATE_KEY)
    world.run(600)
    seen = look(world)
    assert {one.unread for one in seen.shards if not one.finished} == {False}
    assert {judged(one, 1.0, start="").verdict for one in seen.shards} == {Verdict.OK}


def test_the_rest_of_an_aggregate_is_unread_and_counted(world: World) -> None:
    number = world.put_aggregate("a", "b", "c")
    table = LeaseTable(world.dynamodb.client, APPLICATION, "worker-1")
    table.add(Lease(SHARD, SequenceNumber(number, 0), owner="worker-1"))
    seen = shard(world)
    assert (seen.unread, seen.unread_records) == (True, 2)


def test_a_moment_to_begin_at_is_where_it_is_looked(world: World) -> None:
    table = LeaseTable(world.dynamodb.client, APPLICATION, "worker-1")
    table.add(Lease(SHARD, Sentinel.AT_TIMESTAMP, owner="worker-1"))
    assert shard(world).unread is False
    world.put("a")
    assert shard(world).unread is True


@pytest.mark.parametrize("since", [None, START])
def test_latest_is_unread_since_it_was_taken_where_that_is_noted(world: World, since: object) -> None:
    table = LeaseTable(world.dynamodb.client, APPLICATION, "worker-1")
    lease = Lease(SHARD, Sentinel.LATEST, owner="worker-1")
    table.add(replace(lease, latest_since=START) if since else lease)
    world.put("a")
    assert shard(world).unread is (True if since else None)


def test_a_reader_without_a_table_has_all_of_the_stream_before_it(world: World) -> None:
    world.dynamodb.tables.clear()
    world.put("a")
    seen = look(world)
    assert not seen.ran
    assert [(one.unread, one.renewed) for one in seen.shards] == [(True, False)]


@pytest.mark.slow
@settings(max_examples=25)
@given(
    pauses=st.lists(st.floats(0.1, 55.0), min_size=1, max_size=12),
    looks=st.lists(st.integers(0, 11), min_size=1, max_size=4),
)
def test_whenever_it_is_looked_at_a_worker_that_moves_is_not_accused(pauses: list[float], looks: list[int]) -> None:
    world = World()
    world.start(batch_records=1)
    world.before = lambda *_: world.sleep(20)  # slower than records come
    for number, pause in enumerate(pauses):
        world.put(f"{number}-a", f"{number}-b")
        world.run(pause)
        if number in looks:
            assert verdict(world, pace=20.0).verdict in {Verdict.OK, Verdict.WARN}
    world.end()


def test_of_a_table_only_the_rows_of_this_streams_shards_are_looked_at(world: World) -> None:
    """The KCL names each row after its stream where it reads several; and another program may keep a row there."""
    world.put("a")
    running = world.start()
    world.run(5)
    running.stop()
    row = world.dynamodb.tables[APPLICATION].pop(SHARD)
    for stream in ("orders", "invoices"):
        key = f"123456789012:{stream}:1700000000:{SHARD}"
        world.dynamodb.put_item(TableName=APPLICATION, Item={**row, "leaseKey": {"S": key}})
    world.dynamodb.put_item(TableName=APPLICATION, Item={**row, "leaseKey": {"S": "deployment-lock"}})
    world.put("b")
    (seen,) = look(world).shards
    assert (seen.shard_id, seen.unread, seen.checkpoint) == (SHARD, True, row["checkpoint"]["S"])
