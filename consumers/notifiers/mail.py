"""Mails to customers: what one says, as text and as HTML, and how it is sent over SES."""

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError
from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from consumers.notifiers.answers import told_id
from consumers.processing import Unavailable, Unprocessable
from events import Item, amount
from foundation.error_codes import error_code

if TYPE_CHECKING:
    from mypy_boto3_ses import SESClient


@dataclass(frozen=True, kw_only=True)
class Letter:
    """An e-mail. A repeated one has the same `reference`, the id of the event that it answers.

    `items`, `total` (minor units of `currency`) are shown where they are known.
    """

    to: str
    name: str
    subject: str
    sentences: tuple[str, ...]
    reference: str
    items: tuple[Item, ...] = ()
    total: int | None = None
    currency: str | None = None

    @property
    def text(self) -> str:
        """The reference stands last: by it the audit finds which event a mail answers."""
        return self._rendered("letter.txt")

    @property
    def html(self) -> str:
        """A page without script, and with nothing to fetch."""
        return self._rendered("letter.html")

    def _rendered(self, template: str) -> str:
        return _templates().get_template(template).render(letter=self)


@cache
def _templates() -> Environment:
    environment = Environment(
        loader=PackageLoader("consumers.notifiers"),
        # guarantee: no word of an order is markup in a mail
        autoescape=select_autoescape(["html"]),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["money"] = _money
    return environment


def _money(minor_units: int, currency: str | None) -> str:
    return amount(minor_units, currency) if currency else f"{minor_units:,}"


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
                    "Body": {
                        "Text": {"Data": letter.text, "Charset": "UTF-8"},
                        "Html": {"Data": letter.html, "Charset": "UTF-8"},
                    },
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
