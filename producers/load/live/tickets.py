"""The restaurants' tickets as they come out of the SQS queue."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import msgspec

from events import Identifier

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

# https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_ReceiveMessage.html
MAX_MESSAGES = 10
MAX_VISIBILITY = timedelta(hours=12)
# Long enough to be a long poll, short enough to notice a stop.
POLL_SECONDS = 2


class Ticket(msgspec.Struct, frozen=True, kw_only=True):
    """What a restaurant is told; `event_id` is the order_placed that it is about, the same in every repeat.

    It is to be answered before `accept_by`. Of the `kind` "withdrawal" it is about the order's end, whose name is the
    `reason`, and takes the ticket back.
    """

    event_id: Identifier
    order_id: Identifier
    restaurant_id: Identifier
    kind: str = "ticket"
    accept_by: datetime | None = None
    reason: str | None = None

    @property
    def is_withdrawal(self) -> bool:
        return self.kind == "withdrawal"


@dataclass(frozen=True)
class TicketMessage:
    """One delivery of a ticket. `ticket` is None when the body is none; `error` says why."""

    message_id: str
    receipt: str
    ticket: Ticket | None
    error: str = ""


class TicketQueue:
    """Long-polls the queue at `url`. What is received stays hidden for `hidden_for`, then comes again."""

    def __init__(self, client: "SQSClient", url: str) -> None:
        self._client = client
        self._url = url

    def receive(self, hidden_for: timedelta) -> list[TicketMessage]:
        answer = self._client.receive_message(
            QueueUrl=self._url,
            MaxNumberOfMessages=MAX_MESSAGES,
            WaitTimeSeconds=POLL_SECONDS,
            VisibilityTimeout=int(min(hidden_for, MAX_VISIBILITY).total_seconds()),
        )
        return [
            _message(message["MessageId"], message["ReceiptHandle"], message["Body"])
            for message in answer.get("Messages", [])
        ]

    def delete(self, message: TicketMessage) -> None:
        self._client.delete_message(QueueUrl=self._url, ReceiptHandle=message.receipt)


def _message(message_id: str, receipt: str, body: str) -> TicketMessage:
    try:
        return TicketMessage(message_id, receipt, msgspec.json.decode(body, type=Ticket))
    except (msgspec.DecodeError, RecursionError) as error:
        return TicketMessage(message_id, receipt, None, str(error))
