"""The messages that SNS delivered, from the queue that hears every topic and that nobody empties."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from foundation import aws
from foundation.settings import variable
from takeaway.errors import UserError

# While one looks, nobody else sees the message; afterwards it is given back.
_LOOKING_SECONDS = 120
_SQS_BATCH = 10


@dataclass(frozen=True)
class SentTicket:
    """A message to a restaurant, as the queue has it. `told` is the message itself, or None where it is none of ours.

    `kind` is `ticket` or what the message says; `event_id` is the event that it answers, or says that it has none.
    """

    sent_at: datetime
    kind: str
    event_id: str
    told: Mapping[str, Any] | None

    @property
    def order_id(self) -> str | None:
        return self._named("order_id")

    @property
    def restaurant_id(self) -> str | None:
        return self._named("restaurant_id")

    def _named(self, field: str) -> str | None:
        value = (self.told or {}).get(field)
        return None if value is None else str(value)


def sent_tickets(environ: Mapping[str, str]) -> list[SentTicket]:
    """In the order in which they were sent.

    A message is hidden from others while it is looked at; whatever happens, it is given back. Raises `UserError` while
    another looks.
    """
    sqs: Any = aws.client("sqs", environ)
    url = environ[variable("audit_queue")]
    hidden = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["ApproximateNumberOfMessagesNotVisible"])
    if int(hidden["Attributes"]["ApproximateNumberOfMessagesNotVisible"]):
        raise UserError(
            "an audit, or another look, is at the messages that were sent, or was cut short",
            f"wait for it to end; what one that was killed had in hand comes back within {_LOOKING_SECONDS} s",
        )
    received: dict[str, dict[str, Any]] = {}
    try:
        while messages := sqs.receive_message(
            QueueUrl=url,
            MaxNumberOfMessages=_SQS_BATCH,
            VisibilityTimeout=_LOOKING_SECONDS,
            AttributeNames=["SentTimestamp"],
        ).get("Messages"):
            received |= {message["MessageId"]: message for message in messages}
    finally:
        # guarantee: a look at what was sent takes no message from the audit
        _give_back(sqs, url, [message["ReceiptHandle"] for message in received.values()])
    return sorted(map(_ticket, received.values()), key=lambda ticket: ticket.sent_at)


def _ticket(message: dict[str, Any]) -> SentTicket:
    sent_at = datetime.fromtimestamp(int(message["Attributes"]["SentTimestamp"]) / 1000, UTC)
    kind = "ticket"
    try:
        told = json.loads(message["Body"])
        event_id, kind = str(told["event_id"]), str(told.get("kind", kind))
    except (ValueError, KeyError, TypeError, AttributeError):
        # No ticket of ours; the audit then says that it answers no event.
        return SentTicket(sent_at, kind, f"unreadable message {message['MessageId']}", None)
    return SentTicket(sent_at, kind, event_id, told)


def _give_back(sqs: Any, url: str, handles: list[str]) -> None:
    for start in range(0, len(handles), _SQS_BATCH):
        answer = sqs.change_message_visibility_batch(
            QueueUrl=url,
            Entries=[
                {"Id": str(index), "ReceiptHandle": handle, "VisibilityTimeout": 0}
                for index, handle in enumerate(handles[start : start + _SQS_BATCH])
            ],
        )
        if answer.get("Failed"):
            raise UserError(
                f"{len(answer['Failed'])} messages could not be given back to the audit's queue",
                f"look again in {_LOOKING_SECONDS} s, when they have come back by themselves",
            )
