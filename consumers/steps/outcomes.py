"""Remembered outcomes: what a step already told about an event, so that hearing it again repeats no effect."""

import hashlib
from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Protocol

import msgspec

from consumers.processing import Unavailable
from events import Event, EventEnvelope
from foundation.clock import Clock, Wait
from foundation.dynamodb import LeftUnread, batch_get

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import UniversalAttributeValueTypeDef


class IdempotencyStore(Protocol):
    """Outcomes by the `event_id` heard, for one application."""

    def recall(self, event_ids: Sequence[str]) -> dict[str, bytes]:
        """The outcomes known for these events. Raises `Unavailable` when not all of them could be read."""

    def remember(self, event_id: str, outcome: bytes) -> bytes:
        """Stores the outcome unless there is one; answers with the one that stands, the first."""


Happening = tuple[str, str]
"""An event as it is remembered: its order's id and its own. A foreign producer may give two orders one `event_id`."""


class Identified(Protocol):
    """An event's envelope, or its header."""

    @property
    def order_id(self) -> str: ...

    @property
    def event_id(self) -> str: ...


def happening(event: Identified) -> Happening:
    return event.order_id, event.event_id


def recalled(store: IdempotencyStore, heard: Iterable[Identified]) -> dict[Happening, bytes]:
    """The outcomes known of these events."""
    heard = list(heard)
    stored = store.recall([event.event_id for event in heard])
    known: dict[Happening, bytes] = {}
    others: dict[str, Happening] = {}
    for event in heard:
        outcome = stored.get(event.event_id)
        if outcome is None:
            continue
        # guarantee: an outcome that names another order is none
        if _is_of(outcome, event):
            known[happening(event)] = outcome
        else:
            others[own_name(event)] = happening(event)
    if others:
        known |= {others[name]: outcome for name, outcome in store.recall(list(others)).items()}
    return known


def remembered(store: IdempotencyStore, event: EventEnvelope[Event], outcome: bytes) -> bytes:
    """The outcome of this event that stands: the first one of its order."""
    stands = store.remember(event.event_id, outcome)
    # guarantee: the second order of an event id has an outcome of its own
    if _is_of(stands, event):
        return stands
    return store.remember(own_name(event), outcome)


class _Named(msgspec.Struct, frozen=True):
    order_id: str


def _is_of(outcome: bytes, event: Identified) -> bool:
    """One that cannot be read is held to be: whoever looks at it is told."""
    try:
        return msgspec.json.decode(outcome, type=_Named).order_id == event.order_id
    except msgspec.DecodeError:
        return True


def own_name(event: Identified) -> str:
    """A name of this order's event alone, whatever `event_id` others have. Longer than any `event_id` may be."""
    return f"order-{hashlib.sha512(msgspec.json.encode(happening(event))).hexdigest()}"


class DynamoDBOutcomes:
    """Outcomes in one table that all applications share; each lives for `keep`, then DynamoDB's TTL removes it.

    `keep` must be longer than the stream's retention plus the age at which dead letters are still redriven.
    """

    def __init__(
        self, client: "DynamoDBClient", table: str, application: str, *, keep: timedelta, clock: Clock, wait: Wait
    ) -> None:
        self._client = client
        self._table = table
        self._application = application
        self._keep = keep
        self._clock = clock
        self._wait = wait

    def recall(self, event_ids: Sequence[str]) -> dict[str, bytes]:
        return self._recall(list(dict.fromkeys(event_ids)))

    def remember(self, event_id: str, outcome: bytes) -> bytes:
        expires_at = int((self._clock.now() + self._keep).timestamp())
        try:
            self._client.put_item(
                TableName=self._table,
                Item={
                    "outcome_id": {"S": self._key(event_id)},
                    "outcome": {"B": outcome},
                    "expires_at": {"N": str(expires_at)},
                },
                ConditionExpression="attribute_not_exists(outcome_id)",
            )
        except self._client.exceptions.ConditionalCheckFailedException:
            # Another holder was first, or our own answer was lost: either way what is stored stands.
            return self._recall((event_id,))[event_id]
        return outcome

    def _recall(self, event_ids: Sequence[str]) -> dict[str, bytes]:
        names = {self._key(event_id): event_id for event_id in event_ids}
        keys: list[dict[str, UniversalAttributeValueTypeDef]] = [{"outcome_id": {"S": name}} for name in names]
        try:
            items = batch_get(self._client, self._table, keys, what="outcomes", wait=self._wait)
        except LeftUnread as error:
            raise Unavailable(str(error)) from error
        return {names[item["outcome_id"]["S"]]: bytes(item["outcome"]["B"]) for item in items}

    def _key(self, event_id: str) -> str:
        return f"{self._application}/{event_id}"
