"""Dead letters as facts that people read: a row a record, groups of one cause, and whole, with customers masked."""

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any

import msgspec

from consumers.dead_letters import DeadLetter, StoredLetter, record_of
from takeaway.terminal.masking import masked_text

# Of an error's text where many are listed; `show` has all of it.
_ERROR_LENGTH = 300


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


def _age(letter: DeadLetter, now: datetime) -> int:
    return round((now - letter.failed_at).total_seconds())
