"""Tells the restaurant about a new order: hears order_placed, sends a ticket over SNS, tells restaurant_notified."""

from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any

import msgspec
from botocore.exceptions import ClientError

from consumers.notifiers.answers import told_id
from consumers.processing import Unavailable, Unprocessable
from events import EventEnvelope, Item, OrderPlaced, RestaurantNotified
from foundation.error_codes import error_code

if TYPE_CHECKING:
    from mypy_boto3_sns import SNSClient

    from consumers.settings import ConsumerSettings


def handler(
    settings: "ConsumerSettings", client: Callable[[str], Any]
) -> Callable[[EventEnvelope[OrderPlaced]], RestaurantNotified]:
    tickets = TicketTopic(client("sns"), settings.ticket_topic)
    return lambda placed: notify_restaurant(placed, tickets)


def notify_restaurant(placed: EventEnvelope[OrderPlaced], tickets: "TicketTopic") -> RestaurantNotified:
    message_id = tickets.send(ticket(placed))
    return RestaurantNotified(restaurant_id=placed.event.restaurant_id, channel="sns", message_id=message_id)


class Ticket(msgspec.Struct, frozen=True, kw_only=True):
    """What the kitchen needs to know, and nothing about the customer. A repeated ticket has the same `event_id`."""

    event_id: str
    order_id: str
    restaurant_id: str
    placed_at: datetime
    items: tuple[Item, ...]
    total: int
    currency: str


def ticket(placed: EventEnvelope[OrderPlaced]) -> Ticket:
    return Ticket(
        event_id=placed.event_id,
        order_id=placed.order_id,
        restaurant_id=placed.event.restaurant_id,
        placed_at=placed.occurred_at,
        items=placed.event.items,
        total=placed.event.total,
        currency=placed.event.currency,
    )


# What SNS answers about a ticket itself: https://docs.aws.amazon.com/sns/latest/api/API_Publish.html#API_Publish_Errors
REFUSED_TICKET = frozenset({"InvalidParameter", "InvalidParameterValue", "ParameterValueInvalid"})


class TicketTopic:
    """The SNS topic all restaurants hear; the message attribute `restaurant_id` lets each filter its own."""

    def __init__(self, client: "SNSClient", topic_arn: str) -> None:
        self._client = client
        self._topic_arn = topic_arn

    def send(self, sent: Ticket) -> str:
        """SNS' message id. Raises `Unprocessable` for a ticket that SNS will never take, as one over 256 KiB."""
        attributes = {"restaurant_id": sent.restaurant_id, "event_id": sent.event_id}
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
                raise Unprocessable(f"SNS refuses the ticket {sent.event_id}: {code}") from error
            raise Unavailable(f"SNS does not take the ticket {sent.event_id} now: {code}") from error
        return told_id(answer, "SNS")
