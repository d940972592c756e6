"""Being a worker of a KCL fleet. The test plays its Java leader, by the rows that the real one reads and writes."""

from collections.abc import Iterator
from typing import Any

import pytest

from consumers.diagnostics import LeaseEvicted, LeaseHandedOver, LeaseTaken, RoundFailed, WorkerStopped
from consumers.engines.worker.leases.fleet import CannotJoin
from consumers.engines.worker.leases.kcl_fleet import KclFleet, Meter
from consumers.engines.worker.leases.lease import Lease, by_shard
from consumers.engines.worker.leases.table import LeaseTable
from foundation.kinesis.records import Sentinel
from tests.support.builders import NOON
from tests.support.fakes.clock import FakeClock
from tests.support.fakes.leases import FakeDynamoDB
from tests.support.worlds.worker_world import APPLICATION, World

STATE, METRICS = f"{APPLICATION}-CoordinatorState", f"{APPLICATION}-WorkerMetricStats"
US, JAVA = "worker-1", "java"


class JavaLeader:
    """Writes what the KCL's leader writes. https://github.com/awslabs/amazon-kinesis-client, coordinator/assignment"""

    def __init__(self, world: World) -> None:
        self._world = world
        self.make_tables(world.dynamodb)
        self.table = LeaseTable(world.dynamodb.client, APPLICATION, JAVA)

    @staticmethod
    def make_tables(dynamodb: FakeDynamoDB, version: str = "CLIENT_VERSION_3X") -> None:
        for name, key in ((STATE, "key"), (METRICS, "wid")):
            dynamodb.create_table(
                TableName=name,
                KeySchema=[{"AttributeName": key, "KeyType": "HASH"}],
                AttributeDefinitions=[{"AttributeName": key, "AttributeType": "S"}],
                BillingMode="PAY_PER_REQUEST",
            )
            dynamodb.known(name)
        dynamodb.put_item(TableName=STATE, Item={"key": {"S": "Migration3.0"}, "cv": {"S": version}})

    def assign(self, shard_id: str, to: str) -> None:
        row = self._world.dynamodb.tables[APPLICATION][shard_id]
        row.pop("checkpointOwner", None)
        row |= {"leaseOwner": {"S": to}, "leaseCounter": {"N": str(int(row["leaseCounter"]["N"]) + 1)}}

    def hand_over(self, shard_id: str, to: str) -> None:
        """initiateGracefulLeaseHandoff"""
        row = self._world.dynamodb.tables[APPLICATION][shard_id]
        row |= {"checkpointOwner": row["leaseOwner"], "leaseOwner": {"S": to}}

    def members(self) -> dict[str, Any]:
        return self._world.dynamodb.tables[METRICS]


@pytest.fixture
def world() -> Iterator[World]:
    made = World(shards=2)
    yield made
    made.end()


@pytest.fixture
def leader(world: World) -> JavaLeader:
    return JavaLeader(world)


def test_it_reads_what_the_leader_gave_it_and_nothing_else(world: World, leader: JavaLeader) -> None:
    first, second = world.kinesis.shard_ids()
    world.put(*map(str, range(20)))
    world.start(US, fleet="kcl")
    world.run(30)
    assert not world.all(LeaseTaken)
    leader.assign(first, US)
    leader.assign(second, JAVA)
    world.run(60)
    assert [event.shard_id for event in world.all(LeaseTaken)] == [first]
    assert world.texts()


def test_it_says_every_half_minute_that_it_lives(world: World, leader: JavaLeader) -> None:
    world.start(US, fleet="kcl")
    world.run(1)
    row = leader.members()[US]
    assert row == {"wid": {"S": US}, "lut": {"N": str(int(NOON.timestamp()))}, "sts": {"M": {}}, "opr": {"M": {}}}
    for _ in range(5):
        world.run(30)
        assert world.time.now().timestamp() - int(leader.members()[US]["lut"]["N"]) <= 36


def test_it_waits_until_the_old_holder_has_handed_over(world: World, leader: JavaLeader) -> None:
    first, _ = world.kinesis.shard_ids()
    world.start(US, fleet="kcl")
    world.run(3)
    leader.assign(first, JAVA)
    leader.hand_over(first, US)
    world.run(100)
    assert not world.all(LeaseTaken)
    assert leader.table.hand_over(leader.table.list()[first])
    world.run(6)
    assert [event.shard_id for event in world.all(LeaseTaken)] == [first]


def test_asked_for_a_lease_it_checkpoints_and_hands_it_over(world: World, leader: JavaLeader) -> None:
    first, second = world.kinesis.shard_ids()
    world.start(US, fleet="kcl")
    world.run(3)
    leader.assign(first, US)
    leader.assign(second, US)
    world.lazy = True
    numbers = world.put(*map(str, range(20)))
    world.run(6)
    leader.hand_over(first, JAVA)
    world.run(6)
    lease = leader.table.list()[first]
    assert (lease.owner, lease.checkpoint_owner) == (JAVA, None)
    assert str(lease.checkpoint) in numbers
    assert [event.to_worker for event in world.all(LeaseHandedOver)] == [JAVA]


@pytest.mark.slow
def test_it_tells_how_much_it_reads(world: World, leader: JavaLeader) -> None:
    first, _ = world.kinesis.shard_ids()
    world.start(US, fleet="kcl")
    world.run(3)
    leader.assign(first, US)
    for _ in range(60):
        world.kinesis.put_record(StreamName="orders", Data=b"x" * 1024, PartitionKey="a", ExplicitHashKey="0")
        world.run(1)
    assert float(world.dynamodb.tables[APPLICATION][first]["throughputKBps"]["N"]) == pytest.approx(1, rel=0.35)


def test_on_leaving_it_is_no_member_any_more_before_its_leases_are_free(world: World, leader: JavaLeader) -> None:
    first, _ = world.kinesis.shard_ids()
    worker = world.start(US, fleet="kcl")
    world.run(3)
    leader.assign(first, US)
    world.run(6)
    worker.stop()
    assert US not in leader.members()
    assert [event.shard_id for event in world.all(LeaseEvicted)] == [first]
    operations = [name for name, _ in world.dynamodb.log]
    evicted = next(
        place
        for place, (name, parameters) in enumerate(world.dynamodb.log)
        if name == "update_item" and parameters["UpdateExpression"].startswith("REMOVE leaseOwner")
    )
    assert operations.index("delete_item") < evicted


def test_a_metrics_table_out_of_reach_costs_no_lease(world: World, leader: JavaLeader) -> None:
    first, _ = world.kinesis.shard_ids()
    worker = world.start(US, fleet="kcl")
    world.run(3)
    leader.assign(first, US)
    world.run(6)
    world.dynamodb.fail("put_item", "ThrottlingException")
    world.run(40)
    assert len(world.all(RoundFailed)) == 1
    world.dynamodb.fail("delete_item", "ThrottlingException")
    worker.stop()
    assert len(world.all(RoundFailed)) == 2
    assert leader.table.list()[first].owner is None


# When there is no such fleet.


def fleet(dynamodb: FakeDynamoDB) -> KclFleet:
    return KclFleet(dynamodb.client, APPLICATION, US, look_seconds=5, clock=FakeClock().clock)


def test_without_the_fleets_tables_it_does_not_join_and_makes_none() -> None:
    dynamodb = FakeDynamoDB()
    with pytest.raises(
        CannotJoin, match=r"no table notes-CoordinatorState and no notes-WorkerMetricStats.*fix: .*3\.5"
    ):
        fleet(dynamodb).join()
    assert dynamodb.tables == {}


@pytest.mark.parametrize("version", ["CLIENT_VERSION_2X", "CLIENT_VERSION_UPGRADE_FROM_2X"])
def test_a_fleet_without_a_leader_is_not_joined(version: str) -> None:
    dynamodb = FakeDynamoDB()
    JavaLeader.make_tables(dynamodb, version)
    with pytest.raises(CannotJoin, match=f"{version}.*fix: "):
        fleet(dynamodb).join()


def test_a_worker_that_cannot_join_stops_loudly(world: World) -> None:
    world.start(US, fleet="kcl")
    world.run(3)
    assert world.crashes() == [CannotJoin]
    assert len(world.all(WorkerStopped)) == 1


def test_it_starts_no_child_before_its_parents() -> None:
    parent = Lease("shardId-0", Sentinel.TRIM_HORIZON, owner=JAVA)
    child = Lease("shardId-1", Sentinel.TRIM_HORIZON, owner=US, parents=frozenset({"shardId-0"}))
    assert fleet(FakeDynamoDB()).look(by_shard([parent, child]), (), 0, 0).take == ()


def test_throughput_is_smoothed_as_the_kcl_does() -> None:
    clock = FakeClock()
    meter = Meter(clock.clock)
    assert meter.kilobytes_a_second() is None
    rates = []
    for size in (10_240, 0, 0):
        meter.add(size)
        clock.advance(10)
        rates.append(meter.kilobytes_a_second())
    assert rates == [1.0, 0.5, 0.25]
