"""Makes an application's lease table, as the KCL would, and waits until it can be used."""

from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from consumers.engines.worker.leases import lease
from foundation.clock import Wait
from foundation.error_codes import error_code

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

# The KCL looks for its leases by owner through this index, and waits minutes for it when it is missing.
OWNER_INDEX = "LeaseOwnerToLeaseKeyIndex"
_USABLE = ("ACTIVE", "UPDATING")
_ACTIVE_POLL_SECONDS = 1.0


def make_table(client: "DynamoDBClient", name: str, wait: Wait) -> bool:
    """Creates it if there is none; False when the wait was cut short before it could be used."""
    while (status := _status(client, name)) not in _USABLE:
        if status is None and _create(client, name):
            continue
        if wait(_ACTIVE_POLL_SECONDS):
            return False
    return True


def _status(client: "DynamoDBClient", name: str) -> str | None:
    try:
        return client.describe_table(TableName=name)["Table"]["TableStatus"]
    except ClientError as error:
        if error_code(error) != "ResourceNotFoundException":
            raise
        return None


def _create(client: "DynamoDBClient", name: str) -> bool:
    """False when another worker was quicker."""
    try:
        client.create_table(
            TableName=name,
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[
                {"AttributeName": lease.KEY, "AttributeType": "S"},
                {"AttributeName": lease.OWNER, "AttributeType": "S"},
            ],
            KeySchema=[{"AttributeName": lease.KEY, "KeyType": "HASH"}],
            GlobalSecondaryIndexes=[
                {
                    "IndexName": OWNER_INDEX,
                    "KeySchema": [
                        {"AttributeName": lease.OWNER, "KeyType": "HASH"},
                        {"AttributeName": lease.KEY, "KeyType": "RANGE"},
                    ],
                    "Projection": {"ProjectionType": "KEYS_ONLY"},
                }
            ],
        )
    except ClientError as error:
        if error_code(error) != "ResourceInUseException":
            raise
        return False
    return True
