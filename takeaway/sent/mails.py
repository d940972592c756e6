"""The mails that a local AWS took: it sends none of them on, and keeps them all."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from takeaway.http import get
from takeaway.local import authorization

# The last line of our letters; what stands above may hold anybody's words.
_REFERENCE = re.compile(r"^Reference: ([0-9a-f-]{36})\s*\Z", re.MULTILINE)


@dataclass(frozen=True)
class SentMail:
    """A mail as SES took it. `event_id` is the event that it answers; None for a mail that is none of ours."""

    sent_at: datetime
    to: tuple[str, ...]
    subject: str
    text: str
    event_id: str | None


def sent_mails(environ: Mapping[str, str]) -> list[SentMail]:
    """In the order in which they were sent. `environ` leads to a local AWS."""
    mails = _of_ministack(environ) if _get(environ, "/_ministack/health") is not None else _of_localstack(environ)
    return sorted(mails, key=lambda mail: mail.sent_at)


def _of_ministack(environ: Mapping[str, str]) -> Iterator[SentMail]:
    for mails in (_get(environ, "/_ministack/ses/messages") or {"messages": {}})["messages"].values():
        for mail in mails:
            sent_at = datetime.fromtimestamp(mail["Timestamp"], UTC)
            yield _mail(sent_at, mail.get("To"), mail.get("Subject"), mail["BodyText"])


def _of_localstack(environ: Mapping[str, str]) -> Iterator[SentMail]:
    for mail in (_get(environ, "/_aws/ses") or {"messages": []})["messages"]:
        text = mail.get("Body", {}).get("text_part") or mail.get("RawData", "")
        sent_at = datetime.fromisoformat(mail["Timestamp"]).replace(tzinfo=UTC)
        yield _mail(sent_at, mail.get("Destination", {}).get("ToAddresses"), mail.get("Subject"), text)


def _mail(sent_at: datetime, to: Any, subject: Any, text: str) -> SentMail:
    found = _REFERENCE.search(text)
    return SentMail(sent_at, tuple(map(str, to or ())), str(subject or ""), text, found[1] if found else None)


def _get(environ: Mapping[str, str], path: str) -> Any:
    """The JSON at that path of the local AWS, or None when there is no such path."""
    headers = authorization(environ.get("AWS_ACCESS_KEY_ID", ""))
    answer = get(environ["AWS_ENDPOINT_URL"], path, headers=headers, seconds=60)
    return answer.json() if answer.is_success else None
