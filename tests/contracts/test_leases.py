"""The lease table's promises: one suite for the fake DynamoDB and for the embedded AWS."""

import threading
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError, ReadTimeoutError

from consumers.engines.worker.leases.lease import Lease
from consumers.engines.worker.leases.table import LeaseTable
from consumers.engines.worker.leases.table_making import OWNER_INDEX
from foundation.clock import uninterrupted_wait
from foundation.kinesis.hash_keys import HashKeyRange
from foundation.kinesis.records import Sentinel, SequenceNumber
from tests.support.builders import NOON
from tests.support.fakes.clock import FakeClock
from tests.support.fakes.leases import FakeDynamoDB

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

SHARD = "shardId-000000000000"
NEW = Lease(SHARD, Sentinel.TRIM_HORIZON, parents=frozenset({"shardId-0"}), hash_keys=HashKeyRange(0, 2**128 - 1))
NUMBER = SequenceNumber("000049680476345611824770631257", 7)


@dataclass
class Backend:
    client: "DynamoDBClient"
    name: str

    def table(self, worker_id: str) -> LeaseTable:
        return LeaseTable(self.client, self.name, worker_id)

    def row(self, shard_id: str = SHARD) -> dict[str, Any]:
        return dict(self.client.get_item(TableName=self.name, Key={"leaseKey": {"S": shard_id}})["Item"])

    def put(self, item: dict[str, Any]) -> None:
        self.client.put_item(TableName=self.name, Item=item)


@pytest.fixture(params=["fake", pytest.param("embedded", marks=pytest.mark.local_aws)])
def backend(request: pytest.FixtureRequest) -> Iterator[Backend]:
    name = f"leases-{uuid.uuid4().hex[:12]}"
    if request.param == "fake":
        made = Backend(FakeDynamoDB().client, name)
        assert made.table("setup").create(FakeClock().wait)
    else:
        made = Backend(request.getfixturevalue("local_aws").client("dynamodb"), name)
        assert made.table("setup").create(uninterrupted_wait())
    yield made
    if request.param == "embedded":
        made.client.delete_table(TableName=name)
        made.client.close()


@pytest.fixture
def ours(backend: Backend) -> LeaseTable:
    return backend.table("us")


@pytest.fixture
def theirs(backend: Backend) -> LeaseTable:
    return backend.table("them")


def held(table: LeaseTable) -> Lease:
    """The new lease, taken."""
    table.add(NEW)
    lease = table.take(table.list()[SHARD], NOON)
    assert lease is not None
    return lease


def test_creating_the_table_twice_is_fine(ours: LeaseTable) -> None:
    assert ours.create(uninterrupted_wait())
    assert ours.list() == {}


@pytest.mark.local_aws
def test_the_table_has_the_index_that_the_kcl_looks_for(local_aws: Any) -> None:
    client = local_aws.client("dynamodb")
    name = f"leases-{uuid.uuid4().hex[:12]}"
    LeaseTable(client, name, "us").create(uninterrupted_wait())
    (index,) = client.describe_table(TableName=name)["Table"]["GlobalSecondaryIndexes"]
    assert index["IndexName"] == OWNER_INDEX
    assert [key["AttributeName"] for key in index["KeySchema"]] == ["leaseOwner", "leaseKey"]
    client.delete_table(TableName=name)
    client.close()


def test_a_table_is_waited_for_until_it_can_be_used() -> None:
    clock, dynamodb = FakeClock(), FakeDynamoDB()
    assert LeaseTable(dynamodb.client, "leases", "us").create(clock.wait)
    assert clock.waits
    calls = len(dynamodb.calls("create_table"))
    assert LeaseTable(dynamodb.client, "leases", "them").create(clock.wait)
    assert len(dynamodb.calls("create_table")) == calls


def test_a_wait_cut_short_leaves_the_table_for_later() -> None:
    clock = FakeClock()
    clock.stopping = True
    assert not LeaseTable(FakeDynamoDB().client, "leases", "us").create(clock.wait)


def test_a_lease_is_added_once(ours: LeaseTable, theirs: LeaseTable) -> None:
    assert ours.add(NEW)
    assert not theirs.add(replace(NEW, checkpoint=Sentinel.LATEST))
    assert ours.list() == {SHARD: NEW}


def test_every_page_is_listed(ours: LeaseTable) -> None:
    for number in range(10):
        ours.add(replace(NEW, shard_id=f"shardId-{number}"))
    assert len(ours.list()) == 10


def test_the_coordinators_rows_are_passed_over(backend: Backend, ours: LeaseTable) -> None:
    backend.put({"leaseKey": {"S": "Leader"}, "entityType": {"S": "LEADER"}})
    ours.add(NEW)
    assert list(ours.list()) == [SHARD]


def test_of_two_that_take_one_wins(ours: LeaseTable, theirs: LeaseTable) -> None:
    ours.add(NEW)
    seen = ours.list()[SHARD]
    taken = ours.take(seen, NOON)
    assert taken == replace(NEW, owner="us", counter=1)
    assert theirs.take(seen, NOON) is None
    assert ours.list()[SHARD].owner == "us"


def test_taking_from_another_counts_a_switch_and_ends_a_handover(backend: Backend, ours: LeaseTable) -> None:
    held(backend.table("them"))
    backend.put(backend.row() | {"checkpointOwner": {"S": "them"}})
    taken = ours.take(ours.list()[SHARD], NOON)
    assert taken == replace(NEW, owner="us", counter=2, owner_switches=1)
    assert "checkpointOwner" not in backend.row()


def test_renewing_moves_the_counter_and_nothing_else(backend: Backend, ours: LeaseTable) -> None:
    lease = held(ours)
    backend.put(backend.row() | {"throughputKBps": {"N": "0.067316"}})
    before = backend.row()
    assert ours.renew(lease) == replace(lease, counter=2)
    assert backend.row() == before | {"leaseCounter": {"N": "2"}}


def test_a_lease_that_was_taken_can_neither_be_renewed_nor_checkpointed(
    backend: Backend, ours: LeaseTable, theirs: LeaseTable
) -> None:
    lease = held(ours)
    assert theirs.take(ours.list()[SHARD], NOON)
    before = backend.row()
    assert ours.renew(lease) is None
    assert ours.checkpoint(lease, NUMBER) is None
    assert not ours.evict(lease)
    assert backend.row() == before


def test_a_first_take_at_the_tip_says_since_when_and_a_second_leaves_it(backend: Backend, ours: LeaseTable) -> None:
    ours.add(replace(NEW, checkpoint=Sentinel.LATEST))  # as the KCL makes it
    taken = ours.take(ours.list()[SHARD], NOON)
    assert taken is not None
    assert taken.latest_since == NOON
    assert backend.row()["latestSince"] == {"N": "1773489600000"}
    again = backend.table("them").take(taken, NOON + timedelta(hours=1))
    assert again is not None
    assert again.latest_since == NOON


@pytest.mark.parametrize(("ours_is_ahead", "since"), [(0.9, 0.9), (0.0, 0.0), (-3600, -3600), (3600, 0.0)])
def test_a_clock_that_is_ahead_does_not_put_the_tip_into_the_future(ours_is_ahead: float, since: float) -> None:
    dynamodb = FakeDynamoDB()
    dynamodb.date = NOON
    table = LeaseTable(dynamodb.client, "leases", "us")
    table.create(FakeClock().wait)
    table.add(replace(NEW, checkpoint=Sentinel.LATEST))
    taken = table.take(table.list()[SHARD], NOON + timedelta(seconds=ours_is_ahead))
    assert taken is not None
    assert taken.latest_since == NOON + timedelta(seconds=since)


# Handing over.


def test_asking_names_both_and_leaves_the_holders_counter(backend: Backend, ours: LeaseTable) -> None:
    lease = held(backend.table("them"))
    assert ours.ask_for(lease)
    row = backend.row()
    assert (row["leaseOwner"], row["checkpointOwner"]) == ({"S": "us"}, {"S": "them"})
    assert row["leaseCounter"] == {"N": str(lease.counter)}


def test_the_holder_learns_from_its_next_heartbeat_and_writes_on(ours: LeaseTable, theirs: LeaseTable) -> None:
    lease = held(theirs)
    ours.ask_for(lease)
    asked = theirs.renew(lease)
    assert asked is not None
    assert (asked.owner, asked.holder, asked.counter) == ("us", "them", lease.counter + 1)
    again = theirs.renew(asked)
    assert again is not None
    assert theirs.checkpoint(again, NUMBER) is not None


def test_the_holder_learns_from_its_next_checkpoint_too(ours: LeaseTable, theirs: LeaseTable) -> None:
    lease = held(theirs)
    ours.ask_for(lease)
    asked = theirs.checkpoint(lease, NUMBER)
    assert asked is not None
    assert (asked.owner, asked.holder, asked.checkpoint) == ("us", "them", NUMBER)


def test_a_lease_is_handed_over_with_its_checkpoint_and_then_taken(
    backend: Backend, ours: LeaseTable, theirs: LeaseTable
) -> None:
    lease = held(theirs)
    ours.ask_for(lease)
    asked = theirs.checkpoint(lease, NUMBER)
    assert asked is not None
    assert theirs.hand_over(asked)
    row = backend.row()
    assert "checkpointOwner" not in row
    assert row["leaseOwner"] == {"S": "us"}
    assert row["leaseCounter"] == {"N": str(asked.counter + 1)}
    assert row["ownerSwitchesSinceCheckpoint"] == {"N": "1"}
    assert theirs.renew(asked) is None
    assert not theirs.evict(asked)
    taken = ours.take(ours.list()[SHARD], NOON)
    assert taken is not None
    assert (taken.checkpoint, taken.holder, taken.owner_switches) == (NUMBER, "us", 1)


def test_of_two_that_ask_one_is_heard(backend: Backend, ours: LeaseTable) -> None:
    lease = held(backend.table("them"))
    assert ours.ask_for(lease)
    assert not backend.table("late").ask_for(lease)
    assert backend.row()["leaseOwner"] == {"S": "us"}


def test_nobody_is_asked_for_what_is_not_theirs_any_more(backend: Backend, ours: LeaseTable) -> None:
    lease = held(backend.table("them"))
    backend.table("late").take(lease, NOON)
    before = backend.row()
    assert not ours.ask_for(lease)
    assert backend.row() == before


def test_after_a_hard_take_the_old_holder_writes_nothing_more(
    backend: Backend, ours: LeaseTable, theirs: LeaseTable
) -> None:
    ours.ask_for(held(theirs))
    asked = ours.list()[SHARD]
    assert ours.take(asked, NOON) is not None
    before = backend.row()
    theirs.hand_over(asked)
    assert theirs.renew(asked) is None
    assert theirs.checkpoint(asked, NUMBER) is None
    assert backend.row() == before


def test_a_request_is_withdrawn_and_the_holder_stays(backend: Backend, ours: LeaseTable, theirs: LeaseTable) -> None:
    lease = held(theirs)
    ours.ask_for(lease)
    asked = theirs.renew(lease)
    assert asked is not None
    ours.withdraw(asked)
    assert not theirs.hand_over(asked)
    assert "checkpointOwner" not in backend.row()
    assert theirs.renew(asked) == replace(lease, counter=lease.counter + 2)


def test_a_request_withdrawn_too_late_leaves_the_lease_free(backend: Backend, ours: LeaseTable) -> None:
    theirs = backend.table("them")
    ours.ask_for(held(theirs))
    asked = ours.list()[SHARD]
    theirs.hand_over(asked)
    ours.withdraw(asked)
    assert not backend.row().keys() & {"leaseOwner", "checkpointOwner"}


def test_a_lease_that_is_asked_for_cannot_be_evicted(backend: Backend, ours: LeaseTable, theirs: LeaseTable) -> None:
    lease = held(theirs)
    ours.ask_for(lease)
    assert not theirs.evict(lease)
    assert backend.row()["leaseOwner"] == {"S": "us"}


def test_the_throughput_goes_with_the_heartbeat(backend: Backend, ours: LeaseTable) -> None:
    ours.renew(held(ours), throughput=0.0673155)
    assert float(backend.row()["throughputKBps"]["N"]) == pytest.approx(0.067316, abs=1e-6)


def test_a_row_that_makes_no_sense_is_listed_with_its_trouble(backend: Backend, ours: LeaseTable) -> None:
    ours.add(NEW)
    backend.put({"leaseKey": {"S": "shardId-9"}, "leaseCounter": {"S": "many"}})
    listed = ours.list()
    assert listed[SHARD] == NEW
    assert listed["shardId-9"].trouble


def test_a_row_that_goes_bad_under_us_is_an_error_that_names_it(backend: Backend, ours: LeaseTable) -> None:
    lease = held(ours)
    backend.put(backend.row() | {"childShardIds": {"S": "shardId-1"}})
    with pytest.raises(ValueError, match=r"shardId-000000000000: childShardIds is .*fix: "):
        ours.renew(lease)


def test_a_checkpoint_writes_both_numbers_as_received_and_forgets_what_was_pending(
    backend: Backend, ours: LeaseTable
) -> None:
    lease = held(ours)
    pending = {"pendingCheckpoint": {"S": "1"}, "pendingCheckpointSubSequenceNumber": {"N": "0"}}
    backend.put(backend.row() | pending | {"ownerSwitchesSinceCheckpoint": {"N": "3"}})
    written = ours.checkpoint(lease, NUMBER)
    assert written is not None
    assert (written.checkpoint, written.counter, written.owner_switches) == (NUMBER, 2, 0)
    row = backend.row()
    assert row["checkpoint"] == {"S": NUMBER.number}
    assert row["checkpointSubSequenceNumber"] == {"N": "7"}
    assert not row.keys() & pending.keys()


def test_the_end_of_a_shard_names_its_children(backend: Backend, ours: LeaseTable) -> None:
    ended = ours.checkpoint(held(ours), Sentinel.SHARD_END, ["shardId-2", "shardId-1"])
    assert ended is not None
    assert ended.finished
    assert sorted(backend.row()["childShardIds"]["SS"]) == ["shardId-1", "shardId-2"]


def test_an_evicted_lease_has_no_owner_and_another_counter(backend: Backend, ours: LeaseTable) -> None:
    assert ours.evict(held(ours))
    assert "leaseOwner" not in backend.row()
    assert backend.row()["leaseCounter"] == {"N": "2"}


def test_a_lease_is_deleted_only_as_it_was_seen(ours: LeaseTable) -> None:
    lease = held(ours)
    ours.renew(lease)
    ours.delete(lease)
    assert SHARD in ours.list()
    ours.delete(ours.list()[SHARD])
    assert ours.list() == {}
    ours.delete(lease)


def test_a_deleted_lease_is_lost(ours: LeaseTable) -> None:
    lease = held(ours)
    ours.delete(lease)
    assert ours.renew(lease) is None
    assert ours.checkpoint(lease, NUMBER) is None
    assert ours.list() == {}


def test_eight_that_take_at_once_make_one_owner(backend: Backend, ours: LeaseTable) -> None:
    ours.add(NEW)
    seen = ours.list()[SHARD]
    taken: list[Lease | None] = []
    threads = [
        threading.Thread(target=lambda name=name: taken.append(backend.table(name).take(seen, NOON)))
        for name in "abcdefgh"
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    winners = [lease for lease in taken if lease is not None]
    assert [lease.owner for lease in winners] == [ours.list()[SHARD].owner]


# Lost answers: only the fake can lose them on purpose.


@pytest.fixture
def dynamodb() -> FakeDynamoDB:
    made = FakeDynamoDB()
    LeaseTable(made.client, "leases", "us").create(FakeClock().wait)
    return made


@pytest.fixture
def table(dynamodb: FakeDynamoDB) -> LeaseTable:
    return LeaseTable(dynamodb.client, "leases", "us")


def test_a_renewal_whose_answer_was_lost_is_known_as_our_own(dynamodb: FakeDynamoDB, table: LeaseTable) -> None:
    lease = held(table)
    dynamodb.lose_answer("update_item")
    with pytest.raises(ReadTimeoutError):
        table.renew(lease)
    assert table.renew(lease) == replace(lease, counter=2)


def test_after_a_lost_renewal_a_checkpoint_is_still_to_be_written(dynamodb: FakeDynamoDB, table: LeaseTable) -> None:
    lease = held(table)
    dynamodb.lose_answer("update_item")
    with pytest.raises(ReadTimeoutError):
        table.renew(lease)
    found = table.checkpoint(lease, NUMBER)
    assert found == replace(lease, counter=2)
    written = table.checkpoint(found, NUMBER)
    assert written is not None
    assert (written.checkpoint, written.counter) == (NUMBER, 3)


def test_a_checkpoint_whose_answer_was_lost_is_not_written_twice(dynamodb: FakeDynamoDB, table: LeaseTable) -> None:
    lease = held(table)
    dynamodb.lose_answer("update_item")
    with pytest.raises(ReadTimeoutError):
        table.checkpoint(lease, NUMBER)
    written = table.checkpoint(lease, NUMBER)
    assert written is not None
    assert (written.checkpoint, written.counter) == (NUMBER, 2)


def test_a_take_whose_answer_was_lost_is_found_again(dynamodb: FakeDynamoDB, table: LeaseTable) -> None:
    table.add(NEW)
    seen = table.list()[SHARD]
    dynamodb.lose_answer("update_item")
    with pytest.raises(ReadTimeoutError):
        table.take(seen, NOON)
    again = table.take(seen, NOON)
    assert again is not None
    assert (again.owner, again.counter) == ("us", 1)


@pytest.mark.parametrize("error", [None, "ThrottlingException"])
def test_every_step_of_a_hand_over_can_be_done_again(
    dynamodb: FakeDynamoDB, table: LeaseTable, error: str | None
) -> None:
    """After an answer that was lost, and after a refusal to work; each once and again, with the same outcome."""

    def twice(step: Callable[[], Any]) -> Any:
        if error is None:
            dynamodb.lose_answer("update_item")
        else:
            dynamodb.fail("update_item", error)
        with pytest.raises((ReadTimeoutError, ClientError)):
            step()
        return step()

    thief = LeaseTable(dynamodb.client, "leases", "them")
    lease = held(table)
    assert twice(lambda: thief.ask_for(lease))
    asked = twice(lambda: table.renew(lease))
    assert (asked.holder, asked.counter) == ("us", 2)
    asked = twice(lambda: table.checkpoint(asked, NUMBER))
    assert (asked.checkpoint, asked.counter) == (NUMBER, 3)
    assert twice(lambda: table.hand_over(asked))
    given = thief.list()[SHARD]
    taken = twice(lambda: thief.take(given, NOON))
    assert (taken.checkpoint, taken.holder, taken.counter) == (NUMBER, "them", 5)
    assert twice(lambda: thief.evict(taken))


def test_anothers_write_is_never_taken_for_our_own(dynamodb: FakeDynamoDB, table: LeaseTable) -> None:
    lease = held(table)
    LeaseTable(dynamodb.client, "leases", "them").take(lease, NOON)
    assert table.list()[SHARD].counter == lease.counter + 1
    assert table.renew(lease) is None


def test_an_error_of_the_table_is_not_a_lost_lease(dynamodb: FakeDynamoDB, table: LeaseTable) -> None:
    lease = held(table)
    dynamodb.fail("update_item", "InternalServerError")
    with pytest.raises(ClientError):
        table.renew(lease)
    assert table.renew(lease) is not None
