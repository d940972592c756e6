"""Leases kept alive, and lost, by the keeper's own clock."""

from typing import Any

import pytest
from botocore.exceptions import ReadTimeoutError
from botocore.parsers import ResponseParserError

from consumers.diagnostics import LeaseAskedFor, LeaseEvicted, LeaseHandedOver, LeaseLost, LeaseRenewalFailed
from consumers.engines.worker.leases.keeper import HeldLease, LeaseKeeper
from consumers.engines.worker.leases.lease import Lease
from consumers.engines.worker.leases.note import Note
from consumers.engines.worker.leases.table import LeaseTable
from consumers.processing import Trouble
from foundation.diagnostics import Diagnostic
from foundation.kinesis.records import Sentinel, SequenceNumber
from tests.support.builders import NOON
from tests.support.fakes.clock import FakeClock
from tests.support.fakes.leases import FakeDynamoDB

SHARD = "shardId-000000000000"


class Setting:
    def __init__(self) -> None:
        self.time = FakeClock()
        self.dynamodb = FakeDynamoDB()
        self.happened: list[Diagnostic] = []
        self.table = LeaseTable(self.dynamodb.client, "leases", "us")
        self.table.create(self.time.wait)
        self.table.add(Lease(SHARD, Sentinel.TRIM_HORIZON))
        self.keeper = LeaseKeeper(
            self.table, throughput=lambda _: None, clock=self.time.clock, failover=10.0, emit=self.happened.append
        )

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
    assert not held.let_go()
    assert setting.counter() == counter
    setting.keeper.renew_all()
    assert held.ending.is_set()
    assert setting.happened == [LeaseLost(SHARD)]
    assert setting.keeper.held == {}


def test_a_lease_taken_by_another_is_given_up_and_told_once(setting: Setting) -> None:
    held = setting.take()
    LeaseTable(setting.dynamodb.client, "leases", "them").take(setting.table.list()[SHARD], NOON)
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


def test_two_lost_answers_in_a_row_cost_no_lease(setting: Setting) -> None:
    held = setting.take()
    setting.dynamodb.lose_answer("update_item", times=2)
    setting.keeper.renew_all()
    with pytest.raises(ReadTimeoutError):
        held.write_checkpoint(SequenceNumber("5"))
    assert held.write_checkpoint(SequenceNumber("5"))
    assert not held.lost
    assert (setting.table.list()[SHARD].checkpoint, setting.counter()) == (SequenceNumber("5"), 3)


def test_an_evicted_lease_is_written_no_more(setting: Setting) -> None:
    held = setting.take()
    assert held.write_checkpoint(SequenceNumber("5"))
    assert held.let_go()
    assert not held.renew()
    assert not held.write_checkpoint(SequenceNumber("6"))
    assert setting.happened == [LeaseEvicted(SHARD, "5")]


def test_a_lease_that_somebody_took_first_is_not_held(setting: Setting) -> None:
    seen = setting.table.list()[SHARD]
    LeaseTable(setting.dynamodb.client, "leases", "them").take(seen, NOON)
    assert setting.keeper.take(seen) is None
    assert setting.keeper.held == {}


# Handing over.


def asked_for(setting: Setting) -> HeldLease:
    """A held lease that another worker asks for."""
    held = setting.take()
    assert LeaseTable(setting.dynamodb.client, "leases", "them").ask_for(setting.table.list()[SHARD])
    return held


def test_a_lease_that_is_asked_for_ends_its_shard_and_is_kept_until_it_is_let_go(setting: Setting) -> None:
    held = asked_for(setting)
    assert not held.ending.is_set()
    setting.keeper.renew_all()
    assert held.ending.is_set()
    setting.time.advance(9)
    setting.keeper.renew_all()
    setting.time.advance(9)
    assert not held.lost
    assert held.write_checkpoint(SequenceNumber("5"))
    assert held.let_go()
    row = setting.table.list()[SHARD]
    assert (row.owner, row.checkpoint_owner, row.checkpoint) == ("them", None, SequenceNumber("5"))
    assert setting.happened == [LeaseAskedFor(SHARD, "them"), LeaseHandedOver(SHARD, "them", "5")]
    setting.keeper.renew_all()
    assert setting.keeper.held == {}
    assert len(setting.happened) == 2


def test_a_checkpoint_tells_of_a_request_too(setting: Setting) -> None:
    held = asked_for(setting)
    assert held.write_checkpoint(SequenceNumber("5"))
    assert held.ending.is_set()


def test_a_lease_that_is_let_go_while_it_is_asked_for_goes_to_who_asked(setting: Setting) -> None:
    held = asked_for(setting)
    assert held.let_go()
    row = setting.table.list()[SHARD]
    assert (row.owner, row.checkpoint_owner) == ("them", None)


def test_a_request_that_was_withdrawn_leaves_the_lease_to_anybody(setting: Setting) -> None:
    held = asked_for(setting)
    setting.keeper.renew_all()
    LeaseTable(setting.dynamodb.client, "leases", "them").withdraw(setting.table.list()[SHARD])
    assert held.let_go()
    assert setting.table.list()[SHARD].holder is None


def test_what_was_taken_hard_meanwhile_is_not_let_go(setting: Setting) -> None:
    held = asked_for(setting)
    them = LeaseTable(setting.dynamodb.client, "leases", "them")
    assert them.take(setting.table.list()[SHARD], NOON)
    before = setting.table.list()
    assert not held.let_go()
    assert setting.table.list() == before


@pytest.mark.parametrize("error", [ResponseParserError("cut off"), RuntimeError("a bug"), KeyError("Attributes")])
def test_whatever_goes_wrong_with_one_renewal_the_others_are_made(setting: Setting, error: Exception) -> None:
    setting.take()
    setting.table.add(Lease("shardId-000000000001", Sentinel.TRIM_HORIZON))
    setting.keeper.take(setting.table.list()["shardId-000000000001"])
    setting.dynamodb.fail("update_item", error)
    assert not setting.keeper.renew_all()
    assert setting.keeper.renew_all()
    assert [lease.counter for lease in setting.table.list().values()] == [2, 3]
    assert setting.happened == [LeaseRenewalFailed(SHARD, error)]


def test_how_fast_a_shard_is_read_goes_with_its_heartbeat() -> None:
    setting = Setting()
    keeper = LeaseKeeper(
        setting.table,
        throughput={SHARD: 1.5}.get,
        clock=setting.time.clock,
        failover=10.0,
        emit=setting.happened.append,
    )
    keeper.take(setting.table.list()[SHARD])
    keeper.renew_all()
    assert setting.dynamodb.tables["leases"][SHARD]["throughputKBps"] == {"N": "1.500000"}


def note(setting: Setting) -> Note:
    found = setting.table.list()[SHARD].note
    assert found is not None
    return found


def test_each_heartbeat_notes_how_the_shard_stands(setting: Setting) -> None:
    began = setting.time.now()
    held = setting.take()
    setting.time.advance(3)
    held.renew()
    assert note(setting) == Note("us", "TRIM_HORIZON", began, began)
    held.write_checkpoint(SequenceNumber("17", 2))
    moved = setting.time.now()
    assert note(setting) == Note("us", "17.2", moved, began)
    setting.time.advance(3)
    trouble = Trouble("OSError: no route", setting.time.now())
    held.note_trouble(trouble)
    held.renew()
    assert note(setting) == Note("us", "17.2", moved, began, trouble)
    held.note_trouble(None)
    held.renew()
    assert note(setting).trouble is None


def test_a_checkpoint_that_says_the_same_is_no_movement(setting: Setting) -> None:
    held = setting.take()
    held.write_checkpoint(SequenceNumber("17"))
    moved = setting.time.now()
    setting.time.advance(5)
    held.write_checkpoint(SequenceNumber("17"))
    assert note(setting).moved_at == moved


def test_who_takes_a_lease_over_goes_on_counting_since_it_moved(setting: Setting) -> None:
    held = setting.take()
    held.write_checkpoint(SequenceNumber("17"))
    moved = setting.time.now()
    setting.time.advance(5)
    held.let_go()
    setting.time.advance(600)
    taken = setting.time.now()
    setting.take().renew()
    assert note(setting) == Note("us", "17", moved, taken)


def test_where_another_has_moved_it_without_a_note_it_counts_anew(setting: Setting) -> None:
    held = setting.take()
    held.write_checkpoint(SequenceNumber("17"))
    held.let_go()
    setting.dynamodb.tables["leases"][SHARD]["checkpoint"] = {"S": "18"}
    setting.time.advance(600)
    taken = setting.time.now()
    setting.take().renew()
    assert note(setting) == Note("us", "18", taken, taken)
