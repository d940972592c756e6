"""The worker as a whole, on simulated time: nothing lost, nothing skipped, whatever happens to it."""

from collections import Counter
from collections.abc import Iterator
from datetime import timedelta

import pytest
from botocore.parsers import ResponseParserError

from consumers.diagnostics import (
    CheckpointFailed,
    LeaseAskedFor,
    LeaseEvicted,
    LeaseHandedOver,
    LeaseLost,
    LeaseRenewalFailed,
    LeaseRequested,
    LeaseTaken,
    LeaseUnreadable,
    RecordsTrimmed,
    RoundFailed,
    ShardDidNotDrain,
    ShardFailed,
    ShardFinished,
    ShardStarted,
    ShardStopped,
    ShardThreadDied,
    ShardWaits,
    WorkerStopped,
)
from consumers.engines.worker.leases.table import LeaseTable
from consumers.processing import ShardStop
from foundation.kinesis.records import Record, Sentinel, SequenceNumber, position_key
from tests.support.builders import NOON
from tests.support.worlds.worker_world import APPLICATION, Refused, World, failing

TEXTS = [f"text-{number}" for number in range(20)]
HALF = str(2**127)


@pytest.fixture
def world() -> Iterator[World]:
    made = World()
    yield made
    made.end()


def checkpoint(world: World, shard_id: str = "shardId-000000000000") -> object:
    return world.leases()[shard_id].checkpoint


def test_it_reads_everything_once_in_order_and_checkpoints(world: World) -> None:
    numbers = world.put(*TEXTS, key="order-1")
    world.start()
    world.run(5)
    more = world.put("late", key="order-1")
    world.run(5)
    assert world.texts() == [*TEXTS, "late"]
    assert checkpoint(world) == SequenceNumber(more[-1])
    assert numbers[-1] < more[-1]


def test_on_the_first_day_it_makes_its_table() -> None:
    world = World(first_day=True)
    world.dynamodb.lose_answer("create_table")
    world.put("a")
    world.start()
    world.start("worker-2")
    world.run(10)
    assert world.texts() == ["a"]
    world.end()


def test_it_begins_at_the_tip_when_told(world: World) -> None:
    world.put("old")
    world.run(1)
    world.start(start=Sentinel.LATEST)
    world.run(5)
    world.put("new")
    world.run(5)
    assert world.texts() == ["new"]


def test_a_crash_before_the_first_checkpoint_does_not_move_the_tip(world: World) -> None:
    world.put("old")
    world.run(60)
    world.start(start=Sentinel.LATEST)
    world.run(5)
    world.freeze("worker-1")
    world.put("while nobody reads")
    world.run(5)
    world.start("worker-2", start=Sentinel.LATEST)
    world.run(30)
    assert world.texts() == ["while nobody reads"]


def test_it_begins_at_a_moment_when_told(world: World) -> None:
    world.put("old")
    world.run(60)
    world.put("new")
    world.start(start=Sentinel.AT_TIMESTAMP, start_at=world.time.now() - timedelta(seconds=30))
    world.run(5)
    assert world.texts() == ["new"]


def test_a_checkpoint_is_never_written_before_its_effect(world: World) -> None:
    world.put(*TEXTS, key="order-1")
    seen: list[tuple[SequenceNumber, object]] = []

    def before(_: str, record: Record) -> None:
        seen.append((record.sequence_number, checkpoint(world)))

    world.before = before
    world.start(read_records=5)
    world.run(10)
    assert len(seen) == len(TEXTS)
    for number, written in seen:
        assert isinstance(written, (SequenceNumber, Sentinel))
        assert position_key(written) < number.key


def test_stopping_flushes_checkpoints_and_lets_the_leases_go(world: World) -> None:
    (number,) = world.put("a")
    worker = world.start()
    world.run(3)
    worker.stop()
    lease = world.leases()["shardId-000000000000"]
    assert (lease.owner, lease.checkpoint) == (None, SequenceNumber(number))
    assert [event.checkpoint for event in world.all(LeaseEvicted)] == [number]


def test_stopping_flushes_what_waits(world: World) -> None:
    (number,) = world.put("a")
    world.lazy = True
    worker = world.start()
    world.run(3)
    assert checkpoint(world) is Sentinel.TRIM_HORIZON
    worker.stop()
    assert world.flushed == 1
    assert checkpoint(world) == SequenceNumber(number)


def test_a_restart_goes_on_where_it_stopped_without_waiting(world: World) -> None:
    world.put("a", "b")
    world.start().stop_after(3)
    world.put("c")
    world.start("worker-2")
    world.run(3)
    assert world.texts("worker-2") == ["c"]


@pytest.mark.slow
def test_a_failing_record_is_tried_again_until_it_works_and_nothing_is_skipped(world: World) -> None:
    world.put(*TEXTS, key="order-1")
    world.before = failing(7, "text-11", Refused("not now"))
    world.start()
    world.run(200)
    assert world.texts() == TEXTS
    waits = world.all(ShardWaits)
    assert len(waits) == 7
    assert [event.retry_in_seconds for event in waits] == [1, 2, 4, 8, 16, 30, 30]


def test_while_a_record_fails_the_checkpoint_stays_before_it(world: World) -> None:
    numbers = world.put("a", "b", "c", key="order-1")
    world.before = failing(1000, "b", Refused("down"))
    world.start()
    world.run(120)
    assert world.texts() == ["a"]
    assert checkpoint(world) == SequenceNumber(numbers[0])


def test_after_an_error_out_of_a_processor_it_is_called_again_and_loses_nothing(world: World) -> None:
    world.put(*TEXTS, key="order-1")
    world.before = failing(3, "text-11", RuntimeError("no answer"))
    world.start()
    world.run(60)
    assert world.texts() == TEXTS
    assert [type(event.error) for event in world.all(ShardWaits)] == [RuntimeError] * 3
    assert len(world.all(ShardStarted)) == 1


def test_a_processor_that_cannot_be_opened_is_tried_again(world: World) -> None:
    world.put("a")
    world.unopenable = 3
    world.start()
    world.run(30)
    assert world.texts() == ["a"]
    assert [event.retry_in_seconds for event in world.all(ShardFailed)] == [1, 2, 4]


def test_a_shard_ends_only_when_its_last_record_is_safely_done(world: World) -> None:
    world.lazy = True
    world.unflushable = 3
    world.put("a")
    world.kinesis.split_shard(StreamName="orders", ShardToSplit="shardId-000000000000", NewStartingHashKey=HALF)
    world.start()
    world.run(5)
    assert checkpoint(world) is Sentinel.TRIM_HORIZON
    assert len(world.all(ShardWaits)) == 3
    world.run(5)
    assert checkpoint(world) is Sentinel.SHARD_END
    assert world.texts() == ["a"]


def test_a_shard_whose_children_are_not_listed_yet_does_not_end(world: World) -> None:
    world.kinesis.split_shard(StreamName="orders", ShardToSplit="shardId-000000000000", NewStartingHashKey=HALF)
    world.start()
    world.kinesis.fail("list_shards", "InternalFailure", times=3)
    world.run(30)
    assert [event.children for event in world.all(ShardFinished)] == [("shardId-000000000001", "shardId-000000000002")]
    assert set(world.leases()) >= {"shardId-000000000001", "shardId-000000000002"}


@pytest.mark.slow
def test_a_deliberate_stop_keeps_the_lease_and_tries_again_minutes_later(world: World) -> None:
    world.put("a", "b", key="order-1")
    world.before = failing(1, "b", ShardStop("ten bad records in a row"))
    world.start()
    world.start("worker-2")
    world.run(290)
    assert world.texts() == ["a"]
    assert [event.retry_in_seconds for event in world.all(ShardStopped)] == [300]
    assert len(world.all(LeaseTaken)) == 1
    world.run(30)
    assert set(world.texts()) == {"a", "b"}


def test_a_deliberate_stop_given_as_a_failure_checkpoints_what_was_done(world: World) -> None:
    numbers = world.put("a", "b", key="order-1")
    world.before = failing(1, "b", Refused("wrapped"))
    world.failure = ShardStop("bad deployment")
    world.start()
    world.run(5)
    assert checkpoint(world) == SequenceNumber(numbers[0])
    assert len(world.all(ShardStopped)) == 1
    assert not world.all(ShardWaits)


def test_a_handler_blocked_for_a_minute_keeps_its_lease(world: World) -> None:
    world.put("slow", "next", key="order-1")
    world.before = lambda _, record: world.sleep(60) if record.data == b"slow" else None
    world.start()
    world.run(1)
    world.start("worker-2")
    world.run(70)
    assert world.texts() == ["slow", "next"]
    assert world.texts("worker-1") == ["slow", "next"]
    assert not world.all(LeaseLost)


def test_after_a_crash_another_worker_goes_on_at_the_checkpoint(world: World) -> None:
    world.put("a", "b", key="order-1")
    world.start()
    world.run(3)
    world.freeze("worker-1")
    world.put("c")
    world.start("worker-2")
    world.run(9)
    assert world.texts("worker-2") == []
    world.run(9)
    assert world.texts("worker-2") == ["c"]
    assert world.leases()["shardId-000000000000"].owner == "worker-2"


def test_after_a_crash_inside_an_aggregate_its_rest_is_read(world: World) -> None:
    number = world.put_aggregate("a", "b", "c", "d")
    world.before = failing(1000, "c", Refused("down"))
    world.start()
    world.run(3)
    assert checkpoint(world) == SequenceNumber(number, 1)
    world.freeze("worker-1")
    world.before = lambda *_: None
    world.start("worker-2")
    world.run(20)
    assert world.texts("worker-2") == ["c", "d"]
    assert checkpoint(world) == SequenceNumber(number, 3)


@pytest.mark.slow
def test_a_zombie_writes_no_checkpoint_and_stops(world: World) -> None:
    world.put("a", key="order-1")
    world.before = lambda worker, record: world.sleep(5) if (worker, record.data) == ("worker-1", b"a") else None
    world.start()
    world.run(2)
    world.freeze("worker-1")
    world.start("worker-2")
    (number,) = world.put("b", key="order-1")
    world.run(30)
    assert world.texts() == ["a", "b"]
    counter = world.leases()["shardId-000000000000"].counter
    world.thaw("worker-1")
    world.run(2)
    assert world.texts("worker-1") == ["a"]  # The effect that was under way: at least once, and never more.
    assert len(world.all(LeaseLost)) == 1
    lease = world.leases()["shardId-000000000000"]
    assert (lease.owner, lease.checkpoint) == ("worker-2", SequenceNumber(number))
    assert lease.counter - counter <= 2
    world.run(60)
    assert world.texts("worker-1") == ["a"]


def test_a_lost_lease_is_neither_flushed_nor_checkpointed(world: World) -> None:
    world.put("a", key="order-1")
    world.lazy = True
    world.start()
    world.run(3)
    LeaseTable(world.dynamodb.client, APPLICATION, "them").take(world.leases()["shardId-000000000000"], NOON)
    before = world.leases()["shardId-000000000000"]
    world.run(5)
    assert len(world.all(LeaseLost)) == 1
    assert world.flushed == 0
    assert world.leases()["shardId-000000000000"] == before


@pytest.mark.slow
def test_a_shard_never_has_two_threads_in_one_worker(world: World) -> None:
    world.put("slow", key="order-1")
    inside: list[int] = []

    def before(*_: object) -> None:
        inside.append(+1)
        assert sum(inside) == 1, "two threads read one shard"
        world.sleep(60)
        inside.append(-1)

    world.before = before
    world.start()
    world.run(2)
    world.dynamodb.fail("update_item", "InternalServerError", times=10)
    world.run(50)
    assert len(world.all(LeaseLost)) == 1
    assert inside == [+1]
    world.run(100)
    assert inside == [+1, -1, +1, -1]
    assert set(world.texts()) == {"slow"}


@pytest.mark.slow
def test_two_workers_share_fairly_and_then_leave_it_at_that() -> None:
    world = World(shards=8)
    world.start()
    world.run(20)
    world.start("worker-2")
    world.run(60)
    owners = [lease.owner for lease in world.leases().values()]
    assert (owners.count("worker-1"), owners.count("worker-2")) == (4, 4)
    taken = len(world.all(LeaseTaken))
    world.put(*TEXTS)
    world.run(120)
    assert len(world.all(LeaseTaken)) == taken
    assert sorted(world.texts()) == sorted(TEXTS)
    world.end()


@pytest.mark.slow
def test_rebalancing_hands_over_and_repeats_no_effect() -> None:
    """Under load, with effects that take their time, and checkpoints that follow each batch."""
    world = World(shards=8)
    world.before = lambda *_: world.sleep(0.05)
    expected: list[str] = []
    for turn in range(30):
        if turn in {3, 8, 13}:
            world.start(f"worker-{turn}")
        expected += (texts := [f"turn-{turn}-{number}" for number in range(20)])
        world.put(*texts)
        world.run(2)
    world.run(10)
    assert sorted(world.texts()) == sorted(expected)
    holders = Counter(lease.holder for lease in world.leases().values())
    assert sorted(holders.values()) == [2, 3, 3]
    assert len(world.all(LeaseHandedOver)) == 4 + 2
    assert not world.all(LeaseLost)
    assert {event.from_worker for event in world.all(LeaseTaken)} == {None}
    world.end()


@pytest.mark.slow
def test_a_shard_that_does_not_come_to_an_end_is_taken_in_the_end() -> None:
    world = World(shards=2)
    world.start()
    world.run(5)
    world.before = lambda worker, _: world.sleep(120) if worker == "worker-1" else None
    world.put("low", key="low")
    world.put("high", key="high")
    world.put("more", key="more")
    world.run(3)
    world.start("worker-2")
    world.run(30)
    assert len(world.all(LeaseAskedFor)) == 1
    assert world.texts("worker-2") == []
    world.run(30)
    assert [event.from_worker for event in world.all(LeaseTaken)][2:] == ["worker-1"]
    assert world.texts("worker-2")
    assert len(world.all(LeaseLost)) == 1
    world.end()


@pytest.mark.slow
def test_who_dies_after_asking_leaves_nothing_unread() -> None:
    world = World(shards=2)
    world.start()
    world.run(5)
    world.start("worker-2")
    world.run(1)
    assert world.all(LeaseRequested)
    world.freeze("worker-2")
    world.run(40)
    assert len(world.all(LeaseHandedOver)) == 1
    world.put(*TEXTS)
    world.run(10)
    assert sorted(world.texts("worker-1")) == sorted(TEXTS)
    world.end()


def test_who_stops_after_asking_takes_it_back() -> None:
    world = World(shards=2)
    world.start()
    world.run(4.4)
    other = world.start("worker-2")
    world.run(1)
    assert world.all(LeaseRequested)
    assert not world.all(LeaseAskedFor)
    other.stop()
    world.run(30)
    assert not world.all(LeaseAskedFor)
    assert {lease.holder for lease in world.leases().values()} == {"worker-1"}
    assert len(world.all(LeaseTaken)) == 2
    world.end()


@pytest.mark.slow
def test_a_row_that_makes_no_sense_is_told_once_and_stops_no_other_shard() -> None:
    world = World(shards=2)
    broken, _ = world.kinesis.shard_ids()
    world.start().stop_after(3)
    del world.dynamodb.tables[APPLICATION][broken]["checkpoint"]
    texts = [f"{number}" for number in range(40)]
    world.put(*texts)
    world.start("worker-2")
    world.run(60)
    assert world.all(LeaseUnreadable) == [LeaseUnreadable(broken, "checkpoint is missing")]
    assert 0 < len(world.texts()) < len(texts)
    assert not world.all(RoundFailed)
    world.dynamodb.tables[APPLICATION][broken]["checkpoint"] = {"S": "TRIM_HORIZON"}
    world.run(10)
    assert sorted(world.texts()) == sorted(texts)
    world.end()


@pytest.mark.slow
@pytest.mark.parametrize("operation", ["scan", "update_item", "put_item", "delete_item"])
def test_a_round_that_breaks_off_of_anything_is_told_and_made_again(world: World, operation: str) -> None:
    world.put("a")
    world.dynamodb.fail(operation, ResponseParserError("cut off"))
    world.start()
    world.kinesis.split_shard(StreamName="orders", ShardToSplit="shardId-000000000000", NewStartingHashKey=HALF)
    world.put(*TEXTS)
    world.run(200)
    assert world.texts()[0] == "a"
    assert sorted(world.texts()[1:]) == sorted(TEXTS)
    assert [type(event.error) for event in world.all(RoundFailed)] == [ResponseParserError]
    assert set(world.leases()) == {"shardId-000000000001", "shardId-000000000002"}


def test_a_thread_that_cannot_be_started_costs_the_shard_a_round(world: World) -> None:
    world.put("a")
    world.threads.refuse("shardId-000000000000", RuntimeError("can't start new thread"))
    world.start()
    world.run(10)
    assert world.texts() == ["a"]
    assert len(world.all(RoundFailed)) == 1


def test_after_a_split_the_children_wait_for_their_parent(world: World) -> None:
    world.put("before", key="order-1")
    world.before = lambda _, record: world.sleep(40) if record.data == b"before" else None
    world.kinesis.split_shard(StreamName="orders", ShardToSplit="shardId-000000000000", NewStartingHashKey=HALF)
    world.put(*TEXTS)
    world.start()
    world.run(60)
    assert world.texts()[0] == "before"
    assert sorted(world.texts()[1:]) == sorted(TEXTS)
    (finished,) = world.all(ShardFinished)
    assert finished == ShardFinished("shardId-000000000000", ("shardId-000000000001", "shardId-000000000002"))


def test_after_a_merge_the_child_waits_for_both_parents() -> None:
    world = World(shards=2)
    low, high = world.kinesis.shard_ids()
    for text, hash_key in (("low", "0"), ("high", HALF)):
        world.kinesis.put_record(StreamName="orders", Data=text.encode(), PartitionKey=text, ExplicitHashKey=hash_key)
    world.kinesis.merge_shards(StreamName="orders", ShardToMerge=low, AdjacentShardToMerge=high)
    world.put("child")
    world.before = lambda _, record: world.sleep(30) if record.data == b"high" else None
    world.start()
    world.run(20)
    assert world.texts() == ["low"]
    assert world.leases()[low].finished
    world.run(30)
    assert world.texts() == ["low", "high", "child"]
    world.end()


@pytest.mark.slow
def test_a_reshard_in_the_middle_loses_nothing(world: World) -> None:
    world.start()
    world.start("worker-2")
    expected = []
    for turn in range(6):
        expected += (texts := [f"turn-{turn}-{number}" for number in range(10)])
        world.put(*texts)
        world.run(4)
        if turn == 1:
            world.kinesis.split_shard(StreamName="orders", ShardToSplit="shardId-000000000000", NewStartingHashKey=HALF)
        if turn == 3:
            world.kinesis.merge_shards(
                StreamName="orders", ShardToMerge="shardId-000000000001", AdjacentShardToMerge="shardId-000000000002"
            )
    world.run(60)
    assert sorted(world.texts()) == sorted(expected)
    assert len(world.all(ShardFinished)) == 3


@pytest.mark.slow
def test_a_finished_lease_goes_when_its_children_are_being_read_and_does_not_come_back(world: World) -> None:
    world.start()
    world.run(3)
    world.kinesis.split_shard(StreamName="orders", ShardToSplit="shardId-000000000000", NewStartingHashKey=HALF)
    world.run(20)
    parent = world.leases()["shardId-000000000000"]
    assert parent.finished
    assert parent.children == {"shardId-000000000001", "shardId-000000000002"}
    world.put(*TEXTS)
    world.run(150)
    assert set(world.leases()) == {"shardId-000000000001", "shardId-000000000002"}
    assert sorted(world.texts()) == sorted(TEXTS)


@pytest.mark.slow
@pytest.mark.parametrize("operation", ["update_item", "put_item", "scan", "get_item"])
def test_lost_answers_of_the_table_cost_no_lease_and_double_nothing(world: World, operation: str) -> None:
    world.put(*TEXTS, key="order-1")
    world.dynamodb.lose_answer(operation)
    world.start(read_records=3)
    world.run(5)
    world.dynamodb.lose_answer("update_item", times=1)
    world.run(60)
    assert world.texts() == TEXTS
    assert not world.all(LeaseLost)
    assert world.leases()["shardId-000000000000"].checkpoint == SequenceNumber(
        world.kinesis.records()[-1]["SequenceNumber"]
    )


def test_a_lost_answer_to_a_checkpoint_repeats_no_effect(world: World) -> None:
    world.put("a", key="order-1")
    world.start()
    world.run(5)
    world.before = lambda *_: world.dynamodb.lose_answer("update_item")
    world.put("b", key="order-1")
    world.run(1)
    world.before = lambda *_: None
    world.put("c", key="order-1")
    world.run(30)
    assert world.texts() == ["a", "b", "c"]


def test_a_checkpoint_is_tried_until_it_is_written(world: World) -> None:
    world.start()
    world.run(4)
    world.before = lambda *_: world.dynamodb.fail("update_item", "InternalServerError", times=2)
    (number,) = world.put("a")
    world.run(6)
    assert [event.retry_in_seconds for event in world.all(CheckpointFailed)] in ([1, 2], [1])
    assert checkpoint(world) == SequenceNumber(number)
    assert world.texts() == ["a"]


def test_without_its_keeper_a_worker_drains_and_ends(world: World) -> None:
    world.start()
    world.run(3)
    world.dynamodb.fail("update_item", SystemExit())  # type: ignore[arg-type]
    world.run(10)
    assert len(world.all(WorkerStopped)) == 1
    assert world.crashes() == [SystemExit, RuntimeError]  # the keeper, and then run(): the process exits non-zero
    assert world.leases()["shardId-000000000000"].owner is None


def test_a_table_out_of_reach_for_a_moment_costs_no_lease(world: World) -> None:
    world.start()
    world.run(3)
    world.dynamodb.fail("update_item", "InternalServerError", times=2)
    world.put("a")
    world.run(30)
    assert world.texts() == ["a"]
    assert not world.all(LeaseLost)


def test_a_table_out_of_reach_for_long_costs_the_lease_and_then_it_is_taken_again(world: World) -> None:
    world.start()
    world.run(4)
    world.dynamodb.fail("update_item", "InternalServerError", times=8)
    world.run(60)
    assert world.all(LeaseRenewalFailed)
    assert len(world.all(LeaseLost)) == 1
    world.put("a")
    world.run(10)
    assert world.texts() == ["a"]
    assert len(world.all(LeaseTaken)) == 2


def test_a_stream_that_is_not_there_yet_is_waited_for(world: World) -> None:
    world.put("a")
    world.kinesis.fail("list_shards", "ResourceNotFoundException", times=3)
    world.start()
    world.run(30)
    assert len(world.all(RoundFailed)) == 3
    assert world.texts() == ["a"]


def test_a_gap_is_told_loudly_and_reading_goes_on(world: World) -> None:
    numbers = world.put("a", key="order-1")
    world.start().stop_after(3)
    numbers += world.put("b", "c", key="order-1")
    world.kinesis.trim("shardId-000000000000", 2)
    world.start()
    world.run(5)
    assert world.texts() == ["a", "c"]
    (gap,) = world.all(RecordsTrimmed)
    assert (gap.checkpoint, gap.first) == (numbers[0], numbers[2])
    assert checkpoint(world) == SequenceNumber(numbers[2])


def test_the_place_before_a_gap_is_never_checkpointed_since_it_is_no_record(world: World) -> None:
    numbers = world.put("a", key="order-1")
    world.start().stop_after(3)
    world.put("b", "c", key="order-1")
    world.kinesis.trim("shardId-000000000000", 2)
    world.naive = True
    world.before = failing(1000, "c", Refused("down"))
    world.start().stop_after(10)
    assert checkpoint(world) == SequenceNumber(numbers[0])


def test_numbers_with_leading_zeros_go_back_as_they_came() -> None:
    world = World(number_width=60)
    world.put("a", key="order-1")
    world.start().stop_after(3)
    (number,) = world.put("b", key="order-1")
    world.start()
    world.run(3)
    assert world.texts() == ["a", "b"]
    held = checkpoint(world)
    assert isinstance(held, SequenceNumber)
    assert held.number == number
    assert len(held.number) == 60
    world.end()


def test_a_thread_that_dies_is_told_and_replaced(world: World) -> None:
    world.put("a", "b", key="order-1")
    world.exit_at = "b"
    world.start()
    world.run(30)
    assert len(world.all(ShardThreadDied)) == 1
    assert world.crashes() == [SystemExit]
    assert set(world.texts()) == {"a", "b"}


def test_a_processor_that_does_not_come_back_cannot_keep_the_worker(world: World) -> None:
    world.put("stuck")
    world.before = lambda *_: world.sleep(1000)
    worker = world.start(drain_seconds=20.0)
    world.run(3)
    worker.stop()
    assert world.time.monotonic() < 60
    assert [event.waited_seconds for event in world.all(ShardDidNotDrain)] == [20.0]
    assert checkpoint(world) is Sentinel.TRIM_HORIZON


def test_a_stop_that_cannot_flush_says_so_and_lets_the_lease_go(world: World) -> None:
    world.put("a")
    world.lazy = True
    world.unflushable = 1
    worker = world.start()
    world.run(3)
    worker.stop()
    lease = world.leases()["shardId-000000000000"]
    assert (lease.owner, lease.checkpoint) == (None, Sentinel.TRIM_HORIZON)
    assert len(world.all(ShardFailed)) == 1


def test_a_stop_while_the_world_is_broken_lets_go_at_the_last_safe_place(world: World) -> None:
    numbers = world.put("a", "b", key="order-1")
    world.before = failing(1000, "b", Refused("down"))
    worker = world.start()
    world.run(10)
    worker.stop()
    lease = world.leases()["shardId-000000000000"]
    assert (lease.owner, lease.checkpoint) == (None, SequenceNumber(numbers[0]))
