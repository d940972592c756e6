"""A replay is over when all of it is done; then its places are the checkpoints that any engine starts from."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from consumers.engines.worker.leases import Lease, to_create
from consumers.processing import Progress, RecordFailure, RecordProcessor, ShardAssignment, ShardStop
from consumers.replay import is_first_day, replay, write_places
from foundation.kinesis import Batch, HashKeyRange, Position, Record, Sentinel, SequenceNumber, Shard
from tests.support.builders import NOON, a_record


@dataclass
class Past:
    """Events by shard, some at a time."""

    events: dict[str, list[list[Record]]]

    def shards(self) -> Sequence[str]:
        return list(self.events)

    def records(self, shard: str) -> Iterator[list[Record]]:
        yield from self.events[shard]


@dataclass
class Consumer:
    """Takes records, and is done with them at its flush, if it is; refuses some of them so many times."""

    assignment: ShardAssignment
    taken: list[tuple[str, str]]
    refusals: dict[str, int]
    done: Position = Sentinel.TRIM_HORIZON
    held: list[Record] = field(default_factory=list)

    @property
    def resume_after(self) -> Position:
        return self.done

    def process(self, batch: Batch) -> Progress:
        for record in batch.records:
            if self.refusals.get(record.number, 0):
                self.refusals[record.number] -= 1
                return Progress(self.done, RecordFailure(record.sequence_number, ConnectionError("away")))
            self.held.append(record)
        return Progress(self.done)

    def flush(self) -> Progress:
        self.taken += [(self.assignment.shard_id, record.number) for record in self.held]
        self.done = self.held[-1].sequence_number if self.held else self.done
        self.held = []
        return Progress(self.done)


class World:
    def __init__(self) -> None:
        self.taken: list[tuple[str, str]] = []
        self.refusals: dict[str, int] = {}
        self.waited: list[float] = []
        self.patience = 100

    def factory(self, assignment: ShardAssignment) -> RecordProcessor:
        return Consumer(assignment, self.taken, self.refusals)

    def wait(self, seconds: float) -> bool:
        self.waited.append(seconds)
        return len(self.waited) > self.patience

    def replay(self) -> int | None:
        return replay(PAST, self.factory, "orders", wait=self.wait, emit=lambda _: None)


PAST = Past({"parent": [[a_record(1), a_record(2)], [], [a_record(3)]], "child": [[a_record(7)]]})
ALL = [("parent", "1"), ("parent", "2"), ("parent", "3"), ("child", "7")]


def test_every_shard_is_given_whole_and_flushed_before_the_next() -> None:
    world = World()
    assert world.replay() == 4
    assert world.taken == ALL


def test_what_fails_is_waited_for_and_nothing_is_left_out() -> None:
    world = World()
    world.refusals = {"2": 3, "7": 1}
    assert world.replay() == 4
    assert world.taken == ALL
    assert len(world.waited) == 4


def test_one_that_is_told_to_stop_is_not_done() -> None:
    world = World()
    world.refusals, world.patience = {"3": 99}, 5
    assert world.replay() is None


def test_a_replay_that_is_not_flushed_is_not_done() -> None:
    world = World()
    world.patience = 3

    def never(assignment: ShardAssignment) -> RecordProcessor:
        made = Consumer(assignment, world.taken, {})
        made.flush = lambda: Progress(Sentinel.TRIM_HORIZON)  # type: ignore[method-assign]
        return made

    assert replay(PAST, never, "orders", wait=world.wait, emit=lambda _: None) is None


def test_one_that_refuses_to_go_on_is_raised() -> None:
    def refuses(_: ShardAssignment) -> RecordProcessor:
        raise ShardStop("no more. fix: restart")

    with pytest.raises(ShardStop):
        replay(PAST, refuses, "orders", wait=lambda _: False, emit=lambda _: None)


class Table:
    def __init__(self, *, usable: bool = True) -> None:
        self.leases: dict[str, Lease] = {}
        self.usable = usable

    def create(self, _wait: Any) -> bool:
        return self.usable

    def list(self) -> dict[str, Lease]:
        return self.leases

    def add(self, lease: Lease) -> bool:
        return self.leases.setdefault(lease.shard_id, lease) is lease


def a_shard(number: int, parent: int | None = None) -> Shard:
    parents = frozenset() if parent is None else frozenset({f"shardId-{parent:012}"})
    return Shard(f"shardId-{number:012}", HashKeyRange(0, 1), parents=parents, closed=False)


def test_behind_a_replay_a_consumer_goes_on_from_the_lakes_places() -> None:
    table, shards = Table(), [a_shard(1), a_shard(2), a_shard(3, parent=1)]
    assert is_first_day(table, lambda _: False)
    places = {"shardId-000000000001": SequenceNumber("17", 3), "shardId-000000000009": SequenceNumber("4")}
    assert write_places(table, shards, places, "creation-1") == 1
    assert not is_first_day(table, lambda _: False)
    [lease] = table.leases.values()
    assert (lease.shard_id, lease.checkpoint) == ("shardId-000000000001", SequenceNumber("17", 3))
    assert (lease.creation, lease.owner, lease.hash_keys) == ("creation-1", None, HashKeyRange(0, 1))
    # What the lake has nothing of is read from its beginning, by any worker.
    made = to_create(shards, table.leases, Sentinel.TRIM_HORIZON, NOON)
    assert {one.shard_id: one.checkpoint for one in made} == {
        "shardId-000000000002": Sentinel.TRIM_HORIZON,
        "shardId-000000000003": Sentinel.TRIM_HORIZON,
    }


def test_a_lease_that_is_there_stays() -> None:
    table, shard = Table(), a_shard(1)
    table.add(Lease(shard.shard_id, SequenceNumber("99")))
    write_places(table, [shard], {shard.shard_id: SequenceNumber("5")}, None)
    assert table.leases[shard.shard_id].checkpoint == SequenceNumber("99")


def test_a_table_that_cannot_be_used_is_told() -> None:
    with pytest.raises(TimeoutError, match="fix: try again"):
        is_first_day(Table(usable=False), lambda _: True)
