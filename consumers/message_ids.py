"""The id that a service gives a message when it has taken it."""

from collections.abc import Mapping
from typing import Any

from consumers.processing import Unavailable


def told_id(answer: Mapping[str, Any], service: str) -> str:
    """The id of the message. Raises `Unavailable` for an answer without one, as a proxy gives it."""
    message_id: str | None = answer.get("MessageId")
    if not message_id:
        raise Unavailable(f"{service} answered without the message's id. fix: see what stands between it and here")
    return message_id
