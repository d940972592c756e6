"""How far the tracker has read each shard, by arrival time: an item a shard, beside those of the orders."""

from collections.abc import Collection
from datetime import datetime
from typing import TYPE_CHECKING

from foundation.clock import Wait
from foundation.dynamodb import batch_get
from producers.tracking.item import KEPT, micros, moment

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

# Longer than an order's id can be, so that none is taken for an order or stands in its place.
_PREFIX = "how far the tracker has read, by arrival time ".ljust(129, ".") + " "


class ReadShards:
    """In the tracker's own table, `table`. Safe for threads."""

    def __init__(self, client: "DynamoDBClient", table: str, *, wait: Wait) -> None:
        self._client = client
        self._table = table
        self._wait = wait

    def note(self, shard_id: str, until: datetime) -> None:
        """All that had come into the shard by then is stored. What is noted already, and later, stays."""
        try:
            self._client.put_item(
                TableName=self._table,
                Item={
                    "order_id": {"S": _PREFIX + shard_id},
                    "read_until": {"N": micros(until)},
                    "expires_at": {"N": str(int((until + KEPT).timestamp()))},
                },
                # guarantee: what was read of a shard only grows
                ConditionExpression="attribute_not_exists(order_id) OR read_until < :until",
                ExpressionAttributeValues={":until": {"N": micros(until)}},
            )
        except self._client.exceptions.ConditionalCheckFailedException:
            # Another holder of the shard was further, or this one was given an older record again.
            return

    def until(self, shard_ids: Collection[str]) -> datetime | None:
        """Up to when all of these shards are read; None where one of them is not begun.

        Raises `LeftUnread` when that could not be asked of all of them.
        """
        keys = [{"order_id": {"S": _PREFIX + shard_id}} for shard_id in shard_ids]
        items = batch_get(self._client, self._table, keys, what="shards of the tracker", wait=self._wait)
        noted = [moment(item["read_until"]["N"]) for item in items]
        # guarantee: a shard that the tracker has not begun is not read
        return min(noted) if noted and len(noted) == len(shard_ids) else None
