"""Reconciles a file of history with its ledger: every event once, every injected fault accounted for."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from events import OrderState, UnknownEvent, UnreadableEvent, decode
from producers.load.history import ledger_beside
from producers.load.ledger import InjectedFault, LedgerEntry, digest, ledger_lines
from takeaway.audit.facts import in_words, outcomes
from takeaway.audit.verdict import DOUBLED, LOST, UNEXPECTED, Finding
from takeaway.errors import UserError


@dataclass(frozen=True)
class HistoryAudit:
    """The verdict. `duplicates`, `newer` and `quarantined` are the injected ones found; all are in the ledger.

    `outcomes` are the orders by their end.
    """

    orders: int
    events: int
    duplicates: int
    newer: int
    quarantined: int
    findings: tuple[Finding, ...]
    outcomes: Mapping[OrderState, int] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        return not self.findings

    def count(self, kind: str) -> int:
        return sum(finding.kind == kind for finding in self.findings)

    @property
    def receipt(self) -> str:
        unexpected = self.count(UNEXPECTED)
        ends = "".join(f"{end} · " for end in in_words(self.outcomes))
        return (
            f"{self.orders:,} orders · {ends}{self.events:,} events · {self.count(LOST):,} lost · "
            f"{self.count(DOUBLED):,} doubled · {self.duplicates:,} injected duplicates removed · "
            f"{self.newer:,} newer events kept · {self.quarantined:,} bad events quarantined"
            + (f" · {unexpected:,} unexpected" if unexpected else "")
        )


def audit_history(history: Path, ledger: Path | None = None) -> HistoryAudit:
    """Holds the file against the ledger beside it, or the one named."""
    directory = ledger or ledger_beside(history)
    if not history.is_file():
        raise UserError(f"there is no file {history}", "`takeaway load history --out FILE` writes one, or name another")
    if not any(directory.glob("*.jsonl")):
        raise UserError(
            f"there is no ledger in {directory}", "keep it beside the file it came with, or name it with --ledger"
        )
    promised = _promised(directory)
    with history.open("rb") as file:
        return judge(promised, (line.removesuffix(b"\n") for line in file))


@dataclass
class Promised:
    """What the ledger says: each event's type, how often it comes beyond once, and the bad records by digest."""

    events: dict[str, str] = field(default_factory=dict)
    orders: set[str] = field(default_factory=set)
    doubled: Counter[str] = field(default_factory=Counter)
    newer: Counter[str] = field(default_factory=Counter)
    quarantined: Counter[str] = field(default_factory=Counter)


def judge(promised: Promised, lines: Iterable[bytes]) -> HistoryAudit:
    """Pure: what was promised, and what is there."""
    seen: Counter[str] = Counter()
    bad: Counter[str] = Counter()
    newer: Counter[str] = Counter()
    unexpected: list[Finding] = []
    for number, line in enumerate(lines, start=1):
        try:
            envelope = decode(line)
        except UnreadableEvent as error:
            there, injected = (
                (newer, promised.newer) if isinstance(error, UnknownEvent) else (bad, promised.quarantined)
            )
            there[digest(line)] += 1
            if there[digest(line)] > injected[digest(line)]:
                unexpected.append(Finding(UNEXPECTED, f"line {number} is no injected fault: {error}"))
            continue
        seen[envelope.event_id] += 1
        if promised.events.get(envelope.event_id) != envelope.event_type:
            named = f"{envelope.event_type} {envelope.event_id}"
            unexpected.append(Finding(UNEXPECTED, f"line {number}: {named} is not in the ledger"))
    found = Counter(promised.events[event_id] for event_id in seen if event_id in promised.events)
    return HistoryAudit(
        orders=len(promised.orders),
        events=found.total(),
        outcomes=outcomes(found),
        duplicates=sum((seen & Counter({one: count + 1 for one, count in promised.doubled.items()})).values())
        - sum(1 for event_id in promised.doubled if seen[event_id]),
        newer=(newer & promised.newer).total(),
        quarantined=(bad & promised.quarantined).total(),
        findings=(
            *_events(promised, seen),
            *_missing("newer event", promised.newer - newer),
            *_missing("bad record", promised.quarantined - bad),
            *unexpected,
        ),
    )


def _promised(directory: Path) -> Promised:
    promised, torn = Promised(), list[str]()
    for line in ledger_lines(directory, torn):
        if isinstance(line, LedgerEntry):
            promised.events[line.event_id] = line.event_type
            promised.orders.add(line.order_id)
        elif isinstance(line, InjectedFault) and line.verdict == "doubled":
            promised.doubled[line.event_id] += 1
        elif isinstance(line, InjectedFault) and line.verdict == "newer":
            promised.newer[line.digest] += 1
        elif isinstance(line, InjectedFault) and line.verdict == "quarantined":
            promised.quarantined[line.digest] += 1
    if torn:
        raise UserError(f"{', '.join(torn)} in {directory} is cut off", "write the history again: it did not end well")
    return promised


def _events(promised: Promised, seen: Counter[str]) -> Iterator[Finding]:
    for event_id, event_type in promised.events.items():
        times, allowed = seen[event_id], 1 + promised.doubled[event_id]
        # guarantee: a history is audited event by event
        if times < allowed:
            yield Finding(LOST, f"{event_type} {event_id} is in the ledger {allowed} times, and in the file {times}")
        elif times > allowed:
            yield Finding(DOUBLED, f"{event_type} {event_id} is in the file {times} times, and {allowed} in the ledger")


def _missing(kind: str, missing: Counter[str]) -> Iterator[Finding]:
    for one, count in missing.items():
        yield Finding(LOST, f"{count} injected {kind} of digest {one} is not in the file")
