"""Marks that every process sees at once: sign-in links that were redeemed, and restaurants that a person has opened.

They lie in the table of outcomes, whose items expire. Nothing personal is in them: a digest, or a restaurant's id.
"""

import hashlib
import uuid
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


class RedeemedLinks(Protocol):
    """The sign-in links that were used."""

    def redeem(self, link: str, until: datetime) -> bool:
        """Whether this is the first use of the link. It need not be remembered behind `until`."""


class OpenedRestaurants(Protocol):
    """The restaurants whose page a person has open, signed in."""

    def open(self, restaurant_id: str, until: datetime) -> None:
        """A person has it open, until then or until it is closed."""

    def close(self, restaurant_id: str) -> None:
        """Nobody has it open any more."""

    def is_open(self, restaurant_id: str, now: datetime) -> bool:
        """Whether a person has it open."""


class MarksTable:
    """`RedeemedLinks` and `OpenedRestaurants` in the DynamoDB table `table`, whose key is `outcome_id`."""

    def __init__(self, client: "DynamoDBClient", table: str) -> None:
        self._client = client
        self._table = table

    def redeem(self, link: str, until: datetime) -> bool:
        name, attempt = f"sign-in/{hashlib.sha256(link.encode()).hexdigest()}", uuid.uuid4().hex
        try:
            self._client.put_item(
                TableName=self._table,
                Item={
                    "outcome_id": {"S": name},
                    "attempt": {"S": attempt},
                    "expires_at": {"N": str(int(until.timestamp()) + 1)},
                },
                # guarantee: a sign-in link works once, whichever process it comes to
                ConditionExpression="attribute_not_exists(outcome_id)",
            )
        except self._client.exceptions.ConditionalCheckFailedException:
            # boto3 sends again what it heard no answer to: then the mark that is there is this attempt's own.
            there = self._client.get_item(TableName=self._table, Key={"outcome_id": {"S": name}}, ConsistentRead=True)
            return there.get("Item", {}).get("attempt", {}).get("S") == attempt
        return True

    def open(self, restaurant_id: str, until: datetime) -> None:
        expires_at = {"N": str(int(until.timestamp()))}
        self._client.put_item(
            TableName=self._table, Item={"outcome_id": {"S": _opened(restaurant_id)}, "expires_at": expires_at}
        )

    def close(self, restaurant_id: str) -> None:
        self._client.delete_item(TableName=self._table, Key={"outcome_id": {"S": _opened(restaurant_id)}})

    def is_open(self, restaurant_id: str, now: datetime) -> bool:
        there = self._client.get_item(
            TableName=self._table, Key={"outcome_id": {"S": _opened(restaurant_id)}}, ConsistentRead=True
        )
        # DynamoDB takes its time to remove what has expired.
        return "Item" in there and int(there["Item"]["expires_at"]["N"]) > now.timestamp()


def _opened(restaurant_id: str) -> str:
    return f"opened/{restaurant_id}"
