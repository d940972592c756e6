"""The right to read one shard, as the row that the Kinesis Client Library keeps for it, item for item."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from consumers.engines.worker.leases.note import Note, note_of
from foundation.kinesis import HashKeyRange, Position, Sentinel, SequenceNumber

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

# Rows of a KCL application that reads several streams name theirs, as account:stream:creation, and so does their key.
STREAM = "streamName"

# Ours alone, in milliseconds since 1970. The KCL reads the attributes that it knows and leaves others as they are.
LATEST_SINCE = "latestSince"

# Ours as well: which of the streams of its name the row's position is of, and whether an earlier one was read before.
CREATION = "streamCreation"
MADE_ANEW = "streamMadeAnew"

# From KCL 3.5 on the table also holds its coordinator's rows; a lease there says LEASE, and an older one nothing.
ENTITY = "entityType"
LEASE = "LEASE"

Item = dict[str, Any]
ValueT = TypeVar("ValueT")

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Lease:
    """`counter` grows with every write of its holder: it is the lock and the heartbeat.

    `checkpoint_owner` is set only while the lease is handed over: it still holds it, and `owner` is who comes next.
    `latest_since` is when a lease on LATEST was made or first taken: what came later is to be read, crash or not.
    `stream` is the stream that the row names, where it names one. `creation` says which of the streams of our stream's
    name the position is of, where that is known, and `made_anew` that it is not the first one read here.
    `trouble` says why the row cannot be understood; such a lease is left alone, and so are its shard's children.
    `note` is for those who look on, and decides nothing.
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
    latest_since: datetime | None = None
    stream: str | None = None
    creation: str | None = None
    made_anew: bool = False
    trouble: str | None = None
    note: Note | None = field(default=None, compare=False)

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
    if lease.latest_since:
        item[LATEST_SINCE] = latest_since_item(lease.latest_since)
    if lease.creation:
        item[CREATION] = {"S": lease.creation}
    if lease.made_anew:
        item[MADE_ANEW] = {"BOOL": True}
    return item


def latest_since_item(moment: datetime) -> Item:
    return {"N": str((moment - _EPOCH) // timedelta(milliseconds=1))}


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
    try:
        return Lease(
            shard_id=item[KEY]["S"],
            checkpoint=_position(item),
            counter=int(_needed(COUNTER, _value(item, COUNTER, "N", str))),
            owner=_value(item, OWNER, "S", str),
            owner_switches=int(_value(item, OWNER_SWITCHES, "N", str) or "0"),
            parents=frozenset(_value(item, PARENTS, "SS", list) or ()),
            children=frozenset(_value(item, CHILDREN, "SS", list) or ()),
            hash_keys=_hash_keys(item),
            checkpoint_owner=_value(item, CHECKPOINT_OWNER, "S", str),
            latest_since=_latest_since(item),
            stream=_stream(item),
            creation=_value(item, CREATION, "S", str),
            made_anew=bool(_value(item, MADE_ANEW, "BOOL", bool)),
            note=note_of(item),
        )
    except (ValueError, OverflowError) as error:
        return Lease(item[KEY]["S"], Sentinel.TRIM_HORIZON, stream=_stream(item), trouble=str(error))


def is_lease(item: Mapping[str, Any]) -> bool:
    return ENTITY not in item or item[ENTITY] == {"S": LEASE}


def by_shard(leases: Iterable[Lease]) -> dict[str, Lease]:
    return {lease.shard_id: lease for lease in leases}


def _position(item: Mapping[str, Any]) -> Position:
    text = _needed(CHECKPOINT, _value(item, CHECKPOINT, "S", str))
    if text in Sentinel.__members__:
        return Sentinel[text]
    if not (text.isascii() and text.isdecimal()):
        raise ValueError(f"{CHECKPOINT} is {text!r}, which is no sequence number")
    return SequenceNumber(text, int(_value(item, SUB_CHECKPOINT, "N", str) or "0"))


def _stream(item: Mapping[str, Any]) -> str | None:
    named: str = item.get(STREAM, {}).get("S") or item[KEY]["S"].rpartition(":")[0]
    _, _, stream_and_creation = named.partition(":")
    return stream_and_creation.rpartition(":")[0] or named or None


def _hash_keys(item: Mapping[str, Any]) -> HashKeyRange | None:
    first, last = _value(item, FIRST_HASH_KEY, "S", str), _value(item, LAST_HASH_KEY, "S", str)
    return None if first is None or last is None else HashKeyRange(int(first), int(last))


def _latest_since(item: Mapping[str, Any]) -> datetime | None:
    millis = _value(item, LATEST_SINCE, "N", str)
    return None if millis is None else _EPOCH + timedelta(milliseconds=int(millis))


def _value(item: Mapping[str, Any], name: str, kind: str, python_type: type[ValueT]) -> ValueT | None:
    """An attribute of DynamoDB's type `kind`; None when the row has none of that name."""
    if name not in item:
        return None
    value = item[name].get(kind)
    if not isinstance(value, python_type):
        raise ValueError(f"{name} is {item[name]!r}, and should be of DynamoDB's type {kind}")  # noqa: TRY004 - a bad row
    return value


def _needed(name: str, value: ValueT | None) -> ValueT:
    if value is None:
        raise ValueError(f"{name} is missing")
    return value
