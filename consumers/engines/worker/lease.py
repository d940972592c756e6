"""The right to read one shard, as the row that the Kinesis Client Library keeps for it, item for item."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from consumers.records import Position, Sentinel, SequenceNumber

# https://github.com/awslabs/amazon-kinesis-client, leases/dynamodb/DynamoDBLeaseSerializer.java
KEY = "leaseKey"
OWNER = "leaseOwner"
COUNTER = "leaseCounter"
CHECKPOINT = "checkpoint"
SUB_CHECKPOINT = "checkpointSubSequenceNumber"
OWNER_SWITCHES = "ownerSwitchesSinceCheckpoint"
PARENTS = "parentShardId"
CHILDREN = "childShardIds"
FIRST_HASH_KEY = "startingHashKey"
LAST_HASH_KEY = "endingHashKey"
CHECKPOINT_OWNER = "checkpointOwner"
PENDING = ("pendingCheckpoint", "pendingCheckpointSubSequenceNumber", "pendingCheckpointState")

# From KCL 3.5 on the table also holds its coordinator's rows; a lease there says LEASE, and an older one nothing.
ENTITY = "entityType"
LEASE = "LEASE"

Item = dict[str, Any]


@dataclass(frozen=True)
class HashKeyRange:
    """The hash keys of a shard, both ends included."""

    first: int
    last: int

    def __contains__(self, hash_key: int) -> bool:
        return self.first <= hash_key <= self.last


@dataclass(frozen=True)
class Lease:
    """`counter` grows with every write: it is the lock and the heartbeat. No time is kept in the table.

    `checkpoint_owner` is set only while the KCL hands the lease over, and is then who still holds it.
    """

    shard_id: str
    checkpoint: Position
    counter: int = 0
    owner: str | None = None
    owner_switches: int = 0
    parents: frozenset[str] = frozenset()
    children: frozenset[str] = frozenset()
    hash_keys: HashKeyRange | None = None
    checkpoint_owner: str | None = None

    @property
    def holder(self) -> str | None:
        return self.checkpoint_owner or self.owner

    @property
    def finished(self) -> bool:
        return self.checkpoint is Sentinel.SHARD_END


def to_item(lease: Lease) -> Item:
    """The row of a new lease. DynamoDB has no empty sets and the KCL no empty owners: what is not there is left out."""
    item: Item = {
        KEY: {"S": lease.shard_id},
        COUNTER: {"N": str(lease.counter)},
        OWNER_SWITCHES: {"N": str(lease.owner_switches)},
        **checkpoint_item(lease.checkpoint),
    }
    if lease.owner:
        item[OWNER] = {"S": lease.owner}
    if lease.checkpoint_owner:
        item[CHECKPOINT_OWNER] = {"S": lease.checkpoint_owner}
    if lease.parents:
        item[PARENTS] = {"SS": sorted(lease.parents)}
    if lease.children:
        item[CHILDREN] = {"SS": sorted(lease.children)}
    if lease.hash_keys:
        item[FIRST_HASH_KEY] = {"S": str(lease.hash_keys.first)}
        item[LAST_HASH_KEY] = {"S": str(lease.hash_keys.last)}
    return item


def checkpoint_item(position: Position) -> Item:
    """The two attributes of a position; a sentinel is its own name."""
    if isinstance(position, SequenceNumber):
        return {CHECKPOINT: {"S": position.number}, SUB_CHECKPOINT: {"N": str(position.sub)}}
    return {CHECKPOINT: {"S": position.value}, SUB_CHECKPOINT: {"N": "0"}}


def position_text(position: Position) -> str:
    """A position for people: the name the table has for it, with the place inside an aggregate."""
    return position.value if isinstance(position, Sentinel) else str(position)


def from_item(item: Mapping[str, Any]) -> Lease:
    """A row that `is_lease`. Attributes that we do not use are tolerated, and our updates leave them as they are."""
    return Lease(
        shard_id=item[KEY]["S"],
        checkpoint=_position(item),
        counter=int(item[COUNTER]["N"]),
        owner=item.get(OWNER, {}).get("S"),
        owner_switches=int(item.get(OWNER_SWITCHES, {}).get("N", "0")),
        parents=frozenset(item.get(PARENTS, {}).get("SS", ())),
        children=frozenset(item.get(CHILDREN, {}).get("SS", ())),
        hash_keys=_hash_keys(item),
        checkpoint_owner=item.get(CHECKPOINT_OWNER, {}).get("S"),
    )


def is_lease(item: Mapping[str, Any]) -> bool:
    return bool(item.get(ENTITY, {"S": LEASE})["S"] == LEASE)


def by_shard(leases: Iterable[Lease]) -> dict[str, Lease]:
    return {lease.shard_id: lease for lease in leases}


def _position(item: Mapping[str, Any]) -> Position:
    text = item[CHECKPOINT]["S"]
    if text in Sentinel.__members__:
        return Sentinel[text]
    return SequenceNumber(text, int(item.get(SUB_CHECKPOINT, {}).get("N", "0")))


def _hash_keys(item: Mapping[str, Any]) -> HashKeyRange | None:
    if FIRST_HASH_KEY not in item or LAST_HASH_KEY not in item:
        return None
    return HashKeyRange(int(item[FIRST_HASH_KEY]["S"]), int(item[LAST_HASH_KEY]["S"]))
