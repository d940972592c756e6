"""The states of subscribers in DynamoDB, each stored together with the outcome of the event that moved it on."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Protocol

from consumers.processing import Unavailable
from consumers.steps.answers import Outcome, nothing
from consumers.steps.outcomes import Happening, Identified, happening, own_name
from foundation.clock import Clock, Wait
from foundation.dynamodb import LeftUnread, batch_get
from foundation.error_codes import reason_codes

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import AttributeValueTypeDef, PutTypeDef, UniversalAttributeValueTypeDef

_REFUSED = "ConditionalCheckFailed"
# Why a transaction is to be tried anew from what is stored now.
_MET_ANOTHER = frozenset({_REFUSED, "TransactionConflict"})


class Conflict(Exception):
    """The state is not the one that was read any more, or another transaction has it in hand."""


@dataclass(frozen=True)
class Stored:
    """A state's bytes and version; None and 0 before its first event."""

    data: bytes | None
    version: int


class States(Protocol):
    """The states of one application, by key, and the outcomes of the events that moved them on. Safe for threads."""

    def get(self, key: str) -> Stored:
        """As it is now, read consistently."""

    def recall(self, heard: Sequence[Identified]) -> dict[Happening, bytes]:
        """The outcomes known of these events. Raises `Unavailable` when not all of them could be read."""

    def commit(self, key: str, version: int, state: bytes, heard: Identified, outcome: Outcome) -> bytes:
        """Stores state and outcome, both or none; answers with the outcome that stands, the first of this event.

        Raises `Conflict` when the state's version is another one.
        """


class DynamoDBStates:
    """States in one table, outcomes in that of all consumers.

    That an event was heard is kept for as long as its state, without an end; what followed from it, which may hold a
    customer's address, for `keep` only: by then it is long on the stream.
    """

    def __init__(
        self,
        client: "DynamoDBClient",
        states_table: str,
        outcomes_table: str,
        application: str,
        *,
        keep: timedelta,
        clock: Clock,
        wait: Wait,
    ) -> None:
        self._client = client
        self._states_table = states_table
        self._outcomes_table = outcomes_table
        self._application = application
        self._keep = keep
        self._clock = clock
        self._wait = wait

    def get(self, key: str) -> Stored:
        answer = self._client.get_item(
            TableName=self._states_table, Key={"state_id": {"S": self._state_id(key)}}, ConsistentRead=True
        )
        if "Item" not in answer:
            return Stored(None, 0)
        return Stored(bytes(answer["Item"]["state"]["B"]), int(answer["Item"]["version"]["N"]))

    def recall(self, heard: Sequence[Identified]) -> dict[Happening, bytes]:
        names = {self._heard_id(event): event for event in heard}
        keys: list[dict[str, UniversalAttributeValueTypeDef]] = [
            {"outcome_id": {"S": one}} for name in names for one in (name, _followed_id(name))
        ]
        try:
            items = batch_get(self._client, self._outcomes_table, keys, what="outcomes", wait=self._wait)
        except LeftUnread as error:
            raise Unavailable(str(error)) from error
        found = {item["outcome_id"]["S"]: item for item in items}
        return {
            happening(event): bytes(found[_followed_id(name)]["outcome"]["B"])
            if _followed_id(name) in found
            else nothing(event.order_id)
            for name, event in names.items()
            if name in found
        }

    def commit(self, key: str, version: int, state: bytes, heard: Identified, outcome: Outcome) -> bytes:
        name = self._heard_id(heard)
        # guarantee: an event counts once in a state
        puts: list[PutTypeDef] = [
            {
                "TableName": self._outcomes_table,
                "Item": {"outcome_id": {"S": name}},
                "ConditionExpression": "attribute_not_exists(outcome_id)",
            },
            {
                "TableName": self._states_table,
                "Item": {
                    "state_id": {"S": self._state_id(key)},
                    "state": {"B": state},
                    "version": {"N": str(version + 1)},
                },
                "ConditionExpression": "attribute_not_exists(state_id)",
            },
        ]
        if version:
            # guarantee: a state moves on from the version that was read
            puts[1]["ConditionExpression"] = "version = :read"
            puts[1]["ExpressionAttributeValues"] = {":read": {"N": str(version)}}
        if outcome.follows:
            expires_at = int((self._clock.now() + self._keep).timestamp())
            followed: dict[str, AttributeValueTypeDef] = {
                "outcome_id": {"S": _followed_id(name)},
                "outcome": {"B": outcome.data},
                "expires_at": {"N": str(expires_at)},
            }
            puts.append({"TableName": self._outcomes_table, "Item": followed})
        try:
            self._client.transact_write_items(TransactItems=[{"Put": put} for put in puts])
        except self._client.exceptions.TransactionConflictException as error:
            raise Conflict from error
        except self._client.exceptions.TransactionCanceledException as error:
            reasons = reason_codes(error)
            if reasons[:1] == (_REFUSED,):
                # Another holder was first, or our own answer was lost: either way what is stored stands.
                return self.recall([heard])[happening(heard)]
            if _MET_ANOTHER.isdisjoint(reasons):
                raise
            raise Conflict from error
        return outcome.data

    def _state_id(self, key: str) -> str:
        return state_id(self._application, key)

    def _heard_id(self, event: Identified) -> str:
        return f"{self._application}/{own_name(event)}"


def state_id(application: str, key: str) -> str:
    return f"{application}/{key}"


def forget_state(client: "DynamoDBClient", states_table: str, application: str, key: str) -> bool:
    """Removes a state; answers whether there was one. That its events were heard stays known."""
    gone = client.delete_item(
        TableName=states_table, Key={"state_id": {"S": state_id(application, key)}}, ReturnValues="ALL_OLD"
    )
    return bool(gone.get("Attributes"))


def _followed_id(heard_id: str) -> str:
    return f"{heard_id}/follows"
