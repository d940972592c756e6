"""The lease table: each operation is one conditional write, so of two workers that both try only one succeeds.

After a refused write the row is read again: when it shows our own write, only the answer to it had been lost.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from consumers.engines.worker.leases import lease as row
from consumers.engines.worker.leases.lease import (
    Lease,
    checkpoint_item,
    from_item,
    is_lease,
    latest_since_item,
    to_item,
)
from consumers.engines.worker.leases.note import NOTE, Note, note_item
from consumers.engines.worker.leases.table_making import make_table
from foundation.clock import Wait
from foundation.error_codes import error_code
from foundation.kinesis import Position, Sentinel

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

# The Date header of an answer has whole seconds.
_DATE_PRECISION = timedelta(seconds=1)


class LeaseTable:
    """The leases of one application, seen by one worker. Errors of DynamoDB itself are the caller's to wait out."""

    def __init__(self, client: "DynamoDBClient", name: str, worker_id: str) -> None:
        self._client = client
        self._name = name
        self.worker_id = worker_id
        self._answered_at: datetime | None = None

    def create(self, wait: Wait) -> bool:
        """Creates the table if there is none, and waits until it can be used; False when the wait was cut short."""
        return make_table(self._client, self._name, wait)

    def list(self) -> dict[str, Lease]:
        """Every lease by shard id, those in trouble too; rows of the KCL's coordinator are passed over."""
        leases: list[Lease] = []
        for page in self._client.get_paginator("scan").paginate(TableName=self._name, ConsistentRead=True):
            leases += [from_item(item) for item in page["Items"] if is_lease(item)]
            self._answered_at = _date(page["ResponseMetadata"])
        return row.by_shard(leases)

    def latest_since(self, now: datetime) -> datetime:
        """Since when a lease that we make or take now is on LATEST: `now`, unless our clock is ahead of AWS'.

        Then it is the last answer to `list`: Kinesis knows no record of the future, and those of the present are ours.
        """
        ahead = self._answered_at is not None and now > self._answered_at + _DATE_PRECISION
        return self._answered_at if ahead and self._answered_at is not None else now

    def add(self, lease: Lease) -> bool:
        """Puts a new lease there; False when there is one already."""
        try:
            self._client.put_item(
                TableName=self._name, Item=to_item(lease), ConditionExpression=f"attribute_not_exists({row.KEY})"
            )
        except ClientError as error:
            if not _is_refused(error):
                raise
            return False
        return True

    def begin_anew(self, lease: Lease, anew: Lease) -> bool:
        """Puts another lease in this one's place, for anybody to take; False when somebody wrote it since it was read.

        Its holder, if it has one, learns at its next write that it has lost it.
        """
        try:
            self._client.put_item(
                TableName=self._name,
                Item=to_item(replace(anew, counter=lease.counter + 1)),
                ConditionExpression="leaseCounter = :seen",
                ExpressionAttributeValues={":seen": {"N": str(lease.counter)}},
            )
        except ClientError as error:
            if not _is_refused(error):
                raise
            return False
        return True

    def take(self, lease: Lease, now: datetime, creation: str | None = None) -> Lease | None:
        """Ours from now on, if nobody wrote it since it was read; None when somebody did.

        A row that does not say which stream of the name it is of is of the one there is, of this `creation`.

        A lease that stands on LATEST without saying since when, as the KCL makes them, does so since `now`.
        """
        change = "SET leaseOwner = :me, leaseCounter = :next"
        values = {":me": {"S": self.worker_id}, **_step(lease.counter)}
        if lease.checkpoint is Sentinel.LATEST and lease.latest_since is None:
            change += ", latestSince = :now"
            values[":now"] = latest_since_item(self.latest_since(now))
        if lease.creation is None and creation is not None:
            change += f", {row.CREATION} = :creation"
            values[":creation"] = {"S": creation}
        change += " REMOVE checkpointOwner"
        if lease.holder not in {None, self.worker_id}:
            change += " ADD ownerSwitchesSinceCheckpoint :one"
            values[":one"] = {"N": "1"}
        return self._update(lease, change, "leaseCounter = :seen", values)

    def ask_for(self, lease: Lease) -> bool:
        """Asks its holder to hand it over to us; False when it is another's by now, or somebody else has asked.

        The counter stays: it is the holder's, who learns of this from its next write, and reads on until then.
        """
        change = "SET leaseOwner = :me, checkpointOwner = :holder"
        condition = "leaseOwner = :holder AND attribute_not_exists(checkpointOwner)"
        names = {":me": {"S": self.worker_id}, ":holder": {"S": lease.owner}}
        if self._write(lease, change, condition, names) is not None:
            return True
        found = self._read(lease)
        return found is not None and (found.owner, found.checkpoint_owner) == (self.worker_id, lease.owner)

    def renew(self, lease: Lease, throughput: float | None = None, note: Note | None = None) -> Lease | None:
        """The heartbeat. None when the lease is lost; one that we are asked for is still ours, and says so.

        `throughput`, in KB a second, is what the KCL's leader weighs workers by.
        """
        change, values = "SET leaseCounter = :next", _step(lease.counter)
        if throughput is not None:
            change += ", throughputKBps = :throughput"
            values[":throughput"] = {"N": f"{throughput:.6f}"}
        change += _noted(note, values)
        condition = "leaseCounter = :seen"
        if lease.checkpoint_owner is None:
            condition += " AND attribute_not_exists(checkpointOwner)"
        written = self._write(lease, change, condition, values)
        if written is not None:
            return written
        found = self._read(lease)
        if found is None or found.holder != self.worker_id:
            return None
        if found.counter == lease.counter + 1:
            return found
        asked_for_since = found.counter == lease.counter and lease.checkpoint_owner is None
        return self.renew(found, throughput, note) if asked_for_since and found.checkpoint_owner else None

    def checkpoint(
        self, lease: Lease, position: Position, children: Iterable[str] = (), note: Note | None = None
    ) -> Lease | None:
        """Writes the position, and the children of a finished shard; None, and nothing written, when the lease is lost.

        The condition is the counter alone: whoever took the lease has moved it. A lease that comes back with another
        position is as an earlier write of ours left it, whose answer was lost: then this one is still to be done.
        """
        place = checkpoint_item(position)
        change = (
            "SET checkpoint = :checkpoint, checkpointSubSequenceNumber = :sub, leaseCounter = :next, "
            "ownerSwitchesSinceCheckpoint = :zero"
        )
        values = {
            ":checkpoint": place[row.CHECKPOINT],
            ":sub": place[row.SUB_CHECKPOINT],
            ":zero": {"N": "0"},
            **_step(lease.counter),
        }
        if children := sorted(children):
            change += ", childShardIds = :children"
            values[":children"] = {"SS": children}
        change += _noted(note, values)
        change += f" REMOVE {', '.join(row.PENDING)}"
        return self._update(lease, change, "leaseCounter = :seen", values)

    def evict(self, lease: Lease) -> bool:
        """Lets the lease go for anybody to take at once; False when it is not ours any more, or we are asked for it."""
        condition = "leaseOwner = :me AND attribute_not_exists(checkpointOwner)"
        values = {":me": {"S": self.worker_id}, ":one": {"N": "1"}}
        if self._write(lease, "REMOVE leaseOwner ADD leaseCounter :one", condition, values) is not None:
            return True
        found = self._read(lease)
        return found is not None and found.holder is None and found.counter == lease.counter + 1

    def hand_over(self, lease: Lease) -> bool:
        """Gives the lease to who asked for it. True when that one has it now, False when it is neither's nor ours."""
        condition = "leaseOwner = :next_owner AND checkpointOwner = :me"
        values = {":next_owner": {"S": lease.owner}, ":me": {"S": self.worker_id}, ":one": {"N": "1"}}
        change = "REMOVE checkpointOwner ADD leaseCounter :one, ownerSwitchesSinceCheckpoint :one"
        if self._write(lease, change, condition, values) is not None:
            return True
        found = self._read(lease)
        return found is not None and (found.owner, found.checkpoint_owner) == (lease.owner, None)

    def withdraw(self, lease: Lease) -> None:
        """Takes back that we asked for it; if it was handed over by now, lets it go."""
        condition = "leaseOwner = :me AND checkpointOwner = :holder"
        values = {":me": {"S": self.worker_id}, ":holder": {"S": lease.checkpoint_owner}}
        if self._write(lease, "SET leaseOwner = :holder REMOVE checkpointOwner", condition, values) is None:
            self.evict(lease)

    def note(self, shard_id: str, note: Note) -> None:
        """Notes how a shard stands whose lease another process holds; nothing where there is no such lease."""
        try:
            self._client.update_item(
                TableName=self._name,
                Key={row.KEY: {"S": shard_id}},
                UpdateExpression=f"SET {NOTE} = :note",
                ConditionExpression=f"attribute_exists({row.KEY})",
                ExpressionAttributeValues={":note": note_item(note)},
            )
        except ClientError as error:
            if not _is_refused(error):
                raise

    def delete(self, lease: Lease) -> None:
        """Removes a finished lease, unless somebody wrote it since it was read."""
        try:
            self._client.delete_item(
                TableName=self._name,
                Key={row.KEY: {"S": lease.shard_id}},
                ConditionExpression="leaseCounter = :seen",
                ExpressionAttributeValues={":seen": {"N": str(lease.counter)}},
            )
        except ClientError as error:
            if not _is_refused(error):
                raise

    def _update(self, lease: Lease, change: str, condition: str, values: dict[str, Any]) -> Lease | None:
        written = self._write(lease, change, condition, values)
        return written if written is not None else self._own_write(lease)

    def _write(self, lease: Lease, change: str, condition: str, values: dict[str, Any]) -> Lease | None:
        try:
            answer = self._client.update_item(
                TableName=self._name,
                Key={row.KEY: {"S": lease.shard_id}},
                UpdateExpression=change,
                # guarantee: a lease is written only by the worker that saw its last counter
                ConditionExpression=condition,
                ExpressionAttributeValues=values,
                ReturnValues="ALL_NEW",
            )
        except ClientError as error:
            if not _is_refused(error):
                raise
            return None
        return self._understood(answer["Attributes"])

    def _own_write(self, lease: Lease) -> Lease | None:
        found = self._read(lease)
        ours = found is not None and found.holder == self.worker_id and found.counter == lease.counter + 1
        return found if ours else None

    def _read(self, lease: Lease) -> Lease | None:
        answer = self._client.get_item(TableName=self._name, Key={row.KEY: {"S": lease.shard_id}}, ConsistentRead=True)
        return self._understood(answer["Item"]) if "Item" in answer else None

    def _understood(self, item: Mapping[str, Any]) -> Lease:
        lease = from_item(item)
        if lease.trouble is not None:
            raise ValueError(f"{self._name}, {lease.shard_id}: {lease.trouble}. fix: repair or remove that row")
        return lease


def _step(counter: int) -> dict[str, Any]:
    return {":seen": {"N": str(counter)}, ":next": {"N": str(counter + 1)}}


def _noted(note: Note | None, values: dict[str, Any]) -> str:
    """One more assignment for a change that begins with SET."""
    if note is None:
        return ""
    values[":note"] = note_item(note)
    return f", {NOTE} = :note"


def _date(metadata: Mapping[str, Any]) -> datetime | None:
    """By the clock of who answered; None when the answer does not tell, or tells what no time can be read from.

    So two dates in one header, which a proxy may add its own to, do not stop a worker.
    """
    try:
        told = parsedate_to_datetime(metadata.get("HTTPHeaders", {}).get("date", ""))
    except ValueError:
        return None
    return told if told.tzinfo else None


def _is_refused(error: ClientError) -> bool:
    return error_code(error) == "ConditionalCheckFailedException"
