"""History: the same bytes for a seed, in order of time, all of it in the ledger, in memory that does not grow."""

import hashlib
import subprocess
import sys
from collections import Counter
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest

from events.orders import EVENT_TYPES
from events.states import FINAL_EVENTS
from events.wire import UnreadableEvent, decode
from producers.load.history.history import START, HistoryExists, HistoryPlan, ledger_beside, sample, write_history
from producers.load.ledger import FaultKind, Ledger, LedgerUnwritable, read_ledger
from producers.load.market.scenarios import SCENARIOS
from tests.support.samples import SAMPLE_OF_SEED_7

pytestmark = pytest.mark.slow


def made(tmp_path: Path, name: str = "orders.jsonl", **plan: object) -> tuple[list[bytes], Ledger]:
    out = tmp_path / name
    settings = {"seed": 7, "days": 2, **plan}
    summary = write_history(HistoryPlan(**settings), out)  # type: ignore[arg-type]
    lines = out.read_bytes().splitlines()
    ledger = read_ledger(ledger_beside(out))
    assert (summary.lines, summary.events, summary.faults) == (len(lines), len(ledger.entries), len(ledger.faults))
    assert summary.orders == len(ledger.orders)
    return lines, ledger


def test_seed_7_is_the_same_on_every_machine() -> None:
    """`takeaway load --seed 7 --sample 1000 | sha256sum`."""
    assert hashlib.sha256(b"".join(sample(7, 1000))).hexdigest() == SAMPLE_OF_SEED_7


def test_a_sample_has_all_events_of_its_orders_as_a_history_has(tmp_path: Path) -> None:
    lines, _ = made(tmp_path)
    some = [line.removesuffix(b"\n") for line in sample(7, 200)]
    assert len({decode(line).order_id for line in some}) == 200
    assert set(some) <= set(lines)


def test_the_same_seed_writes_the_same_bytes_and_another_does_not(tmp_path: Path) -> None:
    first, _ = made(tmp_path, "a")
    again, _ = made(tmp_path, "b")
    other, _ = made(tmp_path, "c", seed=8)
    assert first == again
    assert first != other


def test_more_days_begin_with_the_fewer_ones(tmp_path: Path) -> None:
    one, _ = made(tmp_path, "one", days=1)
    two, _ = made(tmp_path, "two", days=2)
    midnight = START + timedelta(days=1)
    assert [line for line in one if decode(line).occurred_at < midnight] == [
        line for line in two if decode(line).occurred_at < midnight
    ]


def test_events_come_in_order_of_time_and_each_after_its_cause(tmp_path: Path) -> None:
    lines, ledger = made(tmp_path)
    seen: set[str] = set()
    before = START
    caused_by = {entry.event_id: entry.because_of for entry in ledger.entries}
    for line in lines:
        envelope = decode(line)
        assert before <= envelope.occurred_at
        before = envelope.occurred_at
        cause = caused_by[envelope.event_id]
        assert cause is None or cause in seen
        assert envelope.event_id not in seen
        seen.add(envelope.event_id)
    assert seen == {entry.event_id for entry in ledger.acknowledged}
    assert ledger.unacknowledged == ()


def test_every_order_ends_with_an_event_that_says_how(tmp_path: Path) -> None:
    lines, ledger = made(tmp_path, days=4)
    orders = Counter(decode(line).order_id for line in lines)
    ends = Counter(decode(line).event_type for line in lines if type(decode(line).event) in FINAL_EVENTS)
    assert ends.total() == len(orders)
    assert ends.keys() == {EVENT_TYPES[event] for event in FINAL_EVENTS}
    assert {end.outcome for end in ledger.silent_ends} == {"tapped_late"}
    tapped = {end.order_id for end in ledger.silent_ends}
    assert tapped <= {decode(line).order_id for line in lines if decode(line).event_type == "order_completed"}


def test_what_is_injected_is_in_the_ledger(tmp_path: Path) -> None:
    rates = {FaultKind.DUPLICATE: 0.01, FaultKind.TRUNCATED: 0.01, FaultKind.LATE: 0.01}
    lines, ledger = made(tmp_path, faults=rates)
    clean, _ = made(tmp_path, "clean")
    bad = sum(not _readable(line) for line in lines)
    counts = Counter(fault.fault for fault in ledger.faults)
    assert counts["truncated"] == bad > 0
    assert len(lines) == len(clean) + counts["duplicate"] + counts["truncated"]
    assert set(clean) == {line for line in lines if _readable(line)}


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_a_scenario_has_its_phases_and_its_answer_in_the_ledger(tmp_path: Path, scenario: str) -> None:
    lines, ledger = made(tmp_path, days=1, scenario=scenario)
    clean, _ = made(tmp_path, "clean", days=1)
    names = [phase.phase for phase in ledger.phases]
    assert names == ["baseline", "pre-incident", "incident", "recovery", "baseline"]
    assert [phase.until for phase in ledger.phases[:-1]] == [phase.since for phase in ledger.phases[1:]]
    incident = ledger.phases[2]
    assert incident.answer
    assert all(phase.answer is None for phase in ledger.phases if phase is not incident)
    # Nothing is different before it happens; something is while it does.
    before = sum(decode(line).occurred_at < incident.since for line in clean)
    assert lines[:before] == clean[:before]
    assert lines != clean
    if ledger.faults:
        assert all(incident.since <= fault.at for fault in ledger.faults)
        assert len(ledger.faults) > 5


def test_a_hot_restaurant_is_the_one_that_the_answer_names(tmp_path: Path) -> None:
    lines, ledger = made(tmp_path, days=1, scenario="hot-restaurant", orders_a_day=2000.0)
    incident = ledger.phases[2]
    shares = Counter(
        msgspec.json.decode(line)["restaurant_id"]
        for line in lines
        if b'"order_placed"' in line and incident.since <= decode(line).occurred_at < (incident.until or START)
    )
    assert incident.answer
    assert incident.answer.startswith(shares.most_common(1)[0][0])


def test_a_file_that_is_there_is_left_alone(tmp_path: Path) -> None:
    out = tmp_path / "orders.jsonl"
    out.write_bytes(b"mine\n")
    with pytest.raises(HistoryExists, match="fix: "):
        write_history(HistoryPlan(7, 1), out)
    assert out.read_bytes() == b"mine\n"
    (tmp_path / "b.jsonl.ledger").mkdir()
    with pytest.raises(HistoryExists):
        write_history(HistoryPlan(7, 1), tmp_path / "b.jsonl")


@pytest.mark.parametrize("error", [LedgerUnwritable("no room. fix: make room"), KeyboardInterrupt()])
def test_a_run_that_breaks_off_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    def breaks_off(*_: object) -> None:
        raise error

    monkeypatch.setattr("producers.load.ledger.LedgerWriter.note", breaks_off)
    with pytest.raises(type(error)):
        write_history(HistoryPlan(7, 1), tmp_path / "orders.jsonl")
    assert list(tmp_path.iterdir()) == []


MEASURED = """
import resource, sys
from pathlib import Path
from producers.load.history.history import HistoryPlan, write_history
write_history(HistoryPlan(7, int(sys.argv[1])), Path(sys.argv[2]))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def test_memory_does_not_grow_with_the_days(tmp_path: Path) -> None:
    peaks = []
    for days in (2, 12):
        command = [sys.executable, "-c", MEASURED, str(days), str(tmp_path / f"{days}.jsonl")]
        peaks.append(int(subprocess.run(command, capture_output=True, text=True, check=True).stdout))  # noqa: S603
    assert peaks[1] < 1.1 * peaks[0]


def _readable(line: bytes) -> bool:
    try:
        decode(line)
    except UnreadableEvent:
        return False
    return True
