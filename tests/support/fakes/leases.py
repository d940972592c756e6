"""As much of DynamoDB, in memory, as a lease table needs: conditional writes that are really conditional."""

import copy
import re
from collections import Counter
from collections.abc import Callable
from datetime import datetime
from email.utils import format_datetime
from typing import TYPE_CHECKING, Any, cast

from tests.support.fakes.faults import Service

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

Item = dict[str, Any]

SCANNED_ITEMS = 3  # A page of a scan: small, so that a caller that forgets the next one is found out.


class FakeDynamoDB(Service):
    """Tables with a hash key of text. Conditions are ANDs of `a = :b` and `attribute_[not_]exists(a)`."""

    def __init__(self) -> None:
        super().__init__("dynamodb")
        self.tables: dict[str, dict[str, Item]] = {}
        # What happens just before each call: others may come first.
        self.between: Callable[[], None] = lambda: None
        # By its own clock, when it tells that at all.
        self.date: datetime | None = None
        self._keys: dict[str, str] = {}
        self._looks: Counter[str] = Counter()

    @property
    def client(self) -> "DynamoDBClient":
        return cast("DynamoDBClient", self)

    def known(self, table: str) -> None:
        """The table was made long ago: it is there at the first look."""
        self._looks[table] = 2

    def create_table(self, **parameters: Any) -> Item:
        return self.call("create_table", self._create_table, parameters)

    def describe_table(self, **parameters: Any) -> Item:
        return self.call("describe_table", self._describe_table, parameters)

    def put_item(self, **parameters: Any) -> Item:
        self.between()
        return self.call("put_item", self._put_item, parameters)

    def get_item(self, **parameters: Any) -> Item:
        self.between()
        return self.call("get_item", self._get_item, parameters)

    def update_item(self, **parameters: Any) -> Item:
        self.between()
        return self.call("update_item", self._update_item, parameters)

    def delete_item(self, **parameters: Any) -> Item:
        self.between()
        return self.call("delete_item", self._delete_item, parameters)

    def scan(self, **parameters: Any) -> Item:
        self.between()
        answer = self.call("scan", self._scan, parameters)
        if self.date is not None:
            answer["ResponseMetadata"]["HTTPHeaders"] = {"date": format_datetime(self.date, usegmt=True)}
        return answer

    def get_paginator(self, operation: str) -> "_Scans":
        assert operation == "scan"
        return _Scans(self)

    def _create_table(self, TableName: str, KeySchema: list[Item], **_: Any) -> Item:  # noqa: N803
        if TableName in self.tables:
            raise self.error("create_table", "ResourceInUseException", f"Table already exists: {TableName}")
        self.tables[TableName] = {}
        self._keys[TableName] = KeySchema[0]["AttributeName"]
        return {"TableDescription": {"TableName": TableName, "TableStatus": "CREATING"}}

    def _describe_table(self, TableName: str) -> Item:  # noqa: N803
        """A new table is not there for its first look, being made for its second, and ready after that."""
        self._table("describe_table", TableName)
        self._looks[TableName] += 1
        if self._looks[TableName] == 1:
            raise self.error("describe_table", "ResourceNotFoundException", f"Table: {TableName} not found")
        return {
            "Table": {"TableName": TableName, "TableStatus": "CREATING" if self._looks[TableName] == 2 else "ACTIVE"}
        }

    def _put_item(self, TableName: str, Item: Item, **options: Any) -> Item:  # noqa: N803
        table = self._table("put_item", TableName)
        key = Item[self._keys[TableName]]["S"]
        self._check("put_item", table.get(key, {}), options)
        table[key] = copy.deepcopy(Item)
        return {}

    def _get_item(self, TableName: str, Key: Item, **_: Any) -> Item:  # noqa: N803
        found = self._table("get_item", TableName).get(Key[self._keys[TableName]]["S"])
        return {} if found is None else {"Item": copy.deepcopy(found)}

    def _update_item(self, TableName: str, Key: Item, UpdateExpression: str, **options: Any) -> Item:  # noqa: N803
        table = self._table("update_item", TableName)
        key = Key[self._keys[TableName]]["S"]
        item = copy.deepcopy(table.get(key, dict(Key)))
        self._check("update_item", table.get(key, {}), options)
        values = options.get("ExpressionAttributeValues", {})
        clauses = re.split(r"\b(SET|REMOVE|ADD)\b", UpdateExpression)[1:]
        for kind, body in zip(clauses[::2], clauses[1::2], strict=True):
            for part in (each.strip() for each in body.split(",")):
                _apply(kind, part, item, values)
        table[key] = item
        return {"Attributes": copy.deepcopy(item)}

    def _delete_item(self, TableName: str, Key: Item, **options: Any) -> Item:  # noqa: N803
        table = self._table("delete_item", TableName)
        key = Key[self._keys[TableName]]["S"]
        self._check("delete_item", table.get(key, {}), options)
        table.pop(key, None)
        return {}

    def _scan(self, TableName: str, ExclusiveStartKey: Item | None = None, **_: Any) -> Item:  # noqa: N803
        table = self._table("scan", TableName)
        name = self._keys[TableName]
        start = ExclusiveStartKey[name]["S"] if ExclusiveStartKey else ""
        keys = sorted(key for key in table if key > start)
        page = keys[:SCANNED_ITEMS]
        answer: Item = {"Items": [copy.deepcopy(table[key]) for key in page], "Count": len(page)}
        return answer | ({"LastEvaluatedKey": {name: {"S": page[-1]}}} if len(page) < len(keys) else {})

    def _table(self, operation: str, name: str) -> dict[str, Item]:
        if name not in self.tables:
            raise self.error(operation, "ResourceNotFoundException", f"Table: {name} not found")
        return self.tables[name]

    def _check(self, operation: str, item: Item, options: Item) -> None:
        values = options.get("ExpressionAttributeValues", {})
        for part in (each.strip() for each in options.get("ConditionExpression", "").split(" AND ") if each):
            if not _holds(part, item, values):
                raise self.error(operation, "ConditionalCheckFailedException", "The conditional request failed")


class _Scans:
    def __init__(self, dynamodb: FakeDynamoDB) -> None:
        self._dynamodb = dynamodb

    def paginate(self, **parameters: Any) -> Any:
        while True:
            page = self._dynamodb.scan(**parameters)
            yield page
            if "LastEvaluatedKey" not in page:
                return
            parameters["ExclusiveStartKey"] = page["LastEvaluatedKey"]


def _holds(condition: str, item: Item, values: Item) -> bool:
    if match := re.fullmatch(r"attribute_(not_)?exists\((\w+)\)", condition):
        return (match[2] in item) is (match[1] is None)
    if match := re.fullmatch(r"(\w+) = (:\w+)", condition):
        return bool(item.get(match[1]) == values[match[2]])
    raise AssertionError(f"this fake does not know the condition {condition!r}")


def _apply(kind: str, part: str, item: Item, values: Item) -> None:
    if kind == "REMOVE":
        item.pop(part, None)
    elif kind == "SET":
        name, value = part.split(" = ")
        item[name] = copy.deepcopy(values[value])
    else:
        name, value = part.split()
        total = int(item.get(name, {"N": "0"})["N"]) + int(values[value]["N"])
        item[name] = {"N": str(total)}
