"""Tells the customer of an acceptance: hears order_accepted, sends an e-mail over SES, tells user_notified."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from consumers.notifiers.answers import told_id
from consumers.processing import Unavailable, Unprocessable
from events import EventEnvelope, OrderAccepted, UserNotified
from foundation.error_codes import error_code

if TYPE_CHECKING:
    from mypy_boto3_ses import SESClient

    from consumers.settings import ConsumerSettings


def handler(
    settings: "ConsumerSettings", client: Callable[[str], Any]
) -> Callable[[EventEnvelope[OrderAccepted]], UserNotified]:
    mail = Mail(client("ses"), settings.sender)
    return lambda accepted: notify_user(accepted, mail)


def notify_user(accepted: EventEnvelope[OrderAccepted], mail: "Mail") -> UserNotified:
    message_id = mail.send(acceptance_letter(accepted))
    return UserNotified(customer_id=accepted.event.customer_id, channel="ses", message_id=message_id)


@dataclass(frozen=True)
class Letter:
    """An e-mail in plain text. A repeated one has the same `reference`, the event's id."""

    to: str
    subject: str
    text: str
    reference: str


def acceptance_letter(accepted: EventEnvelope[OrderAccepted]) -> Letter:
    ready = accepted.event.ready_at
    return Letter(
        to=accepted.event.customer_email,
        subject="Your order was accepted",
        text=(
            f"Hello {accepted.event.customer_name},\n\n"
            f"the restaurant accepted your order {accepted.order_id}.\n"
            f"It should be ready at {ready:%H:%M} UTC.\n\n"
            f"Reference: {accepted.event_id}\n"
        ),
        reference=accepted.event_id,
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
