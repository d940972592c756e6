"""The tracker's DynamoDB table in memory: conditional, and able to let another writer come first."""

import threading
from collections.abc import Callable, Sequence
from typing import Any

from botocore.exceptions import ClientError, EndpointConnectionError

from foundation.clock import Wait
from producers.tracking import ReadShards, TrackedOrders


class ConditionalCheckFailedException(Exception):
    """What boto3 makes of the refusal."""


class _Exceptions:
    ConditionalCheckFailedException = ConditionalCheckFailedException


class FakeTrackerTable:
    """A client of DynamoDB. `before_put` is called with an order's id before each write; orders that are `down` cannot
    be written. Transactions are refused as a whole with the code `refuses_together`, if there is one.
    """

    exceptions = _Exceptions()

    def __init__(self) -> None:
        self.items: dict[str, Any] = {}
        self.before_put: Callable[[str], None] = lambda _: None
        self.queries: list[Any] = []
        self.writes = 0
        self.reads = 0
        self.down: set[str] = set()
        self.unread = False
        self.refuses_together: str | None = None
        self.transactions: list[list[str]] = []
        self._lock = threading.RLock()

    def orders(self, *, speed: float = 1.0, wait: Wait = lambda _: False) -> TrackedOrders:
        client: Any = self
        return TrackedOrders(client, "tracker", speed=speed, wait=wait)

    def shards(self) -> ReadShards:
        client: Any = self
        return ReadShards(client, "tracker", wait=lambda _: False)

    def get_item(self, *, TableName: str, Key: Any, ConsistentRead: bool) -> Any:  # noqa: N803 - boto3's names
        assert TableName
        assert ConsistentRead
        self._read()
        with self._lock:
            item = self.items.get(Key["order_id"]["S"])
            return {"Item": item} if item else {}

    def batch_get_item(self, *, RequestItems: Any) -> Any:  # noqa: N803
        self._read()
        with self._lock:
            [(table, asked)] = RequestItems.items()
            names = [key["order_id"]["S"] for key in asked["Keys"]]
            assert len(names) == len(set(names)) <= 100
            found = [self.items[name] for name in names if name in self.items]
            return {"Responses": {table: found}, "UnprocessedKeys": {}}

    def put_item(self, **put: Any) -> None:
        name = put["Item"]["order_id"]["S"]
        if name in self.down:
            raise EndpointConnectionError(endpoint_url="http://tracker")
        self.before_put(name)
        with self._lock:
            if not self._holds(put):
                raise ConditionalCheckFailedException
            self.items[name] = put["Item"]
            self.writes += 1

    def transact_write_items(self, *, TransactItems: Any) -> None:  # noqa: N803
        """All or none of the puts, as DynamoDB says it: a reason for each of them."""
        puts = [item["Put"] for item in TransactItems]
        names = [put["Item"]["order_id"]["S"] for put in puts]
        assert len(names) == len(set(names)) <= 100
        for name in names:
            self.before_put(name)
        if self.refuses_together:
            raise _refusal(self.refuses_together)
        with self._lock:
            whys = [
                "ThrottlingError" if name in self.down else "None" if self._holds(put) else "ConditionalCheckFailed"
                for name, put in zip(names, puts, strict=True)
            ]
            if set(whys) != {"None"}:
                raise _refusal("TransactionCanceledException", whys)
            self.items |= {name: put["Item"] for name, put in zip(names, puts, strict=True)}
        self.transactions.append(names)

    def _holds(self, put: Any) -> bool:
        there, values = self.items.get(put["Item"]["order_id"]["S"]), put.get("ExpressionAttributeValues", {})
        if "version = :before" in put["ConditionExpression"]:
            return there is not None and bool(there["version"] == values[":before"])
        if "read_until < :until" in put["ConditionExpression"]:
            return there is None or int(there["read_until"]["N"]) < int(values[":until"]["N"])
        return "attribute_not_exists(order_id)" not in put["ConditionExpression"] or there is None

    def delete_item(self, *, TableName: str, Key: Any) -> None:  # noqa: N803
        assert TableName
        with self._lock:
            self.items.pop(Key["order_id"]["S"], None)

    def get_paginator(self, operation: str) -> "FakeTrackerTable":
        assert operation in {"query", "scan"}
        return self

    def paginate(self, *, IndexName: str = "", ExpressionAttributeValues: Any = None, **how: Any) -> Any:  # noqa: N803
        """The orders of a customer, or those that are due, or without an index all, one a page."""
        values = ExpressionAttributeValues
        with self._lock:
            if not IndexName:
                assert how["FilterExpression"] == "attribute_not_exists(read_until)"
                found = [item for item in self.items.values() if "read_until" not in item]
            elif IndexName == "customer":
                found = [item for item in self.items.values() if item.get("customer_id") == values[":customer"]]
            else:
                of_key = [item for item in self.items.values() if item.get("due_key") == values[":key"]]
                due = [item for item in of_key if int(item["due_at"]["N"]) < int(values[":before"]["N"])]
                found = sorted(due, key=lambda item: int(item["due_at"]["N"]))[: how["PaginationConfig"]["MaxItems"]]
            return [{"Items": [item]} for item in found]

    def query(self, **query: Any) -> Any:
        """The orders of a key, or of the part of all of them, the newest first; as an index has them, by pages."""
        self._read()
        self.queries.append(query)
        values, name = query["ExpressionAttributeValues"], query["KeyConditionExpression"].partition(" ")[0]
        before, state = values.get(":before", {"S": "~"})["S"], values.get(":state")
        with self._lock:
            behind = sorted(
                (one for one in self.items.values() if one.get(name) == values[":key"] and _at(one) < before),
                key=_at,
                reverse=True,
            )
        if query["IndexName"] == "open":
            behind.reverse()
        looked_at = behind[: query.get("Limit")]
        shown = [one for one in looked_at if state in (None, one["state"])]
        return {"Items": shown, **({"LastEvaluatedKey": looked_at[-1]} if len(behind) > len(looked_at) else {})}

    def _read(self) -> None:
        self.reads += 1
        if self.unread:
            raise EndpointConnectionError(endpoint_url="http://tracker")


def _at(item: Any) -> str:
    return str(item["listed_as"]["S"])


def _refusal(code: str, whys: Sequence[str] = ()) -> ClientError:
    answer: Any = {"Error": {"Code": code}, "CancellationReasons": [{"Code": why} for why in whys]}
    return ClientError(answer, "TransactWriteItems")
