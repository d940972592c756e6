"""The writes of the tracker's items: each on condition of its version, alone or many in one transaction."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from events import SeenEvents, joined
from foundation.error_codes import reason_codes
from producers.tracking.item import KEPT, NEVER_SEEN, TimelineFull, TrackedOrder, to_item

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import PutTypeDef

# Items of one transaction (AWS DynamoDB API reference).
MOST_TOGETHER = 100


def moved_on(there: TrackedOrder, more: SeenEvents) -> TrackedOrder:
    """The order with these events too, as its next version; the same one where it knows all of them."""
    known = joined(there.known, more)
    if known == there.known:
        return there
    expires_at = max((one.arrived_at for one in more.events), default=NEVER_SEEN) + KEPT
    return replace(there, known=known, version=there.version + 1, expires_at=max(there.expires_at, expires_at))


class OrderItems:
    """Writes orders to the DynamoDB table `table`, where their items are the versions before. Safe for threads."""

    def __init__(self, client: "DynamoDBClient", table: str) -> None:
        self._client = client
        self._table = table

    def put(self, order: TrackedOrder) -> bool:
        """False when the item is not as it was read. An answer that was lost looks like that too, and is read again.

        Raises `TimelineFull`.
        """
        try:
            self._client.put_item(**self._put_of(order))
        except self._client.exceptions.ConditionalCheckFailedException:
            return False
        return True

    def put_together(self, orders: Sequence[TrackedOrder]) -> Sequence[TrackedOrder]:
        """Those of them that were written. The others are to be put alone, where DynamoDB says what it has against one.

        A transaction takes twice the write units of single writes.
        """
        parts = (orders[first : first + MOST_TOGETHER] for first in range(0, len(orders), MOST_TOGETHER))
        return [order for part in parts for order in self._in_one_transaction(part)]

    def _in_one_transaction(self, orders: Sequence[TrackedOrder]) -> Sequence[TrackedOrder]:
        """Tried a second time without those that the first answer refuses."""
        puts: list[tuple[TrackedOrder, PutTypeDef]] = []
        for order in orders:
            with suppress(TimelineFull):
                puts.append((order, self._put_of(order)))
        for _ in range(2):
            if not puts:
                break
            try:
                self._client.transact_write_items(TransactItems=[{"Put": put} for _, put in puts])
            except ClientError as error:
                # guarantee: an order that is refused keeps no other one of its transaction from being stored
                puts = [one for one, why in zip(puts, reason_codes(error), strict=False) if why == "None"]
            else:
                return [order for order, _ in puts]
        return []

    def _put_of(self, order: TrackedOrder) -> "PutTypeDef":
        put: PutTypeDef = {
            "TableName": self._table,
            "Item": to_item(order),
            "ConditionExpression": "attribute_not_exists(order_id)",
        }
        if order.version > 1:
            # guarantee: what two trackers see of an order is joined
            put["ConditionExpression"] = "version = :before"
            put["ExpressionAttributeValues"] = {":before": {"N": str(order.version - 1)}}
        return put
