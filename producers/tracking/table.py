"""Orders as the tracker knows them, in a DynamoDB table: written on condition of their version, read by many keys."""

from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING

from events import OrderState, SeenEvents
from foundation.clock import Wait
from foundation.dynamodb import batch_get
from producers.tracking.deadlines import Deadline, settling
from producers.tracking.item import (
    PARTS,
    OrderUnreadable,
    TrackedOrder,
    from_item,
    micros,
    moment,
    placed_of,
)
from producers.tracking.pages import Page, Part, page_of, position_of
from producers.tracking.writes import OrderItems, moved_on

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import QueryInputTypeDef

    from producers.tracking.item import Item

# Each conflict is another's write that worked, so a few are enough for two writers.
MOST_TRIES = 20
DUE_KEYS = range(PARTS)
# So many orders of a part are looked at for a page of those in one state.
MOST_LOOKED_AT = 400
# The parts of all orders, by which those that are open are asked for.
OPEN_KEYS = range(PARTS)
_CUSTOMER, _RESTAURANT, _ALL, _DUE, _OPEN = "customer", "restaurant", "all", "due", "open"


class Contested(Exception):
    """Others wrote the order again and again, between our reading it and writing it."""


@dataclass(frozen=True)
class DueOrder:
    """`due_at` is the soonest deadline of what the order waits for."""

    order_id: str
    due_at: datetime


@dataclass(frozen=True)
class OpenOrder:
    """An order that has no end, or of which a step is still to come."""

    order_id: str
    state: OrderState
    placed_at: datetime


class TrackedOrders:
    """All orders, in the DynamoDB table `table`, whose key is `order_id`. Safe for threads.

    `speed` is that of simulated people. Lists are those of indexes: eventually consistent.
    """

    def __init__(self, client: "DynamoDBClient", table: str, *, speed: float, wait: Wait) -> None:
        self._client = client
        self._table = table
        self._speed = speed
        self._wait = wait
        self._items = OrderItems(client, table)

    def get(self, order_id: str) -> TrackedOrder | None:
        """Raises `OrderUnreadable`."""
        answer = self._client.get_item(TableName=self._table, Key={"order_id": {"S": order_id}}, ConsistentRead=True)
        return from_item(answer["Item"], self._speed) if "Item" in answer else None

    def get_many(self, order_ids: Collection[str], *, consistent: bool = True) -> dict[str, TrackedOrder]:
        """Those of them that there are and can be read. Raises `LeftUnread` when not all could be asked for."""
        keys = [{"order_id": {"S": order_id}} for order_id in dict.fromkeys(order_ids)]
        items = batch_get(
            self._client, self._table, keys, what="tracked orders", wait=self._wait, consistent=consistent
        )
        orders: dict[str, TrackedOrder] = {}
        for item in items:
            # guarantee: an item that is no order keeps no other order from being read
            with suppress(OrderUnreadable):
                order = from_item(item, self._speed)
                orders[order.order_id] = order
        return orders

    def join(self, order_id: str, more: SeenEvents, there: TrackedOrder | None = None) -> TrackedOrder:
        """Adds these events to what is known of the order; answers with what is stored then.

        `there` is what was read of it, if it was. Nothing is written where all is known. Raises `TimelineFull`,
        `OrderUnreadable` and `Contested`.
        """
        for _ in range(MOST_TRIES):
            there = there or TrackedOrder(order_id, speed=self._speed)
            order = moved_on(there, more)
            if order is there or self._items.put(order):
                return order
            there = self.get(order_id)
        raise _contested(order_id)

    def join_many(
        self, more: Mapping[str, SeenEvents], there: Mapping[str, TrackedOrder]
    ) -> Mapping[str, TrackedOrder]:
        """As `join` for each of these orders, by transactions; answers with those that are stored by them.

        They take twice the write units of single writes, and a fifth of the time or less. What has to be judged by
        itself is left out, to be joined alone: an order that another wrote meanwhile, or that DynamoDB refuses.
        """
        orders = []
        for order_id, events in more.items():
            known = there.get(order_id) or TrackedOrder(order_id, speed=self._speed)
            order = moved_on(known, events)
            if order is not known:
                orders.append(order)
        stored = self._items.put_together(orders)
        return {order.order_id: order for order in stored}

    def settle(self, order: TrackedOrder, done: Sequence[Deadline]) -> tuple[Deadline, ...]:
        """Notes that something was done about these deadlines of an order; answers with those that are news.

        Others' writes in between stay. Of two that settle one deadline at once, one hears that it is news; neither
        does where the answer to the write was lost. Raises `Contested`.
        """
        there: TrackedOrder | None = order
        for _ in range(MOST_TRIES):
            if there is None:
                return ()
            settled = settling(there.settled, done)
            if settled == there.settled:
                return ()
            known = there.settled
            if self._items.put(replace(there, settled=settled, version=there.version + 1)):
                return tuple(one for one in done if settling(known, [one]) != known)
            there = self.get(order.order_id)
        raise _contested(order.order_id)

    def of_customer(
        self, customer_id: str, *, limit: int, state: OrderState | None = None, cursor: str | None = None
    ) -> Page:
        return self._page(_CUSTOMER, "customer_id", [{"S": customer_id}], limit, state, cursor)

    def of_restaurant(
        self, restaurant_id: str, *, limit: int, state: OrderState | None = None, cursor: str | None = None
    ) -> Page:
        return self._page(_RESTAURANT, "restaurant_id", [{"S": restaurant_id}], limit, state, cursor)

    def all(self, *, limit: int, state: OrderState | None = None, cursor: str | None = None) -> Page:
        parts = [{"N": str(part)} for part in range(PARTS)]
        return self._page(_ALL, "all_key", parts, limit, state, cursor)

    def due(self, key: int, before: datetime, limit: int) -> Sequence[DueOrder]:
        """At most `limit` orders that wait for something that was due before then, the longest overdue first.

        Of one of the `DUE_KEYS` parts of all orders; as an index knows them.
        """
        pages = self._client.get_paginator("query").paginate(
            TableName=self._table,
            IndexName=_DUE,
            KeyConditionExpression="due_key = :key AND due_at < :before",
            ExpressionAttributeValues={":key": {"N": str(key)}, ":before": {"N": micros(before)}},
            PaginationConfig={"MaxItems": limit, "PageSize": limit},
        )
        found = [item for page in pages for item in page["Items"]]
        return [DueOrder(item["order_id"]["S"], moment(item["due_at"]["N"])) for item in found]

    def open(self, key: int) -> tuple[Sequence[OpenOrder], bool]:
        """Orders of one of the `OPEN_KEYS` parts that are open, the oldest first, and whether there are more.

        One query, which answers a mebibyte at the most, some 7,000 orders; as an index knows them.
        """
        found = self._client.query(
            TableName=self._table,
            IndexName=_OPEN,
            KeyConditionExpression="open_key = :key",
            ExpressionAttributeValues={":key": {"N": str(key)}},
        )
        orders = [
            OpenOrder(
                item["order_id"]["S"],
                item["state"]["S"],  # type: ignore[arg-type]
                placed_of(item["listed_as"]["S"]),
            )
            for item in found["Items"]
        ]
        return orders, "LastEvaluatedKey" in found

    def forget_customer(self, customer_id: str, *, but: Collection[str] = ()) -> int:
        """Removes all orders of a customer, as the index knows them, except those named; answers how many."""
        asked = self._client.get_paginator("query").paginate(
            TableName=self._table,
            IndexName=_CUSTOMER,
            KeyConditionExpression="customer_id = :customer",
            ExpressionAttributeValues={":customer": {"S": customer_id}},
        )
        names = [item["order_id"]["S"] for page in asked for item in page["Items"]]
        removed = [name for name in names if name not in but]
        for name in removed:
            self._client.delete_item(TableName=self._table, Key={"order_id": {"S": name}})
        return len(removed)

    def remove_unreadable(self) -> int:
        """Removes the items that are no orders, to be made anew; answers how many. Reads all of the table."""
        pages = self._client.get_paginator("scan").paginate(
            TableName=self._table, FilterExpression="attribute_not_exists(read_until)", ConsistentRead=True
        )
        unreadable = [item for page in pages for item in page["Items"] if not _is_order(item)]
        for item in unreadable:
            self._client.delete_item(TableName=self._table, Key={"order_id": item["order_id"]})
        return len(unreadable)

    def _page(
        self,
        index: str,
        key: str,
        values: "Sequence[dict[str, str]]",
        limit: int,
        state: OrderState | None,
        cursor: str | None,
    ) -> Page:
        """Raises `BadCursor`."""
        before = position_of(cursor) if cursor else None
        return page_of([self._part(index, key, value, limit, state, before) for value in values], limit)

    def _part(
        self, index: str, key: str, value: dict[str, str], limit: int, state: OrderState | None, before: str | None
    ) -> Part:
        # guarantee: a page looks at a bounded number of orders
        looked_at = MOST_LOOKED_AT if state else limit
        query: QueryInputTypeDef = {
            "TableName": self._table,
            "IndexName": index,
            "KeyConditionExpression": f"{key} = :key" + (" AND listed_as < :before" if before else ""),
            "ExpressionAttributeValues": {":key": value, **({":before": {"S": before}} if before else {})},
            "ScanIndexForward": False,
            "Limit": looked_at,
        }
        if state:
            query["FilterExpression"] = "#state = :state"
            query["ExpressionAttributeNames"] = {"#state": "state"}
            query["ExpressionAttributeValues"] = {**query["ExpressionAttributeValues"], ":state": {"S": state}}
        found = self._client.query(**query)
        last = found.get("LastEvaluatedKey")
        return Part(found["Items"], last["listed_as"]["S"] if last else None)


def _is_order(item: "Item") -> bool:
    try:
        from_item(item, 1.0)
    except OrderUnreadable:
        return False
    return True


def _contested(order_id: str) -> Contested:
    return Contested(
        f"order {order_id} was written by others {MOST_TRIES} times in a row. fix: find out how many trackers "
        "read one shard; it is tried again"
    )
