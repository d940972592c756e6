"""`make bench-report`: the report of ten million events in a folder, of all and of a week: memory, seconds and bytes.

Each is made by a process of its own, before the compaction of the days and after. Memory is the process' largest
resident size, all of it: Python, Arrow, the database and the figures.
"""

import resource
import subprocess
import sys
import tempfile
from datetime import UTC, datetime, time, timedelta
from pathlib import Path

from analytics.lake import Lake
from analytics.reading import ALWAYS, Window
from analytics.report import About, make_report, render_report
from foundation.clock import SYSTEM_CLOCK
from tests.benchmarks import big_lake
from tests.benchmarks.figures import Figure, alone, one_line, within
from tests.benchmarks.mining import fill
from tests.support.worlds.kept_folder import KeptFolder

EVENTS = 10_000_000
LIMIT_MIB = 1000.0
LIMIT_BYTES = 1_000_000
_END = datetime.combine(big_lake.FIRST_DAY + timedelta(days=big_lake.DAYS), time(), UTC)
_WINDOWS = {"all": ALWAYS, "a week": Window(_END - timedelta(days=7), _END)}


def measured(uri: str, of: str) -> str:
    """Seconds by the clock and on processors, MiB at most, bytes, and the events counted; for a process of its own."""
    started = SYSTEM_CLOCK.monotonic()
    lake = Lake.open(uri, {})
    report = make_report(lake.dataset(), About(_END, _WINDOWS[of], lake.version), lake.repeats)
    size = len(render_report(report).encode())
    seconds, used = SYSTEM_CLOCK.monotonic() - started, resource.getrusage(resource.RUSAGE_SELF)
    # Not `ru_maxrss`, in which the kernel counts what the process that started this one had.
    [largest] = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM:")]
    events = report.rows("data_quality")[0]["events"]
    return f"{seconds} {used.ru_utime + used.ru_stime} {int(largest.split()[1]) / 1024} {size} {events}"


def reported(root: Path, of: str) -> tuple[float, float, float, float, int]:
    command = [sys.executable, "-m", "tests.benchmarks.report", str(root / "events"), of]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)  # noqa: S603 - our own arguments
    seconds, processor, memory, size, events = map(float, done.stdout.split())
    return seconds, processor, memory, size, int(events)


def main(events: int = EVENTS) -> None:
    figures: list[Figure] = []
    counted: dict[str, set[int]] = {of: set() for of in _WINDOWS}
    with tempfile.TemporaryDirectory() as root:
        folder = KeptFolder(Path(root))
        fill(folder, events)
        for when in ("before compaction", "after compaction"):
            if when == "after compaction":
                folder.compact()
            for of in _WINDOWS:
                seconds, processor, memory, size, found = reported(Path(root), of)
                counted[of].add(found)
                figures += [
                    within(f"report of {of}, {found:,} events, {when}: memory", memory, LIMIT_MIB, "MiB"),
                    within("its bytes", size, LIMIT_BYTES, "bytes"),
                    alone("its seconds", seconds, "s"),
                    alone("its seconds on processors", processor, "s"),
                ]
                print(one_line(figures[-4:]), file=sys.stderr, flush=True)  # noqa: T201
    if any(len(found) > 1 for found in counted.values()):
        raise SystemExit(f"a compaction changes what is counted: {counted}")
    print(one_line(figures))  # noqa: T201


if __name__ == "__main__":
    if len(sys.argv) == 3:
        print(measured(sys.argv[1], sys.argv[2]))  # noqa: T201
    else:
        main(*(int(argument) for argument in sys.argv[1:]))
