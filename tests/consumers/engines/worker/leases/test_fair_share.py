"""Who reads what: single decisions as tables, and a fleet of many workers as a simulation with seeds."""

import itertools
import random
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumers.engines.worker.leases.fair_share import HANDOVER_SECONDS, Moves, expired, planned, sighted
from consumers.engines.worker.leases.lease import Lease, by_shard
from foundation.kinesis.records import Sentinel
from tests.support.worlds.fleet_world import FAILOVER, SOON, USUAL, FleetWorld, least_moves

ME = "me"
OTHERS = ["other-1", "other-2", "other-3"]


def shard_id(number: int) -> str:
    return f"shardId-{number:012d}"


def lease(number: int, owner: str | None = None, **changes: Any) -> Lease:
    return replace(Lease(shard_id(number), Sentinel.TRIM_HORIZON, owner=owner), **changes)


def plan(leases: list[Lease], *, held: set[str] | None = None, old: set[str] | None = None, at: float = 0.0) -> Moves:
    """The plan at a moment; `old` are leases that stand since the failover time, all others were seen just now."""
    table = by_shard(leases)
    sightings = sighted({}, by_shard([each for each in leases if each.shard_id in (old or ())]), at - FAILOVER)
    sightings = sighted(sightings, table, at)
    mine = {each.shard_id for each in leases if each.owner == ME and each.checkpoint_owner is None}
    return planned(
        table,
        ME,
        mine if held is None else held,
        sightings,
        now=at,
        failover=FAILOVER,
        usual=USUAL,
        soon=SOON,
    )


def ids(leases: tuple[Lease, ...]) -> list[str]:
    return [each.shard_id for each in leases]


# Single decisions.


def test_a_lease_expires_when_its_counter_stands_for_the_failover_time_of_our_own_clock() -> None:
    first = sighted({}, by_shard([lease(0), lease(1)]), 100.0)
    moved = lease(1, counter=1)
    second = sighted(first, by_shard([lease(0), moved]), 109.9)
    assert expired(second, 109.9, 10.0) == set()
    assert expired(second, 110.0, 10.0) == {shard_id(0)}
    assert expired(second, 119.9, 10.0) == {shard_id(0), shard_id(1)}
    assert sighted(second, by_shard([moved]), 120.0).keys() == {shard_id(1)}


def test_what_is_free_is_taken_and_nobody_asked() -> None:
    moves = plan([lease(0, ME), lease(1), lease(2)])
    assert (ids(moves.take), moves.ask_for) == ([shard_id(1), shard_id(2)], ())


def test_of_others_what_is_above_their_share_is_asked_for_all_at_once() -> None:
    moves = plan([lease(0, ME), *(lease(number, "other-1") for number in range(1, 8))])
    assert (moves.take, ids(moves.ask_for)) == ((), [shard_id(7), shard_id(6), shard_id(5)])
    assert moves.look_in == SOON


def test_who_nobody_sees_yet_shows_up_with_a_single_lease_and_looks_again_soon() -> None:
    free = plan([lease(number) for number in range(8)])
    assert (len(free.take), free.look_in) == (1, SOON)
    full = plan([lease(number, "other-1") for number in range(8)])
    assert (len(full.ask_for), full.look_in) == (1, SOON)


def test_two_that_show_up_together_reach_for_different_leases() -> None:
    leases = by_shard([lease(number) for number in range(100)])
    sightings = sighted({}, leases, 0.0)
    first = {
        planned(leases, name, (), sightings, now=0, failover=FAILOVER, usual=USUAL, soon=SOON).take[0].shard_id
        for name in OTHERS
    }
    assert len(first) == len(OTHERS)


def test_fair_shares_are_left_alone() -> None:
    moves = plan([lease(0, ME), lease(1, "other-1"), lease(2, "other-1")])
    assert moves == Moves((), (), USUAL)


def test_more_workers_than_leases_is_fine() -> None:
    assert plan([lease(0, "other-1"), lease(1, "other-2")]) == Moves((), (), USUAL)


def test_a_lease_that_bears_our_name_and_is_not_held_is_ours_to_start() -> None:
    assert ids(plan([lease(0, ME)], held=set()).take) == [shard_id(0)]


def test_what_is_handed_over_to_us_is_awaited_and_not_asked_for_again() -> None:
    waiting = [lease(number, ME, checkpoint_owner="other-1") for number in range(2)]
    moves = plan([*waiting, lease(2, "other-1"), lease(3, "other-1")])
    assert moves == Moves((), (), SOON)


def test_a_holder_that_does_not_answer_is_waited_for_only_so_long() -> None:
    asked = {shard_id(0): lease(0, ME, checkpoint_owner="other-1")}
    sightings = sighted({}, asked, 0.0)
    for beat in range(1, 50):
        now = float(beat)
        asked = {shard_id(0): replace(asked[shard_id(0)], counter=beat)}
        sightings = sighted(sightings, asked, now)
        moves = planned(asked, ME, (), sightings, now=now, failover=FAILOVER, usual=USUAL, soon=SOON)
        assert bool(moves.take) is (now >= HANDOVER_SECONDS + FAILOVER)


def test_a_holder_that_dies_while_it_is_asked_is_waited_for_no_longer_than_any() -> None:
    asked = lease(0, ME, checkpoint_owner="other-1")
    assert ids(plan([asked], old={asked.shard_id}).take) == [shard_id(0)]


def test_who_was_asked_counts_a_lease_no_more() -> None:
    leaving = [lease(number, "other-1", checkpoint_owner=ME) for number in range(2)]
    mine = [lease(number, ME) for number in range(2, 4)]
    assert plan([*leaving, *mine], held={each.shard_id for each in [*leaving, *mine]}) == Moves((), (), USUAL)


def test_who_let_a_lease_run_out_is_neither_asked_nor_left_a_share() -> None:
    dying = [lease(number, "other-1") for number in range(8)]
    moves = plan([*dying, lease(8, ME)], old={each.shard_id for each in dying[:4]})
    assert (ids(moves.take), moves.ask_for) == (ids(tuple(dying[:4])), ())


def test_a_lease_that_is_about_to_run_out_is_looked_at_exactly_then() -> None:
    table = by_shard([lease(0, ME), lease(1, "other-1")])
    sightings = sighted({}, table, 0.0)
    moves = planned(table, ME, {shard_id(0)}, sightings, now=7.5, failover=FAILOVER, usual=USUAL, soon=SOON)
    assert moves.look_in == 2.5


def test_what_may_not_start_is_neither_taken_nor_counted() -> None:
    parents = frozenset({shard_id(0)})
    assert plan([lease(0, "other-1"), lease(1, parents=parents), lease(2, parents=parents)]) == Moves((), (), USUAL)


def test_a_row_in_trouble_is_left_alone_and_so_are_its_children() -> None:
    broken = lease(0, trouble="checkpoint is missing")
    child = lease(1, parents=frozenset({shard_id(0)}))
    assert ids(plan([broken, child, lease(2)]).take) == [shard_id(2)]


OWNERS = st.lists(st.tuples(st.sampled_from([None, ME, *OTHERS]), st.booleans()), max_size=40)


@given(OWNERS)
def test_nobody_reaches_above_a_fair_share_or_for_what_others_need(pool: list[tuple[str | None, bool]]) -> None:
    leases = [lease(number, owner) for number, (owner, _) in enumerate(pool)]
    old = {shard_id(number) for number, (owner, stands) in enumerate(pool) if stands and owner in OTHERS}
    moves = plan(leases, old=old)
    silent = {each.owner for each in leases if each.shard_id in old}
    live = {each.owner for each in leases if each.owner} - silent | {ME}
    mine = sum(each.owner == ME for each in leases)
    moved = [*ids(moves.take), *ids(moves.ask_for)]
    assert len(set(moved)) == len(moved)
    assert mine + len(moved) <= max(mine, -(-len(leases) // len(live)))
    assert set(ids(moves.take)) <= {each.shard_id for each in leases if each.owner is None} | old
    loads = Counter(each.owner for each in leases)
    asked = Counter(each.owner for each in moves.ask_for)
    assert all(loads[owner] - count >= len(leases) // len(live) for owner, count in asked.items())


# A fleet of many, each deciding by itself from a view that is up to half a second old.


@pytest.mark.slow
@pytest.mark.parametrize("seed", [*range(4), *(pytest.param(seed, marks=pytest.mark.nightly) for seed in range(4, 40))])
def test_a_thousand_leases_come_to_fair_shares_in_hardly_more_moves_than_must_be(seed: int) -> None:
    choices = random.Random(seed)
    world = FleetWorld(shards=1_000, seed=seed)
    numbers = itertools.count()
    least = 0
    for change in ["join", *choices.choices(["join", "leave", "kill"], k=8)]:
        before = Counter(world.loads())
        # One kind of change at a time: what joins before a death is noticed asks the living for more than it will need.
        for _ in range(choices.randint(1, 8)):
            if change == "join":
                world.join(f"{choices.random():.6f}-{next(numbers)}")
            elif len(world.members) > 1:
                getattr(world, change)(choices.choice(sorted(world.members)))
        least += least_moves(before, list(world.members), world.shards)
        # To notice: the failover time for the killed. To share anew: one look to plan, a heartbeat to hand over.
        world.run(FAILOVER + 4 * USUAL)
        loads = world.loads().values()
        assert (sum(loads), max(loads) - min(loads) <= 1) == (world.shards, True), (change, loads)
    assert world.moves <= 1.1 * least
    before_rest = world.moves
    world.run(60)
    assert world.moves == before_rest


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_changes_that_overlap_settle_too(seed: int) -> None:
    choices = random.Random(seed)
    world = FleetWorld(shards=200, seed=seed)
    for number in range(30):
        if len(world.members) < 2 or choices.random() < 0.5:
            world.join(f"{choices.random():.6f}-{number}")
        else:
            getattr(world, choices.choice(["leave", "kill"]))(choices.choice(sorted(world.members)))
        world.run(choices.random() * 2 * FAILOVER)
    world.run(FAILOVER + 6 * USUAL)
    loads = world.loads().values()
    assert (sum(loads), max(loads) - min(loads) <= 1) == (world.shards, True)
    moves = world.moves
    world.run(60)
    assert world.moves == moves
