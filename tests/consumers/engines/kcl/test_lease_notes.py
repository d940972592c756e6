"""Notes of a child beside a lease that its daemon holds."""

from consumers.diagnostics import LeaseNotNoted
from consumers.engines.kcl.lease_notes import LeaseNotes
from consumers.engines.worker.leases.lease import Lease
from consumers.engines.worker.leases.note import Note
from consumers.engines.worker.leases.table import LeaseTable
from consumers.processing import Trouble
from foundation.diagnostics import Diagnostic
from foundation.kinesis.records import Sentinel, SequenceNumber
from takeaway.standing.collector import Collector, Reader
from takeaway.standing.judge import Verdict, judged
from tests.support.fakes.clock import FakeClock
from tests.support.worlds.worker_world import APPLICATION, World

SHARD = "shardId-000000000000"


def test_the_daemons_own_columns_stay_as_they_are_and_the_trouble_is_there() -> None:
    world, happened = World(), list[Diagnostic]()
    table = LeaseTable(world.dynamodb.client, APPLICATION, "")
    number = world.put("a")[0]
    lease = Lease(SHARD, SequenceNumber(number), counter=7, owner="daemon")
    table.add(lease)
    notes = LeaseNotes(table, clock=world.time.clock, emit=happened.append)
    trouble = Trouble("OSError: no route", world.time.now())
    notes.tell(SHARD, trouble)
    found = table.list()[SHARD]
    assert found == lease
    assert found.note == Note("", "", None, world.time.now(), trouble)

    def renew(seconds: float) -> bool:
        world.time.wait(seconds)
        table.renew(table.list()[SHARD])
        return False

    def verdict() -> Verdict:
        clock = world.time.clock
        collector = Collector(world.kinesis.client, world.dynamodb.client, "orders", clock.now(), clock, renew)
        (shard,) = collector.look(Reader("orders", APPLICATION, 10 / 3)).shards
        return judged(shard, 1.0, start="start it").verdict

    assert verdict() is Verdict.STALLED
    notes.tell(SHARD, None)
    assert verdict() is Verdict.OK
    assert happened == []


def test_one_without_a_lease_makes_none_and_a_table_that_refuses_is_said() -> None:
    world, time, happened = World(), FakeClock(), list[Diagnostic]()
    table = LeaseTable(world.dynamodb.client, APPLICATION, "")
    notes = LeaseNotes(table, clock=time.clock, emit=happened.append)
    notes.tell(SHARD, None)
    assert table.list() == {}
    world.dynamodb.fail("update_item", "AccessDeniedException")
    table.add(Lease(SHARD, Sentinel.TRIM_HORIZON))
    notes.tell(SHARD, None)
    assert [type(one) for one in happened] == [LeaseNotNoted]
