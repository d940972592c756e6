"""The lease table's promises: one suite for the fake DynamoDB and for the embedded AWS."""

import threading
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError, ReadTimeoutError

from consumers.engines.worker.lease import HashKeyRange, Lease
from consumers.engines.worker.lease_table import OWNER_INDEX, LeaseTable
from consumers.records import Sentinel, SequenceNumber
from foundation.clock import uninterrupted_wait
from tests.fakes.clock import FakeClock
from tests.fakes.leases import FakeDynamoDB

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
    lease = table.take(table.list()[SHARD])
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
    taken = ours.take(seen)
    assert taken == replace(NEW, owner="us", counter=1)
    assert theirs.take(seen) is None
    assert ours.list()[SHARD].owner == "us"


def test_taking_from_another_counts_a_switch_and_ends_a_handover(backend: Backend, ours: LeaseTable) -> None:
    held(backend.table("them"))
    backend.put(backend.row() | {"checkpointOwner": {"S": "them"}})
    taken = ours.take(ours.list()[SHARD])
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
    assert theirs.take(ours.list()[SHARD])
    before = backend.row()
    assert ours.renew(lease) is None
    assert ours.checkpoint(lease, NUMBER) is None
    assert not ours.evict(lease)
    assert backend.row() == before


def test_a_lease_that_the_kcl_hands_over_is_not_renewed(backend: Backend, ours: LeaseTable) -> None:
    lease = held(ours)
    backend.put(backend.row() | {"leaseOwner": {"S": "them"}, "checkpointOwner": {"S": "us"}})
    assert ours.renew(lease) is None


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
        threading.Thread(target=lambda name=name: taken.append(backend.table(name).take(seen))) for name in "abcdefgh"
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


def test_a_checkpoint_after_a_lost_renewal_is_written(dynamodb: FakeDynamoDB, table: LeaseTable) -> None:
    lease = held(table)
    dynamodb.lose_answer("update_item")
    with pytest.raises(ReadTimeoutError):
        table.renew(lease)
    written = table.checkpoint(lease, NUMBER)
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
        table.take(seen)
    again = table.take(seen)
    assert again is not None
    assert (again.owner, again.counter) == ("us", 1)


def test_anothers_write_is_never_taken_for_our_own(dynamodb: FakeDynamoDB, table: LeaseTable) -> None:
    lease = held(table)
    LeaseTable(dynamodb.client, "leases", "them").take(lease)
    assert table.list()[SHARD].counter == lease.counter + 1
    assert table.renew(lease) is None


def test_an_error_of_the_table_is_not_a_lost_lease(dynamodb: FakeDynamoDB, table: LeaseTable) -> None:
    lease = held(table)
    dynamodb.fail("update_item", "InternalServerError")
    with pytest.raises(ClientError):
        table.renew(lease)
    assert table.renew(lease) is not None
