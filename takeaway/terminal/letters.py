"""Dead letters as facts that people read: in rows, in groups of one cause, and whole, with customers' data masked."""

import json
import re
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any

import msgspec

from consumers.dead_letters import DeadLetter

_HEX_WIDTH = 16

# By their bytes, so that the same is masked in what nobody can decode; a text that is cut short has no second quote.
_CUSTOMER = re.compile(rb'("customer_(?:name|email)"\s*:\s*")((?:[^"\\]|\\.)+)', re.DOTALL)
# Begun at the first byte of a word only: from each of its bytes anew, a large payload without any would take hours.
_ADDRESS = re.compile(rb"""(?<![^\s"'<>@,;:=])[^\s"'<>@,;:=]+@[^\s"'<>@,;:=]+""")


class GroupBy(StrEnum):
    """What the letters of one group have in common."""

    ERROR = "error"
    CONSUMER = "consumer"
    SHARD = "shard"
    EVENT_TYPE = "event_type"


class _Typed(msgspec.Struct):
    event_type: str


def event_type(letter: DeadLetter) -> str | None:
    """What the payload says it is; None when it says nothing of the kind."""
    try:
        return msgspec.json.decode(letter.payload, type=_Typed).event_type
    except (msgspec.DecodeError, RecursionError):
        return None


def masked(data: bytes) -> bytes:
    """The same bytes with a star for each byte of a customer's name or of anything like an e-mail address."""
    named = _CUSTOMER.sub(lambda found: found[1] + b"*" * len(found[2]), data)
    return _ADDRESS.sub(lambda found: b"*" * len(found[0]), named)


def error_text(letter: DeadLetter) -> str:
    return masked(letter.error.encode()).decode(errors="replace")


def facts(letter: DeadLetter, now: datetime) -> dict[str, Any]:
    """All but the payload."""
    return {
        "key": letter.key,
        "consumer": letter.consumer,
        "event_type": event_type(letter),
        "age_seconds": round((now - letter.failed_at).total_seconds()),
        "attempts": letter.attempts,
        "error": error_text(letter),
        "stack_hash": letter.stack_hash,
        "stream": letter.stream,
        "shard_id": letter.shard_id,
        "sequence_number": letter.sequence_number,
        "sub_sequence_number": letter.sub_sequence_number,
        "partition_key": letter.partition_key,
        "arrived_at": letter.arrived_at,
        "failed_at": letter.failed_at,
        "claimed_until": letter.claim.until if letter.claim and letter.claim.until > now else None,
        "bytes": len(letter.payload),
    }


_GROUPS: Mapping[GroupBy, Callable[[DeadLetter], str]] = {
    GroupBy.ERROR: lambda letter: f"{letter.kind} {letter.stack_hash}",
    GroupBy.CONSUMER: lambda letter: letter.consumer,
    GroupBy.SHARD: lambda letter: f"{letter.stream} {letter.shard_id}",
    GroupBy.EVENT_TYPE: lambda letter: event_type(letter) or "none that can be read",
}


def grouped(letters: Iterable[DeadLetter], by: GroupBy) -> list[dict[str, Any]]:
    """One row for each group, the largest first: how many, when the first and the last failed, and one of them.

    Takes one letter at a time, so that thousands need no room.
    """
    name_of, groups = _GROUPS[by], dict[str, dict[str, Any]]()
    for letter in letters:
        name, failed_at = name_of(letter), letter.failed_at
        group = groups.setdefault(
            name, {by.value: name, "letters": 0, "first": failed_at, "last": failed_at, "example": letter.key}
        )
        group["letters"] += 1
        group["first"], group["last"] = min(group["first"], failed_at), max(group["last"], failed_at)
    return sorted(groups.values(), key=lambda group: -group["letters"])


def payload(letter: DeadLetter, *, raw: bool) -> dict[str, Any] | str:
    """The event as a value where the bytes are a JSON object, else the bytes in hex beside their text."""
    mask = (lambda data: data) if raw else masked
    try:
        value = json.loads(letter.payload)
        if isinstance(value, dict):
            # Written anew first: what was escaped is masked as well.
            shown: dict[str, Any] = json.loads(mask(json.dumps(value, ensure_ascii=False).encode(errors="replace")))
            return shown
    except (ValueError, RecursionError):
        pass
    return hex_and_text(mask(letter.payload))


def hex_and_text(data: bytes) -> str:
    """Sixteen bytes a line: where they are, what they are, and the printable ones as text."""
    lines = []
    for start in range(0, len(data), _HEX_WIDTH):
        part = data[start : start + _HEX_WIDTH]
        text = "".join(chr(one) if 0x20 <= one < 0x7F else "." for one in part)
        lines.append(f"{start:08x}  {part.hex(' '):<{_HEX_WIDTH * 3}} |{text}|")
    return "\n".join(lines)
