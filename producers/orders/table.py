"""The orders API's own table in DynamoDB: one item an order, written under conditions, with notes in its history.

Conditional writes answer with the order as it is stored afterwards, so one whose answer was lost is recognised as done.
The write that stores an event marks its order as pending; the one that notes the last acknowledgement takes that off.
"""

import zlib
from collections.abc import Collection, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Protocol, cast

from botocore.exceptions import ClientError

from events import TRANSITION_BY, Event, OrderExpired, OrderPlaced, decoded
from foundation.clock import Wait, uninterrupted_wait
from foundation.dynamodb import batch_get
from producers.orders.commands import Order, Performed

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import AttributeValueTypeDef, UniversalAttributeValueTypeDef

    Item = Mapping[str, AttributeValueTypeDef]


class Orders(Protocol):
    """Where the orders API keeps its orders."""

    def create(self, order: Order) -> Order:
        """Stores a new order. Answers with what is stored under its id now: this order, or an earlier one."""

    def get(self, order_id: str) -> Order | None:
        """The order, as the last finished write left it."""

    def get_many(self, order_ids: Collection[str]) -> dict[str, Order]:
        """Those of them that there are, each as `get` has it."""

    def advance(self, order: Order, performed: Performed[Event]) -> Order:
        """Adds `performed` to the order unless the stored one has left `order.state`; answers with what is stored.

        The same write holds the event's own time against the order's `accept_by`.
        """

    def note_acknowledged(self, order: Order, performed: Performed[Event]) -> Order:
        """Notes that the event of `performed`, one of the order's, is on the stream. Again is harmless.

        Answers with `order` so noted. When that is acknowledged whole, and is all there is, it is pending no more.
        """

    def settle(self, order: Order) -> bool:
        """Takes an order that is acknowledged whole off those that are pending, if it is all there is; says whether."""

    def pending(self, key: int, before: datetime, limit: int) -> Sequence[str]:
        """Ids of at most `limit` orders with events that were stored before then and are not known to be on the stream.

        The longest pending first, of one of the `PENDING_KEYS` parts of all orders; as an index knows them: an order
        of the last second may be missing, and one that is settled may be among them.
        """


class OrderVanished(Exception):
    """An item that a condition just proved to exist cannot be read: somebody deletes from the table."""


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# The index of the table whose key is a customer's id.
CUSTOMERS_INDEX = "customer_id"
# The index that has pending orders alone: its key is one of `PENDING_KEYS`, so that no single one takes all writes.
PENDING_INDEX = "pending"
PENDING_KEYS = 16


class OrdersTable:
    """`Orders` in the DynamoDB table `table`, whose key is `order_id`."""

    def __init__(self, client: "DynamoDBClient", table: str, *, wait: Wait | None = None) -> None:
        self._client = client
        self._table = table
        self._wait = wait or uninterrupted_wait()

    def create(self, order: Order) -> Order:
        try:
            self._client.put_item(
                TableName=self._table,
                Item=_item(order),
                ConditionExpression="attribute_not_exists(order_id)",
            )
        except self._client.exceptions.ConditionalCheckFailedException as error:
            return self._stored(order.order_id, error)
        return order

    def get(self, order_id: str) -> Order | None:
        answer = self._client.get_item(TableName=self._table, Key={"order_id": {"S": order_id}}, ConsistentRead=True)
        return _order(answer["Item"]) if "Item" in answer else None

    def get_many(self, order_ids: Collection[str]) -> dict[str, Order]:
        keys = [{"order_id": {"S": order_id}} for order_id in dict.fromkeys(order_ids)]
        items = batch_get(self._client, self._table, keys, what="orders", wait=self._wait)
        return {order.order_id: order for order in map(_order, items)}

    def advance(self, order: Order, performed: Performed[Event]) -> Order:
        advanced = order.after(performed)
        in_time, values = _in_time(performed)
        try:
            # No command leads back to an earlier state, so an unchanged state is an unchanged order.
            self._client.update_item(
                TableName=self._table,
                Key={"order_id": {"S": order.order_id}},
                # guarantee: an event is stored with the mark that has it published
                UpdateExpression=(
                    "SET #state = :state, history = list_append(history, :performed), "
                    "pending_key = :key, pending_since = if_not_exists(pending_since, :since)"
                ),
                # guarantee: one event leads an order on, and none comes too late
                ConditionExpression=f"#state = :expected{in_time}",
                ExpressionAttributeNames={"#state": "state"},
                ExpressionAttributeValues={
                    ":state": {"S": advanced.state},
                    ":expected": {"S": order.state},
                    ":performed": {"L": [_performed_item(performed)]},
                    ":key": _pending_key(order.order_id),
                    ":since": {"N": _micros(performed.envelope.occurred_at)},
                    **values,
                },
            )
        except self._client.exceptions.ConditionalCheckFailedException as error:
            return self._stored(order.order_id, error)
        return advanced

    def note_acknowledged(self, order: Order, performed: Performed[Event]) -> Order:
        noted, place = order.acknowledging(performed), order.history.index(performed)
        # One write notes and settles: every order comes here with each of its events.
        if not (noted.is_acknowledged and self._settle(noted, noting=place)):
            # No condition: a history only grows, so a place in it is always the same command's.
            self._client.update_item(
                TableName=self._table,
                Key={"order_id": {"S": order.order_id}},
                UpdateExpression=_note(place),
                ExpressionAttributeValues={":yes": {"BOOL": True}},
            )
        return noted

    def settle(self, order: Order) -> bool:
        return order.is_acknowledged and self._settle(order)

    def _settle(self, order: Order, *, noting: int | None = None) -> bool:
        """Takes the mark off, unless the stored order has more than is seen here; notes one place by the same write."""
        # guarantee: what nobody has noted keeps its order pending
        noted = [f" AND history[{place}].acknowledged = :yes" for place in range(len(order.history)) if place != noting]
        try:
            self._client.update_item(
                TableName=self._table,
                Key={"order_id": {"S": order.order_id}},
                UpdateExpression=f"{'' if noting is None else _note(noting)} REMOVE pending_key, pending_since",
                # guarantee: an order is pending until all of it is acknowledged
                ConditionExpression=f"size(history) = :events{''.join(noted)}",
                ExpressionAttributeValues={":events": {"N": str(len(order.history))}, ":yes": {"BOOL": True}},
            )
        except self._client.exceptions.ConditionalCheckFailedException:
            return False
        return True

    def pending(self, key: int, before: datetime, limit: int) -> Sequence[str]:
        found = self._client.query(
            TableName=self._table,
            IndexName=PENDING_INDEX,
            KeyConditionExpression="pending_key = :key AND pending_since < :before",
            ExpressionAttributeValues={":key": {"N": str(key)}, ":before": {"N": _micros(before)}},
            Limit=limit,
        )
        return [item["order_id"]["S"] for item in found["Items"]]

    def of_customer(self, customer_id: str) -> "Iterator[Order]":
        """All orders of a customer, as the index knows them: one of the last second may be missing."""
        asked = self._client.get_paginator("query").paginate(
            TableName=self._table,
            IndexName=CUSTOMERS_INDEX,
            KeyConditionExpression="customer_id = :customer",
            ExpressionAttributeValues={":customer": {"S": customer_id}},
        )
        for page in asked:
            for item in page["Items"]:
                order = self.get(item["order_id"]["S"])
                if order is not None:
                    yield order

    def remove(self, order: Order) -> bool:
        """Removes the order for good, unless a command has changed it since it was read; says whether it is gone."""
        try:
            # guarantee: an order that goes on is not removed
            self._client.delete_item(
                TableName=self._table,
                Key={"order_id": {"S": order.order_id}},
                ConditionExpression="attribute_not_exists(order_id) OR size(history) = :commands",
                ExpressionAttributeValues={":commands": {"N": str(len(order.history))}},
            )
        except self._client.exceptions.ConditionalCheckFailedException:
            return False
        return True

    def _stored(self, order_id: str, refused: ClientError) -> Order:
        """Read by a call of its own: asked for it with the refusal, LocalStack fails on binary values."""
        stored = self.get(order_id)
        if stored is None:
            raise OrderVanished(
                f"order {order_id} is gone from {self._table}. fix: find what deletes from that table"
            ) from refused
        return stored


def _in_time(performed: Performed[Event]) -> "tuple[str, dict[str, UniversalAttributeValueTypeDef]]":
    """What the write asks of `accept_by`: an answer comes before it, an expiry not. An old order has none."""
    event = type(performed.envelope.event)
    if TRANSITION_BY[event].before != TRANSITION_BY[OrderExpired].before:
        return "", {}
    at: dict[str, UniversalAttributeValueTypeDef] = {":at": {"N": _micros(performed.envelope.occurred_at)}}
    if event is OrderExpired:
        return " AND accept_by <= :at", at
    return " AND (attribute_not_exists(accept_by) OR accept_by > :at)", at


def _micros(moment: datetime) -> str:
    """Since the epoch: DynamoDB compares numbers, and knows no times."""
    return str((moment - _EPOCH) // timedelta(microseconds=1))


def _note(place: int) -> str:
    return f"SET history[{place}].acknowledged = :yes"


def _item(order: Order) -> "dict[str, UniversalAttributeValueTypeDef]":
    accept_by = order.placed.accept_by
    item: dict[str, UniversalAttributeValueTypeDef] = {
        "order_id": {"S": order.order_id},
        "state": {"S": order.state},
        **({"accept_by": {"N": _micros(accept_by)}} if accept_by else {}),
        "restaurant_id": {"S": order.placed.restaurant_id},
        "customer_id": {"S": order.placed.customer_id},
        "history": {"L": [_performed_item(performed) for performed in order.history]},
    }
    # guarantee: an order is placed with the mark that has it published
    return item | {
        "pending_key": _pending_key(order.order_id),
        "pending_since": {"N": _micros(order.placing.envelope.occurred_at)},
    }


def pending_key(order_id: str) -> int:
    """Which of the `PENDING_KEYS` parts of the index an order is in while it is pending."""
    return zlib.crc32(order_id.encode()) % PENDING_KEYS


def _pending_key(order_id: str) -> "UniversalAttributeValueTypeDef":
    return {"N": str(pending_key(order_id))}


def _performed_item(performed: Performed[Event]) -> "UniversalAttributeValueTypeDef":
    """As it is stored before it is published: the very bytes, so that a repeat publishes the same ones."""
    return {"M": {"fingerprint": {"S": performed.fingerprint}, "envelope": {"B": performed.encoded.data}}}


def _order(item: "Item") -> Order:
    placing, *later = [
        Performed(
            entry["M"]["fingerprint"]["S"],
            decoded(bytes(entry["M"]["envelope"]["B"])),
            acknowledged="acknowledged" in entry["M"],
        )
        for entry in item["history"]["L"]
    ]
    return Order(_placing(placing), tuple(later))


def _placing(first: Performed[Event]) -> Performed[OrderPlaced]:
    if not isinstance(first.envelope.event, OrderPlaced):
        raise TypeError(
            f"order {first.envelope.order_id} begins with {first.envelope.event_type}, not with its placing"
        )
    return cast("Performed[OrderPlaced]", first)
