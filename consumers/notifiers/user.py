"""Tells the customer what became of an order: hears its answer or its end, sends an e-mail over SES.

Hears order_accepted, order_rejected, order_cancelled and order_expired, and tells user_notified.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from botocore.exceptions import ClientError

from consumers.notifiers.answers import told_id
from consumers.processing import Unavailable, Unprocessable
from events import (
    EventEnvelope,
    OrderAccepted,
    OrderCancelled,
    OrderExpired,
    OrderRejected,
    RejectionReason,
    UserNotified,
)
from foundation.error_codes import error_code

if TYPE_CHECKING:
    from mypy_boto3_ses import SESClient

    from consumers.settings import ConsumerSettings


Told = OrderAccepted | OrderRejected | OrderCancelled | OrderExpired


def handler(
    settings: "ConsumerSettings", client: Callable[[str], Any]
) -> Callable[[EventEnvelope[OrderAccepted | OrderRejected | OrderCancelled | OrderExpired]], UserNotified]:
    mail = Mail(client("ses"), settings.sender)
    return lambda heard: notify_user(heard, mail)


def notify_user(heard: EventEnvelope[Told], mail: "Mail") -> UserNotified:
    message_id = mail.send(letter(heard))
    return UserNotified(customer_id=heard.event.customer_id, channel="ses", message_id=message_id)


@dataclass(frozen=True)
class Letter:
    """An e-mail in plain text. A repeated one has the same `reference`, the event's id."""

    to: str
    subject: str
    text: str
    reference: str


def letter(heard: EventEnvelope[Told]) -> Letter:
    """What the customer is told. Raises `Unprocessable` for a rejection that names no address."""
    if isinstance(heard.event, OrderAccepted):
        return acceptance_letter(cast("EventEnvelope[OrderAccepted]", heard))
    return ending_letter(cast("EventEnvelope[OrderRejected | OrderCancelled | OrderExpired]", heard))


def acceptance_letter(accepted: EventEnvelope[OrderAccepted]) -> Letter:
    ready = accepted.event.ready_at
    return _letter(
        accepted,
        accepted.event.customer_email,
        accepted.event.customer_name,
        "Your order was accepted",
        f"the restaurant accepted your order {accepted.order_id}.\nIt should be ready at {ready:%H:%M} UTC.",
    )


def ending_letter(ended: EventEnvelope[OrderRejected | OrderCancelled | OrderExpired]) -> Letter:
    """Of an order that came to nothing, and why."""
    event = ended.event
    # guarantee: a rejection without an address is set apart
    if event.customer_email is None:
        raise Unprocessable(
            f"order_rejected {ended.event_id} names no address: an older release of the orders API wrote it. "
            "fix: run one release of it; then `takeaway dlq drop` this"
        )
    match event:
        case OrderRejected():
            subject = "Your order was rejected"
            why = f"the restaurant cannot take your order {ended.order_id}: {REASONS[event.reason]}."
        case OrderCancelled():
            subject = "Your order was cancelled"
            why = f"your order {ended.order_id} is cancelled, as you asked."
        case OrderExpired():
            subject = "Your order was not answered"
            why = (
                f"the restaurant did not answer your order {ended.order_id} until {event.accept_by:%H:%M} UTC, "
                "so we took it back."
            )
    return _letter(ended, event.customer_email, event.customer_name or "", subject, f"{why}\nNothing will be cooked.")


# What a code means to a customer.
REASONS: dict[RejectionReason, str] = {
    "closed": "it is closed",
    "too_busy": "it has too much to do at the moment",
    "out_of_stock": "something that you ordered has run out",
    "other": "it gave no reason",
}


def _letter(heard: EventEnvelope[Told], to: str, name: str, subject: str, text: str) -> Letter:
    """The reference stands last: it is how the audit finds which event a mail answers."""
    return Letter(
        to=to,
        subject=subject,
        text=f"Hello {name},\n\n{text}\n\nReference: {heard.event_id}\n",
        reference=heard.event_id,
    )


# What SES answers about a letter itself: https://docs.aws.amazon.com/ses/latest/APIReference/API_SendEmail.html#API_SendEmail_Errors
REFUSED_LETTER = frozenset({"MessageRejected", "InvalidParameterValue"})


class Mail:
    """Sends through SES' first API, which every local AWS has."""

    def __init__(self, client: "SESClient", sender: str) -> None:
        self._client = client
        self._sender = sender

    def send(self, letter: Letter) -> str:
        """SES' message id. Raises `Unprocessable` for a letter that SES refuses, as one to a malformed address."""
        try:
            answer = self._client.send_email(
                Source=self._sender,
                Destination={"ToAddresses": [letter.to]},
                Message={
                    "Subject": {"Data": letter.subject, "Charset": "UTF-8"},
                    "Body": {"Text": {"Data": letter.text, "Charset": "UTF-8"}},
                },
                Tags=[{"Name": "event_id", "Value": letter.reference}],
            )
        except ClientError as error:
            # Never the service's own words: they may quote the customer's address.
            code = error_code(error)
            # A sender that SES does not know is no fault of the letter.
            if code in REFUSED_LETTER and self._sender not in str(error):
                raise Unprocessable(f"SES refuses the letter {letter.reference}: {code}") from error
            raise Unavailable(f"SES does not take the letter {letter.reference} now: {code}") from error
        return told_id(answer, "SES")
