"""What a worker notes beside its lease: for people, and never in the way of the lease."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from consumers.engines.worker.leases.lease import Lease, from_item, to_item
from consumers.engines.worker.leases.note import NOTE, Note, note_item, note_of
from consumers.processing import Trouble
from foundation.kinesis.records import Sentinel
from tests.support.builders import NOON

LATER = NOON + timedelta(seconds=90, milliseconds=250)
PLAIN = Note("worker-1", "17.3", NOON, LATER)
ROW = to_item(Lease("shardId-0", Sentinel.TRIM_HORIZON))


@pytest.mark.parametrize(
    "note",
    [
        PLAIN,
        replace(PLAIN, trouble=Trouble("OSError: no route", NOON)),
        replace(PLAIN, trouble=Trouble("bad", LATER, stopped=True)),
    ],
)
def test_a_note_is_read_as_it_was_written(note: Note) -> None:
    assert note_of({NOTE: note_item(note)}) == note
    assert from_item(ROW | {NOTE: note_item(note)}).note == note


@pytest.mark.parametrize(
    "value",
    [
        {"S": "hello"},
        {"M": {}},
        {"M": note_item(PLAIN)["M"] | {"movedAt": {"N": "soon"}}},
        {"M": note_item(PLAIN)["M"] | {"movedAt": {"N": "9" * 30}}},
        {"M": note_item(PLAIN)["M"] | {"error": {"S": "words"}}},
        {"M": None},
    ],
)
def test_one_that_cannot_be_read_is_none_and_the_lease_is_as_good_as_ever(value: Any) -> None:
    lease = from_item(ROW | {NOTE: value})
    assert lease.note is None
    assert lease.trouble is None


def test_a_lease_is_the_same_with_and_without() -> None:
    assert from_item(ROW | {NOTE: note_item(PLAIN)}) == from_item(ROW)
