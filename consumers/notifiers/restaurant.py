"""Tells the restaurant about a new order, and that it came to nothing: a ticket over SNS, and its withdrawal.

Hears order_placed and tells restaurant_notified; hears order_cancelled and order_expired and tells ticket_withdrawn.
"""

from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal, cast

import msgspec
from botocore.exceptions import ClientError

from consumers.message_ids import told_id
from consumers.processing import Unavailable, Unprocessable
from events import (
    TRANSITION_BY,
    EventEnvelope,
    Item,
    OrderCancelled,
    OrderExpired,
    OrderPlaced,
    OrderState,
    RestaurantNotified,
    TicketWithdrawn,
)
from foundation.error_codes import error_code

if TYPE_CHECKING:
    from mypy_boto3_sns import SNSClient

    from consumers.settings import ConsumerSettings


def handler(
    settings: "ConsumerSettings", client: Callable[[str], Any]
) -> Callable[[EventEnvelope[OrderPlaced | OrderCancelled | OrderExpired]], RestaurantNotified | TicketWithdrawn]:
    tickets = TicketTopic(client("sns"), settings.ticket_topic)
    return lambda heard: notify_restaurant(heard, tickets)


def notify_restaurant(
    heard: EventEnvelope[OrderPlaced | OrderCancelled | OrderExpired], tickets: "TicketTopic"
) -> RestaurantNotified | TicketWithdrawn:
    event = heard.event
    if isinstance(event, OrderPlaced):
        message_id = tickets.send(ticket(cast("EventEnvelope[OrderPlaced]", heard)))
        return RestaurantNotified(restaurant_id=event.restaurant_id, channel="sns", message_id=message_id)
    message_id = tickets.send(withdrawal(cast("EventEnvelope[OrderCancelled | OrderExpired]", heard)))
    return TicketWithdrawn(restaurant_id=event.restaurant_id, channel="sns", message_id=message_id)


class Ticket(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the kitchen needs to know, and nothing about the customer. A repeated ticket has the same `event_id`.

    It is to be answered before `accept_by`, which orders of an older release do not have.
    """

    event_id: str
    order_id: str
    restaurant_id: str
    placed_at: datetime
    items: tuple[Item, ...]
    total: int
    currency: str
    accept_by: datetime | None = None


class Withdrawal(msgspec.Struct, frozen=True, kw_only=True):
    """The order came to nothing before the restaurant had answered: it is not to be cooked. `kind` is in no ticket."""

    kind: Literal["withdrawal"] = "withdrawal"
    event_id: str
    order_id: str
    restaurant_id: str
    reason: OrderState


def withdrawal(ended: EventEnvelope[OrderCancelled | OrderExpired]) -> Withdrawal:
    return Withdrawal(
        event_id=ended.event_id,
        order_id=ended.order_id,
        restaurant_id=ended.event.restaurant_id,
        reason=TRANSITION_BY[type(ended.event)].state,
    )


def ticket(placed: EventEnvelope[OrderPlaced]) -> Ticket:
    return Ticket(
        event_id=placed.event_id,
        order_id=placed.order_id,
        restaurant_id=placed.event.restaurant_id,
        placed_at=placed.occurred_at,
        items=placed.event.items,
        total=placed.event.total,
        currency=placed.event.currency,
        accept_by=placed.event.accept_by,
    )


# What SNS answers about a ticket itself: https://docs.aws.amazon.com/sns/latest/api/API_Publish.html#API_Publish_Errors
REFUSED_TICKET = frozenset({"InvalidParameter", "InvalidParameterValue", "ParameterValueInvalid"})


class TicketTopic:
    """The SNS topic all restaurants hear.

    By the message attribute `restaurant_id` each filters its own, by `kind` tickets from withdrawals.
    """

    def __init__(self, client: "SNSClient", topic_arn: str) -> None:
        self._client = client
        self._topic_arn = topic_arn

    def send(self, sent: Ticket | Withdrawal) -> str:
        """SNS' message id. Raises `Unprocessable` for a ticket that SNS will never take, as one over 256 KiB."""
        kind = sent.kind if isinstance(sent, Withdrawal) else "ticket"
        attributes = {"restaurant_id": sent.restaurant_id, "event_id": sent.event_id, "kind": kind}
        try:
            answer = self._client.publish(
                TopicArn=self._topic_arn,
                Message=msgspec.json.encode(sent).decode(),
                MessageAttributes={
                    name: {"DataType": "String", "StringValue": value} for name, value in attributes.items()
                },
            )
        except ClientError as error:
            # Never the service's own words: they may quote the ticket.
            code = error_code(error)
            # A topic that is none is no fault of the ticket.
            if code in REFUSED_TICKET and "TopicArn" not in str(error):
                raise Unprocessable(f"SNS refuses the {kind} {sent.event_id}: {code}") from error
            raise Unavailable(f"SNS does not take the {kind} {sent.event_id} now: {code}") from error
        return told_id(answer, "SNS")
