"""Dead letters as facts that people read: a row a record, groups of one cause, and whole, with customers masked."""

import json
import re
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from enum import StrEnum
from math import isfinite
from sys import float_info
from typing import Any

import msgspec

from consumers.dead_letters import DeadLetter, StoredLetter, record_of

_HEX_WIDTH = 16
_PRINTABLE = bytes(one if 0x20 <= one < 0x7F else ord(".") for one in range(256))
# Of an error's text where many are listed; `show` has all of it.
_ERROR_LENGTH = 300

_PERSONAL = frozenset({"customer_name", "customer_email"})
# By their bytes, so that the same is masked in what nobody can decode; a text that is cut short has no second quote.
_CUSTOMER = re.compile(rb'("customer_(?:name|email)"\s*:\s*")((?:[^"\\]|\\.)+)', re.DOTALL)
# Begun at the first character of a word only: from each of them anew, a large payload without any would take hours.
_ADDRESS = r"""(?<![^\s"'<>@,;:=])[^\s"'<>@,;:=]+@[^\s"'<>@,;:=]+"""
_ADDRESS_IN_BYTES, _ADDRESS_IN_TEXT = re.compile(_ADDRESS.encode()), re.compile(_ADDRESS)


class GroupBy(StrEnum):
    """What the records of one group have in common."""

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
    except (msgspec.DecodeError, ValueError, RecursionError):
        return None


def masked(data: bytes) -> bytes:
    """The same bytes with a star for each byte of a customer's name or of anything like an e-mail address."""
    named = _CUSTOMER.sub(lambda found: found[1] + b"*" * len(found[2]), data)
    return _ADDRESS_IN_BYTES.sub(lambda found: b"*" * len(found[0]), named)


def masked_text(text: str) -> str:
    return masked(text.encode(errors="replace")).decode(errors="replace")


def error_text(letter: DeadLetter) -> str:
    return masked_text(letter.error)


def facts(stored: StoredLetter, now: datetime) -> dict[str, Any]:
    """All but the payload; of a letter that was dropped, why and when."""
    letter, dropped = stored.letter, stored.dropped
    told = {
        "key": letter.key,
        "consumer": letter.consumer,
        "event_type": event_type(letter),
        "age_seconds": _age(letter, now),
        "attempts": letter.attempts,
        "error": error_text(letter),
        "cause": cause(letter),
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
    return told if dropped is None else told | {"dropped_at": dropped.at, "reason": dropped.reason}


def cause(letter: DeadLetter) -> str:
    """What an error is and where it comes from, and what was judged of it, without its words."""
    return " ".join(part for part in (letter.verdict, letter.cause or letter.kind) if part)


def by_record(letters: Iterable[StoredLetter], now: datetime) -> list[dict[str, Any]]:
    """One row for each record, whoever set it apart; of their errors the first one's.

    Takes one letter at a time, so that payloads need no room.
    """
    rows: dict[str, dict[str, Any]] = {}
    for stored in letters:
        letter = stored.letter
        key = record_of(letter.key)
        if key not in rows:
            error = error_text(letter)
            rows[key] = {
                "key": key,
                "consumers": [],
                "event_type": event_type(letter),
                "age_seconds": _age(letter, now),
                "attempts": letter.attempts,
                "error": error if len(error) <= _ERROR_LENGTH else f"{error[:_ERROR_LENGTH]} ...",
                "stack_hash": letter.stack_hash,
                "bytes": len(letter.payload),
            }
            if stored.dropped is not None:
                rows[key] |= {"dropped_at": stored.dropped.at, "reason": stored.dropped.reason}
        row = rows[key]
        row["consumers"].append(letter.consumer)
        row["age_seconds"] = max(row["age_seconds"], _age(letter, now))
        row["attempts"] = max(row["attempts"], letter.attempts)
    return list(rows.values())


_GROUPS: Mapping[GroupBy, Callable[[DeadLetter], str]] = {
    GroupBy.ERROR: lambda letter: f"{letter.consumer} {letter.stack_hash}",
    GroupBy.CONSUMER: lambda letter: letter.consumer,
    GroupBy.SHARD: lambda letter: f"{letter.stream} {letter.shard_id}",
    GroupBy.EVENT_TYPE: lambda letter: event_type(letter) or "none that can be read",
}


def grouped(letters: Iterable[DeadLetter], by: GroupBy) -> list[dict[str, Any]]:
    """One row for each group, the largest first: how many records, of which consumers, since when, and one of them.

    A record is in one group, however many consumers set it apart: that of all they say about it. By error that is each
    consumer's verdict, the error's class, and where it comes from, never its words. Takes one letter at a time.
    """
    records: dict[str, set[str]] = {}
    seen: dict[str, dict[str, Any]] = {}
    spans: dict[str, tuple[datetime, datetime]] = {}
    for letter in letters:
        name, key = _GROUPS[by](letter), record_of(letter.key)
        records.setdefault(key, set()).add(name)
        if name not in seen:
            error = error_text(letter)[:_ERROR_LENGTH]
            seen[name] = {
                "consumer": letter.consumer,
                "cause": cause(letter),
                "hash": letter.stack_hash,
                "error": error,
            }
        first, last = spans.get(key, (letter.failed_at, letter.failed_at))
        spans[key] = min(first, letter.failed_at), max(last, letter.failed_at)
    groups: dict[frozenset[str], list[str]] = {}
    for key, names in records.items():
        groups.setdefault(frozenset(names), []).append(key)
    rows = [_group(by, sorted(names), keys, seen, spans) for names, keys in groups.items()]
    return sorted(rows, key=lambda row: -row["records"])


def _group(
    by: GroupBy,
    names: list[str],
    keys: list[str],
    seen: Mapping[str, dict[str, Any]],
    spans: Mapping[str, tuple[datetime, datetime]],
) -> dict[str, Any]:
    row: dict[str, Any] = {by.value: ", ".join(names)}
    if by is GroupBy.ERROR:
        parts = [seen[name] for name in names]
        row = {
            "error": "; ".join(dict.fromkeys(part["cause"] for part in parts)),
            "stack_hash": " ".join(dict.fromkeys(part["hash"] for part in parts)),
            "consumers": [part["consumer"] for part in parts],
            "says": parts[0]["error"],
        }
    first, last = min(spans[key][0] for key in keys), max(spans[key][1] for key in keys)
    return row | {"records": len(keys), "first": first, "last": last, "example": keys[0]}


def payload(letter: DeadLetter, *, raw: bool) -> dict[str, Any] | str:
    """The event as a value where the bytes are a JSON object, else the bytes in hex beside their text."""
    try:
        value = json.loads(
            letter.payload,
            parse_int=_number(int),
            parse_float=_number(float),
            parse_constant=str,
            object_pairs_hook=_object,
        )
        if isinstance(value, dict):
            shown: dict[str, Any] = value if raw else _masked_value(value, hidden=False)
            # What is nested too deep to be printed is shown in hex.
            json.dumps(shown, indent=2)
            return shown
    except (ValueError, RecursionError):
        pass
    return hex_and_text(letter.payload if raw else masked(letter.payload))


def _number(kind: Callable[[str], float]) -> Callable[[str], float | str]:
    """A number as it is, and as its text where Python, or a reader of JSON, has no such number."""
    return lambda text: kind(text) if len(text) <= float_info.max_10_exp and isfinite(float(text)) else text


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) < len(pairs):
        raise ValueError("a name is there twice: as a value, one of them would not show")
    return fields


def _masked_value(value: Any, *, hidden: bool) -> Any:
    """With stars for the texts under a customer's name or address, and for whatever looks like an address."""
    if isinstance(value, str):
        return "*" * len(value) if hidden else _ADDRESS_IN_TEXT.sub(lambda found: "*" * len(found[0]), value)
    if isinstance(value, list):
        return [_masked_value(one, hidden=hidden) for one in value]
    if isinstance(value, dict):
        return {
            _masked_value(name, hidden=hidden): _masked_value(one, hidden=hidden or name in _PERSONAL)
            for name, one in value.items()
        }
    return value


def hex_and_text(data: bytes) -> str:
    """Sixteen bytes a line: where they are, what they are, and the printable ones as text."""
    lines = []
    for start in range(0, len(data), _HEX_WIDTH):
        part = data[start : start + _HEX_WIDTH]
        text = part.translate(_PRINTABLE).decode("ascii")
        lines.append(f"{start:08x}  {part.hex(' '):<{_HEX_WIDTH * 3}} |{text}|")
    return "\n".join(lines)


def _age(letter: DeadLetter, now: datetime) -> int:
    return round((now - letter.failed_at).total_seconds())
