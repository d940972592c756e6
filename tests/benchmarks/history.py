"""`make bench-history`: 90 days of orders to a file, beside 30: time, memory, and what the audit says of it."""

import subprocess
import sys
import tempfile
from pathlib import Path

from foundation.clock import SYSTEM_CLOCK
from takeaway.audit.history import audit_history
from tests.benchmarks.figures import one_line, within

DAYS, FEWER_DAYS = 90, 30
LIMIT_SECONDS = 15.0
# Memory is flat when three times the days need no more than this, as a share.
LIMIT_GROWTH = 1.05

WRITE = """
import resource, sys
from pathlib import Path
from producers.load.history.history import HistoryPlan, write_history
print(write_history(HistoryPlan(7, int(sys.argv[1])), Path(sys.argv[2])), file=sys.stderr)
used = resource.getrusage(resource.RUSAGE_SELF)
print(used.ru_maxrss / 1024, used.ru_utime + used.ru_stime)
"""


def written(days: int, out: Path) -> tuple[float, float, float]:
    """Seconds from the process' start to its end, of them on a processor, and its largest resident memory in MiB."""
    started = SYSTEM_CLOCK.monotonic()
    command = [sys.executable, "-c", WRITE, str(days), str(out)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)  # noqa: S603 - our own arguments
    memory, processor = map(float, done.stdout.split())
    return SYSTEM_CLOCK.monotonic() - started, processor, memory


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        _, _, less = written(FEWER_DAYS, Path(folder) / "fewer.jsonl")
        out = Path(folder) / "orders.jsonl"
        seconds, processor, most = written(DAYS, out)
        verdict = audit_history(out)
    print(f"{less:.0f} MiB for {FEWER_DAYS} days, {most:.0f} MiB for {DAYS}\n{verdict.receipt}")  # noqa: T201
    figures = [
        within(f"{DAYS} days of orders to a file", seconds, LIMIT_SECONDS, "s"),
        within("the same, on a processor alone", processor, LIMIT_SECONDS, "s"),
        within(f"memory for {DAYS} days over memory for {FEWER_DAYS}", most / less, LIMIT_GROWTH, "times"),
        within("findings of the audit", float(len(verdict.findings)), 0.0, "findings"),
    ]
    print(one_line(figures))  # noqa: T201


if __name__ == "__main__":
    main()
