"""Leases kept alive, and lost, by the keeper's own clock."""

from typing import Any

import pytest

from consumers.diagnostics import LeaseEvicted, LeaseLost, LeaseRenewalFailed
from consumers.engines.worker.lease import Lease
from consumers.engines.worker.lease_keeper import HeldLease, LeaseKeeper
from consumers.engines.worker.lease_table import LeaseTable
from consumers.records import Sentinel, SequenceNumber
from foundation.diagnostics import Diagnostic
from tests.fakes.clock import FakeClock
from tests.fakes.leases import FakeDynamoDB

SHARD = "shardId-000000000000"


class Setting:
    def __init__(self) -> None:
        self.time = FakeClock()
        self.dynamodb = FakeDynamoDB()
        self.happened: list[Diagnostic] = []
        self.table = LeaseTable(self.dynamodb.client, "leases", "us")
        self.table.create(self.time.wait)
        self.table.add(Lease(SHARD, Sentinel.TRIM_HORIZON))
        self.keeper = LeaseKeeper(self.table, clock=self.time.clock, failover=10.0, emit=self.happened.append)

    def take(self) -> HeldLease:
        held = self.keeper.take(self.table.list()[SHARD])
        assert held is not None
        return held

    def counter(self) -> int:
        return self.table.list()[SHARD].counter


@pytest.fixture
def setting() -> Setting:
    return Setting()


def test_it_renews_three_times_in_the_failover_time(setting: Setting) -> None:
    setting.take()
    rounds: list[Any] = []

    def wait(seconds: float) -> bool:
        rounds.append(seconds)
        setting.time.advance(seconds)
        return len(rounds) > 9

    setting.keeper.run(wait)
    assert sum(rounds[:9]) == pytest.approx(30)
    assert setting.counter() == 1 + 9
    assert list(setting.keeper.held) == [SHARD]


def test_after_a_failed_renewal_the_next_comes_soon(setting: Setting) -> None:
    setting.take()
    setting.dynamodb.fail("update_item", "InternalServerError")
    waits: list[float] = []

    def wait(seconds: float) -> bool:
        waits.append(seconds)
        return len(waits) > 2

    setting.keeper.run(wait)
    assert waits == [pytest.approx(10 / 3), 1.0, pytest.approx(10 / 3)]
    assert [type(event) for event in setting.happened] == [LeaseRenewalFailed]


def test_a_lease_that_could_not_be_renewed_in_time_is_given_up_without_asking(setting: Setting) -> None:
    held = setting.take()
    setting.time.advance(9.9)
    assert not held.lost
    setting.time.advance(0.1)
    assert held.lost
    counter = setting.counter()
    assert not held.write_checkpoint(SequenceNumber("5"))
    assert not held.evict()
    assert setting.counter() == counter
    setting.keeper.renew_all()
    assert held.ending.is_set()
    assert setting.happened == [LeaseLost(SHARD)]
    assert setting.keeper.held == {}


def test_a_lease_taken_by_another_is_given_up_and_told_once(setting: Setting) -> None:
    held = setting.take()
    LeaseTable(setting.dynamodb.client, "leases", "them").take(setting.table.list()[SHARD])
    assert not held.write_checkpoint(SequenceNumber("5"))
    setting.keeper.renew_all()
    setting.keeper.renew_all()
    assert held.lost
    assert held.ending.is_set()
    assert setting.happened == [LeaseLost(SHARD)]
    assert setting.table.list()[SHARD].checkpoint is Sentinel.TRIM_HORIZON


def test_a_checkpoint_is_a_heartbeat_too(setting: Setting) -> None:
    held = setting.take()
    setting.time.advance(9)
    assert held.write_checkpoint(SequenceNumber("5"))
    setting.time.advance(9)
    assert not held.lost
    assert held.renew()


def test_an_evicted_lease_is_written_no_more(setting: Setting) -> None:
    held = setting.take()
    assert held.write_checkpoint(SequenceNumber("5"))
    assert held.evict()
    assert not held.renew()
    assert not held.write_checkpoint(SequenceNumber("6"))
    assert setting.happened == [LeaseEvicted(SHARD, "5")]


def test_a_lease_that_somebody_took_first_is_not_held(setting: Setting) -> None:
    seen = setting.table.list()[SHARD]
    LeaseTable(setting.dynamodb.client, "leases", "them").take(seen)
    assert setting.keeper.take(seen) is None
    assert setting.keeper.held == {}
