"""Sends mails over SES."""

from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from consumers.mail.letter import Letter
from consumers.message_ids import told_id
from consumers.processing import Unavailable, Unprocessable
from foundation.error_codes import error_code

if TYPE_CHECKING:
    from mypy_boto3_ses import SESClient

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
