"""The messages and mails that were really sent, read back from the local AWS."""

import json
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from foundation import aws
from foundation.settings import variable
from takeaway.audit.facts import Effect
from takeaway.errors import UserError
from takeaway.http import get
from takeaway.local import authorization

# While the audit looks, nobody else sees the message; afterwards it is given back.
_LOOKING_SECONDS = 120
_SQS_BATCH = 10
# The last line of our letters; what stands above may hold anybody's words.
_REFERENCE = re.compile(r"^Reference: ([0-9a-f-]{36})\s*\Z", re.MULTILINE)


def ticket_effects(environ: Mapping[str, str]) -> list[Effect]:
    """What SNS delivered, from the queue that hears every topic and that nobody empties.

    A message is hidden from others while it is looked at; whatever happens, it is given back.
    """
    sqs: Any = aws.client("sqs", environ)
    url = environ[variable("audit_queue")]
    hidden = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["ApproximateNumberOfMessagesNotVisible"])
    if int(hidden["Attributes"]["ApproximateNumberOfMessagesNotVisible"]):
        raise UserError(
            "another audit is looking at the messages, or was cut short",
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
        _give_back(sqs, url, [message["ReceiptHandle"] for message in received.values()])
    return [_ticket(message) for message in received.values()]


def _ticket(message: dict[str, Any]) -> Effect:
    sent_at = datetime.fromtimestamp(int(message["Attributes"]["SentTimestamp"]) / 1000, UTC)
    kind = "ticket"
    try:
        told = json.loads(message["Body"])
        event_id, kind = str(told["event_id"]), str(told.get("kind", kind))
    except (ValueError, KeyError, TypeError, AttributeError):
        # No ticket of ours; the audit then says that it answers no event.
        event_id = f"unreadable message {message['MessageId']}"
    return Effect(kind, event_id, sent_at)


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
                f"audit again in {_LOOKING_SECONDS} s, when they have come back by themselves",
            )


def mail_effects(environ: Mapping[str, str]) -> list[Effect]:
    """The mails that the local AWS took, read back from it; each quotes the event it answers."""
    mails = _ministack_mails(environ) if _is_ministack(environ) else _localstack_mails(environ)
    return [Effect("e-mail", found[1], sent_at) for body, sent_at in mails if (found := _REFERENCE.search(body))]


def _is_ministack(environ: Mapping[str, str]) -> bool:
    return _get(environ, "/_ministack/health") is not None


def _ministack_mails(environ: Mapping[str, str]) -> Iterator[tuple[str, datetime]]:
    """The text of each mail, and when it was sent."""
    for mails in (_get(environ, "/_ministack/ses/messages") or {"messages": {}})["messages"].values():
        for mail in mails:
            yield mail["BodyText"], datetime.fromtimestamp(mail["Timestamp"], UTC)


def _localstack_mails(environ: Mapping[str, str]) -> Iterator[tuple[str, datetime]]:
    for mail in (_get(environ, "/_aws/ses") or {"messages": []})["messages"]:
        text = mail.get("Body", {}).get("text_part") or mail.get("RawData", "")
        yield text, datetime.fromisoformat(mail["Timestamp"]).replace(tzinfo=UTC)


def _get(environ: Mapping[str, str], path: str) -> Any:
    """The JSON at that path of the local AWS, or None when there is no such path."""
    headers = authorization(environ.get("AWS_ACCESS_KEY_ID", ""))
    answer = get(environ["AWS_ENDPOINT_URL"], path, headers=headers, seconds=60)
    return answer.json() if answer.is_success else None
