"""The rows are the KCL's own, so that a consumer can change engine and keep its place."""

from datetime import timedelta
from typing import Any

import pytest

from consumers.engines.worker.leases.lease import Lease, from_item, is_lease, to_item
from foundation.kinesis.hash_keys import HashKeyRange
from foundation.kinesis.records import Sentinel, SequenceNumber
from tests.support.builders import NOON

NUMBER = "49680476345611824770631257904879284061931305378999435282"

# As the KCL 3.1.3 writes them.
NEW_ROW = {
    "checkpoint": {"S": "TRIM_HORIZON"},
    "checkpointSubSequenceNumber": {"N": "0"},
    "startingHashKey": {"S": "0"},
    "endingHashKey": {"S": "85070591730234615865843651857942052862"},
    "leaseCounter": {"N": "0"},
    "leaseKey": {"S": "shardId-000000000000"},
    "ownerSwitchesSinceCheckpoint": {"N": "0"},
}
ROW_IN_USE = NEW_ROW | {
    "checkpoint": {"S": NUMBER},
    "checkpointSubSequenceNumber": {"N": "99"},
    "leaseCounter": {"N": "105"},
    "leaseOwner": {"S": "0f61aaec-cddb-4be6-9e73-62629f22231e"},
    "throughputKBps": {"N": "0.067316"},
}


def test_a_new_lease_is_the_row_that_the_kcl_writes() -> None:
    lease = Lease(
        "shardId-000000000000",
        Sentinel.TRIM_HORIZON,
        hash_keys=HashKeyRange(0, 85070591730234615865843651857942052862),
    )
    assert to_item(lease) == NEW_ROW


def test_a_row_of_the_kcl_is_read_and_what_we_do_not_use_is_tolerated() -> None:
    lease = from_item(ROW_IN_USE)
    assert lease.checkpoint == SequenceNumber(NUMBER, 99)
    assert (lease.owner, lease.counter) == ("0f61aaec-cddb-4be6-9e73-62629f22231e", 105)
    assert to_item(lease) == {name: value for name, value in ROW_IN_USE.items() if name != "throughputKBps"}


def test_parents_children_and_the_end_of_a_shard() -> None:
    lease = Lease(
        "shardId-000000000004",
        Sentinel.SHARD_END,
        parents=frozenset({"shardId-000000000002", "shardId-000000000001"}),
        children=frozenset({"shardId-000000000005"}),
    )
    item = to_item(lease)
    assert item["parentShardId"] == {"SS": ["shardId-000000000001", "shardId-000000000002"]}
    assert item["childShardIds"] == {"SS": ["shardId-000000000005"]}
    assert (item["checkpoint"], item["checkpointSubSequenceNumber"]) == ({"S": "SHARD_END"}, {"N": "0"})
    assert from_item(item) == lease
    assert lease.finished


def test_an_unassigned_lease_has_no_owner_attribute() -> None:
    assert "leaseOwner" not in to_item(Lease("shardId-000000000000", Sentinel.LATEST))


def test_while_the_kcl_hands_over_the_old_owner_still_holds_it() -> None:
    item = ROW_IN_USE | {"checkpointOwner": {"S": "old"}, "leaseOwner": {"S": "new"}}
    assert from_item(item).holder == "old"


def test_only_leases_are_leases() -> None:
    assert is_lease(ROW_IN_USE)
    assert is_lease(ROW_IN_USE | {"entityType": {"S": "LEASE"}})
    assert not is_lease({"leaseKey": {"S": "Leader"}, "entityType": {"S": "LEADER"}})
    assert not is_lease({"leaseKey": {"S": "Leader"}, "entityType": {"NULL": True}})


def test_since_when_a_lease_is_on_latest_is_kept_in_milliseconds() -> None:
    lease = Lease("shardId-0", Sentinel.LATEST, latest_since=NOON + timedelta(milliseconds=7))
    assert to_item(lease)["latestSince"] == {"N": "1773489600007"}
    assert from_item(to_item(lease)) == lease


@pytest.mark.parametrize(
    ("change", "trouble"),
    [
        ({"checkpoint": None}, "checkpoint is missing"),
        ({"leaseCounter": None}, "leaseCounter is missing"),
        ({"checkpoint": {"S": "BEGINNING"}}, "no sequence number"),
        ({"checkpoint": {"S": ""}}, "no sequence number"),
        ({"checkpoint": {"N": "5"}}, "checkpoint is"),
        ({"leaseCounter": {"N": "1.5"}}, "1.5"),
        ({"leaseCounter": {"S": "5"}}, "leaseCounter is"),
        ({"checkpointSubSequenceNumber": {"S": "x"}}, "checkpointSubSequenceNumber is"),
        ({"leaseOwner": {"NULL": True}}, "leaseOwner is"),
        ({"parentShardId": {"L": [{"S": "a"}]}}, "parentShardId is"),
        ({"startingHashKey": {"S": "first"}}, "first"),
        ({"latestSince": {"N": "9" * 30}}, ""),
    ],
)
def test_a_row_that_cannot_be_understood_is_a_lease_in_trouble(change: dict[str, Any], trouble: str) -> None:
    item = {name: value for name, value in (ROW_IN_USE | change).items() if value is not None}
    lease = from_item(item)
    assert lease.shard_id == ROW_IN_USE["leaseKey"]["S"]
    assert lease.trouble is not None
    assert trouble in lease.trouble


def test_attributes_of_other_versions_are_tolerated() -> None:
    extra = {"entityType": {"S": "LEASE"}, "sup": {"N": "1"}, "pendingCheckpointState": {"N": "0"}, "new": {"M": {}}}
    assert from_item(ROW_IN_USE | extra) == from_item(ROW_IN_USE)


def test_leading_zeros_are_kept() -> None:
    item = NEW_ROW | {"checkpoint": {"S": "000" + NUMBER}}
    assert to_item(from_item(item))["checkpoint"] == {"S": "000" + NUMBER}
