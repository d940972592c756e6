"""Many items of a DynamoDB table by their keys, however few of them it gives at a time."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from foundation.backoff import pause_after
from foundation.clock import Wait

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import AttributeValueTypeDef, UniversalAttributeValueTypeDef

# BatchGetItem: at most 100 items a request (AWS DynamoDB API reference).
MAX_KEYS_PER_READ = 100
# So many reads that bring nothing, within 3 s, and the caller is told.
_MAX_EMPTY_READS = 6
_FIRST_PAUSE_SECONDS = 0.1


class LeftUnread(Exception):
    """DynamoDB gave some of the items, and again and again not the others."""


def batch_get(
    client: "DynamoDBClient",
    table: str,
    keys: Sequence["Mapping[str, UniversalAttributeValueTypeDef]"],
    *,
    what: str,
    wait: Wait,
    consistent: bool = True,
) -> list["Mapping[str, AttributeValueTypeDef]"]:
    """The items that there are, in no order; `what` they are called. Raises `LeftUnread` when not all could be read."""
    found: list[Mapping[str, AttributeValueTypeDef]] = []
    for start in range(0, len(keys), MAX_KEYS_PER_READ):
        wanted: Sequence[Mapping[str, UniversalAttributeValueTypeDef]] = keys[start : start + MAX_KEYS_PER_READ]
        in_vain = 0
        while wanted:
            answer = client.batch_get_item(RequestItems={table: {"Keys": wanted, "ConsistentRead": consistent}})
            found += answer["Responses"].get(table, [])
            unprocessed = answer["UnprocessedKeys"].get(table)
            left = list(unprocessed["Keys"]) if unprocessed else []
            in_vain = in_vain + 1 if len(left) == len(wanted) else 1
            wanted = left
            # guarantee: unprocessed keys are not asked for without end
            if left and (in_vain == _MAX_EMPTY_READS or wait(pause_after(in_vain, first=_FIRST_PAUSE_SECONDS))):
                raise LeftUnread(
                    f"DynamoDB left {len(left)} {what} in {table} unread, {in_vain} times in a row. "
                    "fix: give the table more read capacity, if it lasts"
                )
    return found
