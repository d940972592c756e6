"""Our worker beside the KCL's own, in one running fleet: the KCL's leader gives it shards and takes them back."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from tests.interop.recorder import KCL, WORKER
from tests.interop.world import SHARDS, World
from tests.support.tables import Tables

# The leader looks every second failover time, and balances at every third look; two workers are even at two shards.
FAILOVER_SECONDS = 4.0
GIVEN_SECONDS = 150.0
LAST_LINES = 100


def test_our_worker_joins_a_running_kcl_fleet_and_leaves_it(world: World, tables: Tables) -> None:
    with trickling(world):
        kcl = world.start(KCL, failover_seconds=FAILOVER_SECONDS)
        world.await_(lambda: len(world.reads(KCL, LAST_LINES)) == SHARDS, GIVEN_SECONDS, "the KCL reads every shard")
        ours = world.start(WORKER, failover_seconds=FAILOVER_SECONDS, fleet="kcl")
        given = world.await_(lambda: len(world.reads(WORKER, LAST_LINES)) > 0, GIVEN_SECONDS, "the leader gives us one")
        world.await_(
            lambda: len(world.reads(WORKER, LAST_LINES)) == SHARDS // 2, GIVEN_SECONDS, "half of them are ours"
        )
        left = world.stop(ours)
        back = world.await_(lambda: len(world.reads(KCL, LAST_LINES)) == SHARDS, GIVEN_SECONDS, "the KCL has them back")
    world.await_(lambda: not world.missing(), 60, "every record")
    world.stop(kcl)
    tables.add(
        "one fleet of the KCL's worker, which leads, and ours",
        first_shard_given=f"{given:.1f} s",
        we_left=f"{left:.1f} s",
        all_back=f"{back:.1f} s",
        **world.row(),
    )
    assert (world.missing(), world.doubled(), world.misplaced()) == (0, 0, [])


@contextmanager
def trickling(world: World) -> Iterator[None]:
    stop = threading.Event()
    thread = threading.Thread(target=world.trickle, args=[stop])
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
