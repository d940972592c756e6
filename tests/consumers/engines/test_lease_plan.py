"""The decisions about leases, as tables with fixed instants and as properties over generated pools."""

import math
from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumers.engines.worker.lease import HashKeyRange, Lease, by_shard
from consumers.engines.worker.lease_plan import (
    Shard,
    expired,
    may_start,
    sighted,
    to_create,
    to_delete,
    to_take,
)
from consumers.records import Position, Sentinel, SequenceNumber

ALL_KEYS = HashKeyRange(0, 2**128 - 1)
ME = "me"


def shard(number: int, *parents: int, closed: bool = False) -> Shard:
    return Shard(shard_id(number), ALL_KEYS, frozenset(map(shard_id, parents)), closed)


def shard_id(number: int) -> str:
    return f"shardId-{number:012d}"


def lease(number: int, *parents: int, at: Position = Sentinel.TRIM_HORIZON, owner: str | None = None) -> Lease:
    return Lease(shard_id(number), at, owner=owner, parents=frozenset(map(shard_id, parents)), hash_keys=ALL_KEYS)


def created(shards: list[Shard], leases: list[Lease], start: Sentinel) -> dict[str, Position]:
    return {made.shard_id: made.checkpoint for made in to_create(shards, by_shard(leases), start)}


# Which leases to create.

FAMILY = [shard(2, 0), shard(0, closed=True), shard(1, 0)]


def test_at_first_every_shard_gets_a_lease_parents_first() -> None:
    made = to_create(FAMILY, {}, Sentinel.TRIM_HORIZON)
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
    assert created([shard(3, 1)], leases, Sentinel.LATEST) == {shard_id(3): Sentinel.TRIM_HORIZON}


def test_a_merge_knows_both_parents() -> None:
    (made,) = to_create([shard(2, 0, 1)], by_shard([lease(0), lease(1)]), Sentinel.LATEST)
    assert made.parents == {shard_id(0), shard_id(1)}


def test_many_reshards_are_planned_quickly() -> None:
    shards = [shard(0)]
    for number in range(0, 120, 3):
        shards += [shard(number + 1, number), shard(number + 2, number), shard(number + 3, number + 1, number + 2)]
    assert len(to_create(shards, {}, Sentinel.TRIM_HORIZON)) == len(shards)


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


# Expiry.


def test_a_lease_expires_when_its_counter_stands_for_the_failover_time_of_our_own_clock() -> None:
    first = sighted({}, by_shard([lease(0), lease(1)]), 100.0)
    moved = replace(lease(1), counter=1)
    second = sighted(first, by_shard([lease(0), moved]), 109.9)
    assert expired(second, 109.9, 10.0) == set()
    assert expired(second, 110.0, 10.0) == {shard_id(0)}
    assert expired(second, 119.9, 10.0) == {shard_id(0), shard_id(1)}
    assert sighted(second, by_shard([moved]), 120.0).keys() == {shard_id(1)}


# Fair shares.

WORKERS = [ME, "other-1", "other-2", "other-3"]
POOLS = st.lists(st.tuples(st.sampled_from([None, *WORKERS]), st.booleans()), max_size=40)


@given(POOLS)
def test_taking_is_fair_and_touches_only_what_is_free(pool: list[tuple[str | None, bool]]) -> None:
    leases = by_shard([lease(number, owner=owner) for number, (owner, _) in enumerate(pool)])
    is_expired = {shard_id(number) for number, (owner, old) in enumerate(pool) if owner not in {None, ME} and old}
    held = {each.shard_id for each in leases.values() if each.owner == ME}
    taken = to_take(leases, ME, held, is_expired)
    live = {each.owner for each in leases.values() if each.owner and each.shard_id not in is_expired} | {ME}
    share = math.ceil(len(leases) / len(live))
    free = {each.shard_id for each in leases.values() if each.owner is None} | is_expired
    assert len({each.shard_id for each in taken}) == len(taken)
    assert not {each.shard_id for each in taken} & held
    if free:
        assert {each.shard_id for each in taken} <= free
        assert len(taken) == min(len(free), max(0, share - len(held)))
    else:
        loads = Counter(each.owner for each in leases.values() if each.owner != ME)
        steals = bool(loads) and max(loads.values()) >= len(held) + 2
        assert len(taken) == (1 if steals else 0)
        assert all(loads[each.owner] == max(loads.values()) for each in taken)


@given(st.lists(st.sampled_from([None, *WORKERS, "dead"]), min_size=1, max_size=30), st.integers(1, 4))
def test_workers_that_keep_taking_end_up_balanced_and_then_rest(owners: list[str | None], workers: int) -> None:
    alive = WORKERS[:workers]
    leases = by_shard([lease(number, owner=owner) for number, owner in enumerate(owners)])
    dead = {each.shard_id for each in leases.values() if each.owner not in alive}
    for _ in range(len(owners) + 2):
        moves = 0
        for worker in alive:
            held = {each.shard_id for each in leases.values() if each.owner == worker}
            for taken in to_take(leases, worker, held, dead):
                leases[taken.shard_id] = replace(taken, owner=worker)
                dead.discard(taken.shard_id)
                moves += 1
        if not moves:
            break
    assert moves == 0
    loads = Counter(each.owner for each in leases.values())
    assert sum(loads[worker] for worker in alive) == len(leases)
    counts = [loads[worker] for worker in alive]
    assert max(counts) - min(counts) <= 1


def test_a_lease_that_bears_our_name_and_is_not_held_is_taken_again() -> None:
    assert [each.shard_id for each in to_take(by_shard([lease(0, owner=ME)]), ME, set(), set())] == [shard_id(0)]


def test_what_may_not_start_is_neither_taken_nor_counted() -> None:
    leases = by_shard([lease(0, owner="other"), lease(1, 0), lease(2, 0)])
    assert to_take(leases, ME, set(), set()) == []
