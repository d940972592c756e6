"""A consumer changes engine and keeps its place, in both directions, also in the middle of an aggregate."""

from collections.abc import Callable

from foundation.kinesis.records import SequenceNumber
from tests.interop.recorder import HELD_AT_SUB, KCL, WORKER
from tests.interop.world import AGGREGATED, SHARDS, World
from tests.support.tables import Tables

TURNS = (WORKER, KCL, WORKER, KCL)
ROUNDS = 5
RECORDS = len(TURNS) * ROUNDS * SHARDS * 2 * AGGREGATED
HOLD_AFTER = 600
# The KCL, told to hurry, when its own two tables are new: it waits up to 30 s at random to begin with.
FIRST_RECORD_SECONDS = 150.0
LATEST_SINCE = 1_773_489_600_000


def test_20_000_records_pass_between_the_engines_in_the_middle_of_aggregates(world: World, tables: Tables) -> None:
    for turn, engine in enumerate(TURNS, start=1):
        world.fill(ROUNDS)
        # Ours alone: what the KCL does not know it leaves as it is.
        if turn > 1:
            world.set_on_every_lease("latestSince", LATEST_SINCE)
        lines = world.lines()
        last = turn == len(TURNS)
        running = world.start(engine, **({} if last else {"hold_after": HOLD_AFTER}))
        began = world.await_(goes_on(world, lines), FIRST_RECORD_SECONDS, "a first record")
        if last:
            world.await_(lambda: not world.missing(), 60, "every record")
        else:
            world.await_(holds(world, lines), 60, "every shard holds")
        stopped = world.stop(running)
        if not last:
            assert [checkpoint.sub for checkpoint in checkpoints(world)] == [HELD_AT_SUB - 1] * SHARDS
        if turn > 1:
            assert world.on_every_lease("latestSince") == [str(LATEST_SINCE)] * SHARDS
        row = {"turn": f"{turn} {engine}", "first_record": f"{began:.1f} s", "stopped": f"{stopped:.1f} s"}
        tables.add("changing the engine in the middle of an aggregate", **row, **world.row())
    assert len(world.put) == RECORDS
    assert (world.missing(), world.doubled(), world.misplaced()) == (0, 0, [])


def checkpoints(world: World) -> list[SequenceNumber]:
    found = [lease.checkpoint for lease in world.leases().values()]
    return [checkpoint for checkpoint in found if isinstance(checkpoint, SequenceNumber)]


def goes_on(world: World, lines: int) -> Callable[[], bool]:
    return lambda: world.lines() > lines


def holds(world: World, lines: int) -> Callable[[], bool]:
    return lambda: len(world.held_since(lines)) == SHARDS
