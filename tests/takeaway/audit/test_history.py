"""The audit of a file of history finds whatever is not as its ledger says, and nothing else."""

from collections.abc import Callable
from pathlib import Path

import pytest

from events.wire import UnreadableEvent, decode
from producers.load.history.history import HistoryPlan, write_history
from producers.load.ledger import FaultKind
from takeaway.audit.history import HistoryAudit, audit_history
from takeaway.errors import UserError

pytestmark = pytest.mark.slow

RATES = {FaultKind.DUPLICATE: 0.02, FaultKind.OVERSIZE: 0.001, FaultKind.LATE: 0.02, FaultKind.CLOCK_SKEW: 0.02}
BROKEN = {FaultKind.TRUNCATED: 0.02, FaultKind.POISON: 0.005, FaultKind.NOT_UTF8: 0.01}
NEWER = {FaultKind.UNKNOWN_TYPE: 0.005, FaultKind.UNKNOWN_VERSION: 0.005}


@pytest.fixture
def history(tmp_path: Path) -> Path:
    out = tmp_path / "orders.jsonl"
    write_history(HistoryPlan(7, 1, faults={**RATES, **BROKEN, **NEWER}), out)
    return out


def changed(history: Path, change: Callable[[list[bytes]], None]) -> HistoryAudit:
    lines = history.read_bytes().splitlines(keepends=True)
    change(lines)
    history.write_bytes(b"".join(lines))
    return audit_history(history)


def first(lines: list[bytes], *, readable: bool) -> int:
    for number, line in enumerate(lines):
        try:
            decode(line)
        except UnreadableEvent:
            if not readable:
                return number
        else:
            if readable:
                return number
    raise AssertionError("there is none")


def test_a_file_with_every_fault_is_as_its_ledger_says(history: Path) -> None:
    verdict = audit_history(history)
    assert verdict.ok
    assert verdict.duplicates > 20
    assert verdict.quarantined > 50
    assert verdict.newer > 10
    assert f"{verdict.newer} newer events kept" in verdict.receipt
    assert " 0 lost · 0 doubled · " in verdict.receipt
    assert verdict.outcomes.keys() == {"completed", "rejected", "cancelled", "expired"}
    assert all(f" {count:,} {state} · " in verdict.receipt for state, count in verdict.outcomes.items() if count)
    assert sum(verdict.outcomes.values()) == verdict.orders


def test_a_newer_event_that_is_missing_is_lost(history: Path) -> None:
    def without(lines: list[bytes]) -> None:
        del lines[next(at for at, line in enumerate(lines) if b"teleported" in line)]

    verdict = changed(history, without)
    assert [finding.kind for finding in verdict.findings] == ["lost"]
    assert "newer event" in verdict.findings[0].what


def test_a_line_that_is_missing_is_lost(history: Path) -> None:
    verdict = changed(history, lambda lines: lines.pop(first(lines, readable=True)))  # type: ignore[arg-type]
    assert [finding.kind for finding in verdict.findings] == ["lost"]
    assert not verdict.ok


def test_a_line_that_is_there_again_is_doubled(history: Path) -> None:
    verdict = changed(history, lambda lines: lines.append(lines[first(lines, readable=True)]))
    assert [finding.kind for finding in verdict.findings] == ["doubled"]


def test_a_duplicate_that_should_be_there_and_is_not_is_lost(history: Path) -> None:
    def without_the_second_of_a_pair(lines: list[bytes]) -> None:
        seen: set[bytes] = set()
        for number, line in enumerate(lines):
            if line in seen and first([line], readable=True) == 0:
                del lines[number]
                return
            seen.add(line)

    verdict = changed(history, without_the_second_of_a_pair)
    assert [finding.kind for finding in verdict.findings] == ["lost"]


def test_a_bad_record_that_is_missing_is_lost_and_a_new_one_is_unexpected(history: Path) -> None:
    verdict = changed(history, lambda lines: lines.pop(first(lines, readable=False)))  # type: ignore[arg-type]
    assert [finding.kind for finding in verdict.findings] == ["lost"]
    verdict = changed(history, lambda lines: lines.append(b"garbage\n"))
    assert [finding.kind for finding in verdict.findings] == ["lost", "unexpected"]


def test_a_torn_last_line_is_both_lost_and_unexpected(history: Path) -> None:
    def torn(lines: list[bytes]) -> None:
        while first(lines[-1:] + lines, readable=True) != 0:
            lines.pop()
        lines[-1] = lines[-1][:100]

    kinds = {finding.kind for finding in changed(history, torn).findings}
    assert kinds >= {"lost", "unexpected"}


def test_an_event_of_somebody_else_is_unexpected(history: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.jsonl"
    write_history(HistoryPlan(8, 1), other)
    verdict = changed(history, lambda lines: lines.append(other.read_bytes().splitlines(keepends=True)[0]))
    assert [finding.kind for finding in verdict.findings] == ["unexpected"]


def test_without_file_or_ledger_it_says_what_to_do(history: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="there is no file"):
        audit_history(tmp_path / "none")
    with pytest.raises(UserError, match="there is no ledger"):
        audit_history(history, tmp_path / "none")


def test_a_ledger_that_is_cut_off_proves_nothing(history: Path) -> None:
    ledger = history.with_name("orders.jsonl.ledger") / "history.jsonl"
    ledger.write_bytes(ledger.read_bytes()[:-5])
    with pytest.raises(UserError, match="cut off"):
        audit_history(history)
