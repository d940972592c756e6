"""The KCL's engine, under a daemon that answers as the KCL's: nothing swallowed, skipped or checkpointed early."""

from collections.abc import Callable

import pytest

from consumers.diagnostics import (
    CheckpointFailed,
    LeaseLost,
    ShardFailed,
    ShardFinished,
    ShardGoesOn,
    ShardHandedBack,
    ShardStarted,
    ShardStopped,
    ShardWaits,
)
from consumers.engines.kcl.processor import KclProcessor
from consumers.processing import Progress, RecordFailure, ShardAssignment, ShardStop, Trouble
from foundation.diagnostics import Diagnostic
from foundation.kinesis.records import Batch, Position, Record, Sentinel, SequenceNumber, position_key
from tests.support.builders import NOON, a_record
from tests.support.fakes.clock import FakeClock
from tests.support.fakes.kcl_daemon import FakeDaemon


class Notes:
    """A processor that notes what it is given; `before` may raise. A `lazy` one is done only when flushed."""

    def __init__(self, checkpoint: Position) -> None:
        self.batches: list[Batch] = []
        self.noted: list[SequenceNumber] = []
        self.done = checkpoint
        self.before: Callable[[Record], None] = lambda _: None
        self.lazy = False
        self.flush_error: Exception | None = None
        self._reported = checkpoint

    @property
    def resume_after(self) -> Position:
        return self.done

    def process(self, batch: Batch) -> Progress:
        self.batches.append(batch)
        for record in batch.records:
            try:
                self.before(record)
            except Exception as error:  # noqa: BLE001
                return self._progress(RecordFailure(record.sequence_number, error))
            self.noted.append(record.sequence_number)
            self.done = record.sequence_number
        return self._progress(None)

    def flush(self) -> Progress:
        if self.flush_error is not None:
            raise self.flush_error
        self._reported = self.done
        return Progress(self.done)

    def _progress(self, failure: RecordFailure | None) -> Progress:
        if not self.lazy:
            self._reported = self.done
        return Progress(self._reported, failure)


class World:
    def __init__(self, *, checkpoint: Position = Sentinel.TRIM_HORIZON) -> None:
        self.time = FakeClock()
        self.daemon = FakeDaemon(checkpoint=checkpoint)
        self.notes = Notes(checkpoint)
        self.opened: list[ShardAssignment] = []
        self.unopenable: list[Exception] = []
        self.happened: list[Diagnostic] = []
        self.told: list[tuple[str, Trouble | None]] = []
        self.child = KclProcessor(
            "orders",
            self._open,
            is_gone=lambda _: False,
            batch_records=1000,
            grace_seconds=60,
            clock=self.time.clock,
            wait=self.time.wait,
            emit=self.happened.append,
            tell=lambda *told: self.told.append(told),
        )

    def start(self) -> "World":
        self.daemon.start(self.child)
        return self

    def happenings(self) -> list[type[Diagnostic]]:
        return [type(one) for one in self.happened]

    def _open(self, assignment: ShardAssignment) -> Notes:
        if self.unopenable:
            raise self.unopenable.pop()
        self.opened.append(assignment)
        return self.notes


def a_place(number: int, sub: int = 0) -> SequenceNumber:
    return SequenceNumber(str(number), sub)


def refuse(times: int, number: int, error: Exception) -> Callable[[Record], None]:
    left = [times]

    def before(record: Record) -> None:
        if record.number == str(number) and left[0]:
            left[0] -= 1
            raise error

    return before


def test_it_opens_the_shard_where_the_daemon_says() -> None:
    world = World(checkpoint=a_place(7, 3)).start()
    assert world.opened == [ShardAssignment("orders", "shardId-000000000000", a_place(7, 3))]
    assert world.happened == [ShardStarted("shardId-000000000000", "7.3")]


def test_records_arrive_whole_and_in_order() -> None:
    world = World().start()
    world.daemon.give(a_record(1), a_record(2, sub=0), a_record(2, sub=1), millis_behind_latest=1200)
    (batch,) = world.notes.batches
    assert batch == Batch(
        "orders", "shardId-000000000000", Sentinel.TRIM_HORIZON, (a_record(1), a_record(2), a_record(2, sub=1)), 1200
    )
    assert batch.records[0].arrived_at == NOON


def test_a_batch_begins_where_the_one_before_ended() -> None:
    world = World().start()
    world.daemon.give(a_record(1), a_record(2, sub=4))
    world.daemon.give()
    world.daemon.give(a_record(3))
    assert [batch.after for batch in world.notes.batches] == [Sentinel.TRIM_HORIZON, a_place(2, 4), a_place(2, 4)]


def test_a_read_of_unknown_age_is_not_the_tip() -> None:
    world = World().start()
    world.daemon.give(millis_behind_latest=None)
    assert world.notes.batches[0].millis_behind_latest > 0


def test_progress_is_checkpointed_inside_an_aggregate_too() -> None:
    world = World().start()
    world.notes.before = refuse(1, 2, OSError("down"))
    world.daemon.give(a_record(1, sub=8), a_record(1, sub=9), a_record(2))
    assert world.daemon.checkpoints == [a_place(1, 9), a_place(2)]


def test_a_number_is_sent_back_as_the_text_received() -> None:
    world = World().start()
    record = Record(number="0007", partition_key="order-1", data=b"", arrived=0.0)
    world.daemon.give(record)
    assert world.daemon.said[-2]["sequenceNumber"] == "0007"


def test_while_the_world_is_broken_the_call_waits_and_goes_on_from_the_failed_record() -> None:
    world = World().start()
    world.notes.before = refuse(3, 2, OSError("down"))
    world.daemon.give(a_record(1), a_record(2), a_record(3))
    assert world.notes.noted == [a_place(1), a_place(2), a_place(3)]
    assert world.time.waits == [1, 2, 4]
    assert [type(one) for one in world.happened[1:]] == [*[ShardWaits] * 3, ShardGoesOn]


def test_a_call_that_the_stop_cut_short_checkpoints_what_is_done_and_nothing_more_is_taken() -> None:
    world = World().start()
    world.notes.before = refuse(1000, 2, OSError("down"))
    world.time.stopping = True
    world.daemon.give(a_record(1), a_record(2), a_record(3))
    world.notes.before = lambda _: None
    world.daemon.give(a_record(4))
    world.daemon.request_shutdown()
    world.daemon.lose_lease()
    assert world.notes.noted == [a_place(1)]
    assert world.daemon.checkpoint == a_place(1)


def test_a_shard_that_was_cut_short_does_not_end() -> None:
    world = World().start()
    world.notes.before = refuse(1, 1, OSError("down"))
    world.time.stopping = True
    world.daemon.give(a_record(1))
    world.daemon.end_shard()
    assert world.daemon.checkpoints == []


def test_a_child_that_alone_was_told_to_stop_ends_its_daemon() -> None:
    world = World().start()
    world.notes.before = refuse(1, 1, OSError("down"))
    world.time.stopping = True
    world.daemon.give(a_record(1))
    world.time.advance(59)
    world.daemon.give(a_record(2))
    world.time.advance(2)
    with pytest.raises(SystemExit):
        world.daemon.give(a_record(3))
    assert isinstance(world.happened[-1], ShardFailed)


def test_an_error_out_of_a_processor_loses_nothing() -> None:
    world = World().start()
    errors = [RuntimeError("no answer"), RuntimeError("no answer")]
    process = world.notes.process

    def broken(batch: Batch) -> Progress:
        if errors:
            raise errors.pop()
        return process(batch)

    world.notes.process = broken  # type: ignore[method-assign]
    world.daemon.give(a_record(1), a_record(2))
    assert world.notes.noted == [a_place(1), a_place(2)]


def test_a_bad_deployment_ends_the_daemon_rather_than_be_reported_done() -> None:
    world = World().start()
    world.notes.before = refuse(1, 2, ShardStop("ten in a row"))
    with pytest.raises(SystemExit):
        world.daemon.give(a_record(1), a_record(2))
    assert world.daemon.checkpoint == a_place(1)
    assert world.daemon.said[-1]["action"] == "checkpoint"
    assert isinstance(world.happened[-1], ShardStopped)


def test_what_keeps_the_shard_from_getting_on_is_told_until_it_is_over() -> None:
    world = World().start()
    world.notes.before = refuse(2, 2, OSError("no route"))
    world.daemon.give(a_record(1), a_record(2))
    shard_id, *_ = world.told[0]
    assert world.told[0] == (shard_id, None), "what the child before noted is over"
    assert [trouble.error if trouble else None for _, trouble in world.told[1:]] == ["OSError: no route"] * 2 + [None]
    assert len({trouble.since for _, trouble in world.told if trouble}) == 1


def test_a_bad_deployment_is_told_and_stays_told() -> None:
    world = World().start()
    world.notes.before = refuse(1, 1, ShardStop("bad"))
    with pytest.raises(SystemExit):
        world.daemon.give(a_record(1))
    _, trouble = world.told[-1]
    assert trouble is not None
    assert (trouble.error, trouble.stopped) == ("bad", True)


def test_what_kclpy_would_swallow_ends_the_daemon() -> None:
    world = World().start()
    world.notes.process = lambda _: None  # type: ignore[method-assign, assignment, return-value]
    with pytest.raises(SystemExit):
        world.daemon.give(a_record(1))
    assert world.daemon.checkpoints == []


def test_a_processor_that_cannot_be_opened_is_tried_again() -> None:
    world = World()
    world.unopenable = [OSError("no lake"), OSError("no lake")]
    world.start().daemon.give(a_record(1))
    assert world.notes.noted == [a_place(1)]
    assert world.time.waits == [1, 2]


def test_a_processor_that_must_not_be_opened_ends_the_daemon() -> None:
    world = World()
    world.unopenable = [ShardStop("wrong start")]
    with pytest.raises(SystemExit):
        world.start()


def test_a_stop_while_it_is_opened_leaves_everything_alone() -> None:
    world = World()
    world.unopenable = [OSError("no lake")]
    world.time.stopping = True
    world.start()
    world.daemon.give(a_record(1))
    world.daemon.request_shutdown()
    world.daemon.lose_lease()
    assert (world.notes.batches, world.daemon.checkpoints) == ([], [])


def test_a_processor_behind_the_checkpoint_is_refused_since_records_would_be_left_out() -> None:
    world = World(checkpoint=a_place(5))
    world.notes.done = a_place(4)
    with pytest.raises(SystemExit):
        world.start()
    assert isinstance(world.happened[-1], ShardStopped)


def test_a_processor_ahead_of_the_checkpoint_is_checkpointed_as_records_are_delivered() -> None:
    world = World(checkpoint=a_place(1))
    world.notes.done = a_place(5)
    world.notes.process = lambda batch: Progress(a_place(5))  # type: ignore[method-assign]  # noqa: ARG005
    world.start()
    world.daemon.give()
    assert world.daemon.checkpoints == []
    world.daemon.give(a_record(2), a_record(3))
    world.daemon.give(a_record(4), a_record(5), a_record(6))
    assert world.daemon.checkpoints == [a_place(3), a_place(5)]


def test_a_sentinel_is_no_checkpoint() -> None:
    world = World(checkpoint=Sentinel.AT_TIMESTAMP)
    world.notes.process = lambda batch: Progress(Sentinel.TRIM_HORIZON)  # type: ignore[method-assign]  # noqa: ARG005
    world.start()
    world.daemon.give(a_record(1))
    assert world.daemon.checkpoints == []


@pytest.mark.parametrize("error", ["ThrottlingException", "KinesisClientLibDependencyException"])
def test_a_checkpoint_that_cannot_be_written_now_is_tried_until_it_is(error: str) -> None:
    world = World().start()
    world.daemon.refusals.extend([error] * 3)
    world.daemon.give(a_record(1))
    assert world.daemon.checkpoints == [a_place(1)]
    assert [one.retry_in_seconds for one in world.happened if isinstance(one, CheckpointFailed)] == [1, 2, 4]


def test_a_checkpoint_that_the_stop_cut_short_is_written_at_the_last_call() -> None:
    world = World().start()
    world.time.stopping = True
    world.daemon.refusals.append("ThrottlingException")
    world.daemon.give(a_record(1))
    assert world.daemon.checkpoints == []
    world.daemon.request_shutdown()
    assert world.daemon.checkpoints == [a_place(1)]


def test_after_a_lost_lease_nothing_more_is_done() -> None:
    world = World().start()
    world.daemon.refusals.append("ShutdownException")
    world.notes.before = refuse(1, 2, OSError("down"))
    world.daemon.give(a_record(1), a_record(2), a_record(3))
    world.daemon.give(a_record(4))
    world.daemon.end_shard()
    world.daemon.lose_lease()
    assert world.notes.noted == [a_place(1)]
    assert world.daemon.checkpoints == []
    assert world.happenings() == [ShardStarted, LeaseLost]


@pytest.mark.parametrize("error", ["InvalidStateException", "IllegalArgumentException"])
def test_a_checkpoint_that_can_never_be_written_ends_the_daemon(error: str) -> None:
    world = World().start()
    world.daemon.refusals.append(error)
    with pytest.raises(SystemExit):
        world.daemon.give(a_record(1))


def test_a_shard_ends_when_what_waited_is_flushed() -> None:
    world = World().start()
    world.notes.lazy = True
    world.daemon.give(a_record(1), a_record(2))
    assert world.daemon.checkpoints == []
    world.daemon.end_shard()
    assert world.daemon.checkpoints == [a_place(2), Sentinel.SHARD_END]
    assert ShardFinished in world.happenings()


def test_a_shard_whose_rows_cannot_be_flushed_waits() -> None:
    world = World().start()
    world.notes.lazy = True
    world.notes.flush_error = OSError("no space")
    world.daemon.give(a_record(1))

    def mend() -> None:
        if len(world.time.waits) == 3:
            world.notes.flush_error = None

    flush = world.notes.flush

    def flushing() -> Progress:
        mend()
        return flush()

    world.notes.flush = flushing  # type: ignore[method-assign]
    world.daemon.end_shard()
    assert world.daemon.checkpoint is Sentinel.SHARD_END
    assert world.time.waits == [1, 2, 4]


def test_an_end_that_cannot_be_written_is_not_told_as_one() -> None:
    world = World().start()
    world.time.stopping = True
    world.daemon.refusals.append("ThrottlingException")
    world.daemon.end_shard()
    assert world.daemon.checkpoints == []
    assert ShardFinished not in world.happenings()


def test_a_requested_shutdown_flushes_and_checkpoints() -> None:
    world = World().start()
    world.notes.lazy = True
    world.daemon.give(a_record(1))
    world.daemon.request_shutdown()
    world.daemon.lose_lease()
    assert world.daemon.checkpoints == [a_place(1)]
    assert world.happened[1:] == [ShardHandedBack("shardId-000000000000", "1")]


@pytest.mark.parametrize("error", [OSError("no space"), ShardStop("ten in a row")])
def test_a_shutdown_that_cannot_flush_says_so_and_does_not_block_the_daemon(error: Exception) -> None:
    world = World().start()
    world.notes.lazy = True
    world.daemon.give(a_record(1))
    world.notes.flush_error = error
    world.daemon.request_shutdown()
    assert world.daemon.checkpoints == []
    assert world.happenings() == [ShardStarted, ShardFailed, ShardHandedBack]


def test_a_checkpoint_never_runs_ahead_of_its_effect() -> None:
    world = World().start()
    seen: list[tuple[SequenceNumber, Position]] = []
    world.notes.before = lambda record: seen.append((record.sequence_number, world.daemon.checkpoint))
    for number in range(1, 20):
        world.daemon.give(a_record(number), a_record(number, sub=1))
    assert all(position_key(checkpoint) < number.key for number, checkpoint in seen)
    assert world.daemon.checkpoint == a_place(19, 1)
