"""The decisions about the leases of a stream, as tables."""

from dataclasses import replace

import pytest

from consumers.engines.worker.leases.coverage import (
    may_start,
    to_create,
    to_delete,
)
from consumers.engines.worker.leases.lease import Lease, by_shard
from foundation.kinesis.hash_keys import HashKeyRange
from foundation.kinesis.records import Position, Sentinel, SequenceNumber
from foundation.kinesis.shards import Shard
from tests.support.builders import NOON

ALL_KEYS = HashKeyRange(0, 2**128 - 1)


def shard(number: int, *parents: int, closed: bool = False) -> Shard:
    return Shard(shard_id(number), ALL_KEYS, frozenset(map(shard_id, parents)), closed)


def shard_id(number: int) -> str:
    return f"shardId-{number:012d}"


def lease(number: int, *parents: int, at: Position = Sentinel.TRIM_HORIZON, owner: str | None = None) -> Lease:
    return Lease(shard_id(number), at, owner=owner, parents=frozenset(map(shard_id, parents)), hash_keys=ALL_KEYS)


def created(shards: list[Shard], leases: list[Lease], start: Sentinel) -> dict[str, Position]:
    return {made.shard_id: made.checkpoint for made in to_create(shards, by_shard(leases), start, NOON)}


# Which leases to create.

FAMILY = [shard(2, 0), shard(0, closed=True), shard(1, 0)]


def test_at_first_every_shard_gets_a_lease_parents_first() -> None:
    made = to_create(FAMILY, {}, Sentinel.TRIM_HORIZON, NOON)
    assert [each.shard_id for each in made] == [shard_id(0), shard_id(1), shard_id(2)]
    assert {each.checkpoint for each in made} == {Sentinel.TRIM_HORIZON}
    assert made[1].parents == {shard_id(0)}
    assert made[1].hash_keys == ALL_KEYS


def test_from_the_tip_only_open_shards_are_read() -> None:
    assert created(FAMILY, [], Sentinel.LATEST) == {shard_id(1): Sentinel.LATEST, shard_id(2): Sentinel.LATEST}


def test_from_a_moment_every_shard_is_read_from_it() -> None:
    assert set(created(FAMILY, [], Sentinel.AT_TIMESTAMP).values()) == {Sentinel.AT_TIMESTAMP}


@pytest.mark.parametrize("start", [Sentinel.TRIM_HORIZON, Sentinel.LATEST])
def test_children_of_a_shard_we_read_are_read_from_their_beginning(start: Sentinel) -> None:
    expected = {shard_id(1): Sentinel.TRIM_HORIZON, shard_id(2): Sentinel.TRIM_HORIZON}
    assert created(FAMILY, [lease(0, at=SequenceNumber("5"))], start) == expected


def test_a_parent_whose_lease_was_deleted_does_not_come_back() -> None:
    assert created(FAMILY, [lease(1, 0), lease(2, 0)], Sentinel.TRIM_HORIZON) == {}


def test_a_grandchild_whose_parent_was_trimmed_away_is_read_from_its_beginning() -> None:
    leases = [lease(0, at=SequenceNumber("5"))]
    unseen_and_its_child = {shard_id(1): Sentinel.TRIM_HORIZON, shard_id(3): Sentinel.TRIM_HORIZON}
    assert created([shard(3, 1)], leases, Sentinel.LATEST) == unseen_and_its_child


def test_a_merge_knows_both_parents() -> None:
    (made,) = to_create([shard(2, 0, 1)], by_shard([lease(0), lease(1)]), Sentinel.LATEST, NOON)
    assert made.parents == {shard_id(0), shard_id(1)}


def test_many_reshards_are_planned_quickly() -> None:
    shards = [shard(0)]
    for number in range(0, 120, 3):
        shards += [shard(number + 1, number), shard(number + 2, number), shard(number + 3, number + 1, number + 2)]
    assert len(to_create(shards, {}, Sentinel.TRIM_HORIZON, NOON)) == len(shards)


# Which may start, and which may go.


def test_a_child_of_a_merge_starts_after_both_parents() -> None:
    child = lease(2, 0, 1)
    both: dict[Position, bool] = {Sentinel.SHARD_END: True, SequenceNumber("7"): False}
    for low, low_done in both.items():
        for high, high_done in both.items():
            leases = by_shard([lease(0, at=low), lease(1, at=high), child])
            assert may_start(child, leases) is (low_done and high_done)
    assert may_start(child, by_shard([child]))
    assert not may_start(child, by_shard([lease(1), child]))


def test_a_finished_shard_is_not_started_again() -> None:
    done = lease(0, at=Sentinel.SHARD_END)
    assert not may_start(done, by_shard([done]))


@pytest.mark.parametrize(
    ("first", "second", "goes"),
    [
        (SequenceNumber("7"), SequenceNumber("8"), True),
        (SequenceNumber("7"), Sentinel.TRIM_HORIZON, False),
        (SequenceNumber("7"), Sentinel.AT_TIMESTAMP, False),
        (Sentinel.SHARD_END, Sentinel.LATEST, True),
    ],
)
def test_a_finished_lease_goes_when_all_its_children_are_being_read(
    first: Position, second: Position, goes: bool
) -> None:
    leases = by_shard([lease(0, at=Sentinel.SHARD_END), lease(1, 0, at=first), lease(2, 0, at=second)])
    assert [each.shard_id for each in to_delete(leases, {shard_id(0)})] == ([shard_id(0)] if goes else [])


def test_a_finished_lease_stays_while_a_child_that_it_names_has_none() -> None:
    parent = replace(lease(0, at=Sentinel.SHARD_END), children=frozenset({shard_id(1), shard_id(2)}))
    assert to_delete(by_shard([parent, lease(1, 0, at=SequenceNumber("7"))]), {shard_id(0)}) == []


def test_the_oldest_goes_first() -> None:
    leases = by_shard([lease(0, at=Sentinel.SHARD_END), lease(1, 0, at=Sentinel.SHARD_END)])
    assert [each.shard_id for each in to_delete(leases, set())] == [shard_id(0)]


def test_a_childless_end_stays_while_the_stream_lists_it() -> None:
    leases = by_shard([lease(0, at=Sentinel.SHARD_END)])
    assert to_delete(leases, {shard_id(0)}) == []
    assert len(to_delete(leases, set())) == 1


# What came and went unseen.

HALVES = HashKeyRange(0, 2**127 - 1), HashKeyRange(2**127, 2**128 - 1)


def half(number: int, *parents: int, upper: bool = False) -> Shard:
    return replace(shard(number, *parents), hash_keys=HALVES[upper])


def test_a_shard_that_came_and_went_unseen_gets_a_lease_and_its_children_wait_for_it() -> None:
    """Shard 0 was being read; 1 and 2 came of it, 3 of 1; retention took 0 and 1."""
    leases = [lease(0, at=SequenceNumber("7"))]
    listed = [half(2, 0, upper=True), half(3, 1)]
    made = to_create(listed, by_shard(leases), Sentinel.TRIM_HORIZON, NOON)
    assert [each.shard_id for each in made] == [shard_id(1), shard_id(2), shard_id(3)]
    assert made[0].parents == {shard_id(0)}
    after = by_shard([*leases, *made])
    assert not may_start(after[shard_id(3)], after)
    assert not may_start(after[shard_id(1)], after)
    ended = {**after, shard_id(0): replace(after[shard_id(0)], checkpoint=Sentinel.SHARD_END)}
    assert may_start(ended[shard_id(1)], ended)
    assert to_create(listed, after, Sentinel.TRIM_HORIZON, NOON) == []


@pytest.mark.parametrize(
    "leases",
    [
        pytest.param([], id="the first day"),
        pytest.param([replace(lease(4), hash_keys=HALVES[1])], id="another worker of the first day is at it"),
        pytest.param([replace(lease(0), checkpoint=Sentinel.SHARD_END)], id="what came before was read to its end"),
        pytest.param([replace(lease(9), hash_keys=HALVES[1])], id="what is gone lay beside it"),
        pytest.param([replace(lease(0), hash_keys=None)], id="where the row does not say what it covered"),
    ],
)
def test_what_no_lease_of_ours_came_before_is_not_missed(leases: list[Lease]) -> None:
    made = to_create([half(3, 1), half(4, upper=True)], by_shard(leases), Sentinel.TRIM_HORIZON, NOON)
    assert shard_id(1) not in {each.shard_id for each in made}
