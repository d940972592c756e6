"""The lease table: each operation is one conditional write, so of two workers that both try only one succeeds.

After a refused write the row is read again: when it shows our own write, only the answer to it had been lost.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from consumers.engines.worker import lease as row
from consumers.engines.worker.lease import Lease, checkpoint_item, from_item, is_lease, to_item
from consumers.records import Position
from foundation.clock import Wait

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

# The KCL looks for its leases by owner through this index, and waits minutes for it when it is missing.
OWNER_INDEX = "LeaseOwnerToLeaseKeyIndex"
_USABLE = ("ACTIVE", "UPDATING")
_ACTIVE_POLL_SECONDS = 1.0


class LeaseTable:
    """The leases of one application, seen by one worker. Errors of DynamoDB itself are the caller's to wait out."""

    def __init__(self, client: "DynamoDBClient", name: str, worker_id: str) -> None:
        self._client = client
        self._name = name
        self.worker_id = worker_id

    def create(self, wait: Wait) -> bool:
        """Creates the table if there is none, and waits until it can be used; False when the wait was cut short."""
        while (status := self._status()) not in _USABLE:
            if status is None and self._create_table():
                continue
            if wait(_ACTIVE_POLL_SECONDS):
                return False
        return True

    def list(self) -> dict[str, Lease]:
        """Every lease by shard id; rows of the KCL's coordinator are passed over."""
        pages = self._client.get_paginator("scan").paginate(TableName=self._name, ConsistentRead=True)
        return row.by_shard(from_item(item) for page in pages for item in page["Items"] if is_lease(item))

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

    def take(self, lease: Lease) -> Lease | None:
        """Ours from now on, if nobody wrote it since it was read; None when somebody did."""
        change = "SET leaseOwner = :me, leaseCounter = :next REMOVE checkpointOwner"
        values = {":me": {"S": self.worker_id}, **_step(lease.counter)}
        if lease.holder not in {None, self.worker_id}:
            change += " ADD ownerSwitchesSinceCheckpoint :one"
            values[":one"] = {"N": "1"}
        return self._update(lease, change, "leaseCounter = :seen", values)

    def renew(self, lease: Lease) -> Lease | None:
        """The heartbeat. None when the lease is lost, also when the KCL's leader wants to hand it over."""
        condition = "leaseCounter = :seen AND attribute_not_exists(checkpointOwner)"
        return self._update(lease, "SET leaseCounter = :next", condition, _step(lease.counter))

    def checkpoint(self, lease: Lease, position: Position, children: Iterable[str] = ()) -> Lease | None:
        """Writes the position, and the children of a finished shard; None, and nothing written, when the lease is lost.

        The condition is the counter alone: whoever took the lease has moved it.
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
        change += f" REMOVE {', '.join(row.PENDING)}"
        written = self._update(lease, change, "leaseCounter = :seen", values)
        if written is not None and written.checkpoint != position:
            # The row shows an earlier write of ours whose answer was lost: this one is still to be done, on top of it.
            return self.checkpoint(written, position, children)
        return written

    def evict(self, lease: Lease) -> bool:
        """Lets the lease go for anybody to take at once; False when it was not ours any more."""
        condition = "leaseOwner = :me AND attribute_not_exists(checkpointOwner)"
        values = {":me": {"S": self.worker_id}, ":one": {"N": "1"}}
        return self._write(lease, "REMOVE leaseOwner ADD leaseCounter :one", condition, values) is not None

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

    def _status(self) -> str | None:
        try:
            return self._client.describe_table(TableName=self._name)["Table"]["TableStatus"]
        except ClientError as error:
            if _code(error) != "ResourceNotFoundException":
                raise
            return None

    def _create_table(self) -> bool:
        """False when another worker was quicker."""
        try:
            self._client.create_table(
                TableName=self._name,
                BillingMode="PAY_PER_REQUEST",
                AttributeDefinitions=[
                    {"AttributeName": row.KEY, "AttributeType": "S"},
                    {"AttributeName": row.OWNER, "AttributeType": "S"},
                ],
                KeySchema=[{"AttributeName": row.KEY, "KeyType": "HASH"}],
                GlobalSecondaryIndexes=[
                    {
                        "IndexName": OWNER_INDEX,
                        "KeySchema": [
                            {"AttributeName": row.OWNER, "KeyType": "HASH"},
                            {"AttributeName": row.KEY, "KeyType": "RANGE"},
                        ],
                        "Projection": {"ProjectionType": "KEYS_ONLY"},
                    }
                ],
            )
        except ClientError as error:
            if _code(error) != "ResourceInUseException":
                raise
            return False
        return True

    def _update(self, lease: Lease, change: str, condition: str, values: dict[str, Any]) -> Lease | None:
        written = self._write(lease, change, condition, values)
        return written if written is not None else self._own_write(lease)

    def _write(self, lease: Lease, change: str, condition: str, values: dict[str, Any]) -> Lease | None:
        try:
            answer = self._client.update_item(
                TableName=self._name,
                Key={row.KEY: {"S": lease.shard_id}},
                UpdateExpression=change,
                ConditionExpression=condition,
                ExpressionAttributeValues=values,
                ReturnValues="ALL_NEW",
            )
        except ClientError as error:
            if not _is_refused(error):
                raise
            return None
        return from_item(answer["Attributes"])

    def _own_write(self, lease: Lease) -> Lease | None:
        answer = self._client.get_item(TableName=self._name, Key={row.KEY: {"S": lease.shard_id}}, ConsistentRead=True)
        if "Item" not in answer:
            return None
        found = from_item(answer["Item"])
        ours = found.holder == self.worker_id and found.counter == lease.counter + 1
        return found if ours else None


def _step(counter: int) -> dict[str, Any]:
    return {":seen": {"N": str(counter)}, ":next": {"N": str(counter + 1)}}


def _code(error: ClientError) -> str:
    return error.response["Error"]["Code"]


def _is_refused(error: ClientError) -> bool:
    return _code(error) == "ConditionalCheckFailedException"
