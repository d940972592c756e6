"""The dead letters of one order: those at its records' places, and those that name it."""

from collections.abc import Collection, Mapping, Sequence

from analytics.assembly import customer_keys
from consumers.assembly import dead_letters
from consumers.dead_letters import (
    DROPPED,
    NoLetter,
    StoredLetter,
    address_of,
    is_dropped,
    living,
    record_of,
)
from consumers.settings import ConsumerSettings
from foundation.kinesis import StreamPosition
from foundation.settings import from_environment
from takeaway.trace.facts import SetApart
from takeaway.trace.naming import is_about

# Letters elsewhere have to be opened to be told apart: the newest so many.
MOST_OPENED = 500
# Behind what two keys have in common, so that a later letter seldom makes it ambiguous.
_MORE = 4


def letters_of(
    environ: Mapping[str, str], order_id: str, places: Collection[StreamPosition]
) -> tuple[list[SetApart], int, int]:
    """The order's letters, how many letters there are, and how many of them could not be told to be the order's.

    A letter that cannot be read is the order's by its place alone.
    """
    letters = dead_letters(environ, from_environment(ConsumerSettings, environ), customer_keys(environ))
    there = [key for key in (*letters.keys(), *letters.keys(DROPPED)) if address_of(key) is not None]
    records = sorted({record_of(key) for key in there})
    at_places = [key for key in there if _place(key) in places]
    newest_first = sorted(there, key=lambda key: _place(key)[1].key, reverse=True)
    elsewhere = [key for key in newest_first if _place(key) not in places]
    found = [_told(key, one, records) for key, one in letters.read_all(at_places)]
    unread = len(elsewhere[MOST_OPENED:])
    for key, one in letters.read_all(elsewhere[:MOST_OPENED]):
        if isinstance(one, NoLetter):
            unread += 1
        elif is_about(order_id, one.letter.partition_key, one.letter.payload):
            found.append(_told(key, one, records))
    return found, len(there), unread


def _place(key: str) -> StreamPosition:
    address = address_of(key)
    assert address is not None  # noqa: S101 - others were left out before
    return address.shard_id, address.place


def _told(key: str, one: StoredLetter | NoLetter, records: Sequence[str]) -> SetApart:
    letter = one.letter if isinstance(one, StoredLetter) else None
    return SetApart(
        consumer=living(key).partition("/")[0],
        place=_place(key),
        shown_by=as_much_as_needed(record_of(key), records),
        dropped=is_dropped(key),
        # guarantee: a trace has no words of a dead letter
        kind=letter.kind if letter else None,
        failed_at=letter.failed_at if letter else None,
        attempts=letter.attempts if letter else None,
    )


def as_much_as_needed(record: str, records: Sequence[str]) -> str:
    """As much of a record's name as no other of the sorted `records` begins with, and a little more."""
    here = records.index(record)
    beside = [records[place] for place in (here - 1, here + 1) if 0 <= place < len(records)]
    common = max((_common(record, other) for other in beside), default=record.rindex("/") + 1)
    return record[: common + _MORE]


def _common(one: str, other: str) -> int:
    return next((at for at, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
