"""What the demo says at its end: the receipt, what the audit found, and why, where the processes' logs tell."""

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from rich.console import Console

from consumers.diagnostics import LeaseLost
from takeaway.audit import REPEATED_EVENT, Audit, Latency
from takeaway.logs import LogFolder
from takeaway.terminal import counted

_SHOWN_OF_A_KIND = 5
_LOST = LeaseLost.__name__


def conclude(verdict: Audit, told: Sequence[Latency], logs: Path, console: Console, *, ok: bool) -> None:
    """`logs` is the folder of the processes' logs."""
    console.print(f"\n{verdict.receipt}", style="bold green" if ok else "bold red", soft_wrap=True)
    for line in (*findings(verdict), *cause(verdict, logs), *verdict.waiting_for):
        console.print(f"  {line}", soft_wrap=True, highlight=False)
    for latency in told:
        console.print(str(latency), highlight=False)


def findings(verdict: Audit) -> Iterator[str]:
    """A few of each kind, and how many more there are."""
    seen = Counter[str]()
    for finding in verdict.findings:
        seen[finding.kind] += 1
        if seen[finding.kind] <= _SHOWN_OF_A_KIND:
            yield f"{finding.kind}: {finding.what}"
    for kind, number in seen.items():
        if number > _SHOWN_OF_A_KIND:
            yield f"{kind}: {number - _SHOWN_OF_A_KIND:,} more"


def cause(verdict: Audit, logs: Path) -> Iterator[str]:
    """What it means that events were told again, and why, where consumers lost their leases meanwhile."""
    if not verdict.count(REPEATED_EVENT):
        return
    with LogFolder(logs) as folder:
        lost = sum(line.told is not None and line.told.get("happened") == _LOST for line in folder.lines())
    yield (
        "the stream has an event once or more; told again it has its id, by which the lake has it once and no consumer "
        "acts on it twice"
    )
    if lost:
        yield (
            f"consumers lost {counted(lost, 'lease')}: this machine was too busy to renew them in time, and what was "
            "under way was told again. fix: end what else runs here, or place fewer orders a second, with --rate"
        )
