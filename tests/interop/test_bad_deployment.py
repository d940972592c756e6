"""A processor that refuses to go on ends the KCL's daemon: in order, loudly, and losing nothing."""

from takeaway.local import processes
from tests.interop.recorder import KCL, WORKER
from tests.interop.world import World, until
from tests.support.tables import Tables

ENDS_SECONDS = 240.0
ROUNDS = 5


def test_a_bad_deployment_ends_the_daemon_and_the_next_one_goes_on(world: World, tables: Tables) -> None:
    world.fill(ROUNDS)
    bad = world.start(KCL, hold_after=600, hold_for_good=True)
    until(lambda: bool(world.held_since(0)), ENDS_SECONDS, "a shard refuses")
    seconds = until(lambda: bad.process() is None, ENDS_SECONDS, "the daemon ends")
    assert processes.exit_code(bad) not in {0, None}
    world.running.remove(bad)
    good = world.start(WORKER)
    world.await_(lambda: not world.missing(), 60, "every record")
    world.stop(good)
    tables.add("a bad deployment under the KCL", ended_after=f"{seconds:.1f} s", **world.row())
    assert (world.missing(), world.misplaced()) == (0, [])
