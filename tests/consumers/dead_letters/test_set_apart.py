"""Letters go out many at a time, one object a record, and each is written once however often some are refused."""

import threading
from dataclasses import dataclass, field

import pytest

from consumers.dead_letters.letters import DeadLetter
from consumers.dead_letters.set_apart import LETTERS_AT_ONCE, Bad, SetsApart
from consumers.diagnostics import RecordSetApart
from consumers.processing import ShardAssignment, Unprocessable
from foundation.diagnostics import Diagnostic
from foundation.kinesis.records import Sentinel
from tests.support.builders import a_record
from tests.support.fakes.clock import FakeClock

ASSIGNMENT = ShardAssignment("orders", "shardId-000000000000", Sentinel.TRIM_HORIZON)


@dataclass
class Letters:
    """Waits until so many are being written at once; refuses those that it is told to."""

    together: threading.Barrier | None = None
    refused: set[str] = field(default_factory=set)
    written: list[str] = field(default_factory=list)

    def put(self, letter: DeadLetter) -> None:
        if self.together is not None:
            self.together.wait()
        if letter.sequence_number in self.refused:
            raise OSError("no route")
        self.written.append(letter.sequence_number)


def bad(count: int) -> list[Bad]:
    return [Bad(a_record(number, data=b"torn"), Unprocessable("torn")) for number in range(1, count + 1)]


def test_so_many_letters_go_out_at_once() -> None:
    letters = Letters(threading.Barrier(LETTERS_AT_ONCE, timeout=10))
    happened: list[Diagnostic] = []
    SetsApart("notes", letters, clock=FakeClock().clock, emit=happened.append).set_apart(
        ASSIGNMENT, bad(2 * LETTERS_AT_ONCE)
    )
    assert len(letters.written) == 2 * LETTERS_AT_ONCE
    assert {one.verdict for one in happened if isinstance(one, RecordSetApart)} == {"the record's"}


def test_what_is_refused_is_told_and_written_when_it_is_asked_again() -> None:
    letters = Letters(refused={"3", "7"})
    apart = SetsApart("notes", letters, clock=FakeClock().clock, emit=lambda _: None)
    some = bad(9)
    for _ in range(3):
        with pytest.raises(OSError, match="no route"):
            apart.set_apart(ASSIGNMENT, some)
    letters.refused.clear()
    apart.set_apart(ASSIGNMENT, some)
    assert sorted(letters.written) == sorted(str(number) for number in range(1, 10))


def test_nothing_bad_is_nothing_to_do() -> None:
    SetsApart("notes", Letters(), clock=FakeClock().clock, emit=lambda _: None).set_apart(ASSIGNMENT, [])
