"""`make bench-mining`: the flow mined from a million events in a folder, before the compaction of its days and after.

Each round is a process of its own; a figure is the median of the rounds' seconds from opening the lake to the answer,
without Python's imports. The answer must be the same before and after.
"""

import hashlib
import resource
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from analytics.files.writing import parquet
from analytics.lake import Lake
from analytics.mining import mine
from analytics.table.layout import object_key
from analytics.table.log import AddedFile, LogEntry
from foundation.clock import SYSTEM_CLOCK
from tests.benchmarks import big_lake
from tests.benchmarks.figures import Figure, alone, one_line, within
from tests.support.worlds.kept_folder import KeptFolder

EVENTS = 1_000_000
ROUNDS = 5
LIMIT_SECONDS = 3.0


def fill(folder: KeptFolder, events: int) -> None:
    """A commit a day, with a file for each shard."""
    for number, (day, rows) in enumerate(big_lake.days(events)):
        added = []
        for shard in range(big_lake.SHARDS):
            path = f"event_date={day}/late-{number * big_lake.SHARDS + shard:032x}.parquet"
            part = big_lake.of_shard(rows, shard)
            body = parquet(part, {})
            folder.bucket.create(object_key(path), body)
            added.append(AddedFile(path, len(body), day, part.num_rows))
        entry = LogEntry(n=1, epoch=0, batch_id=str(number), hi=None, rows=rows.num_rows)
        folder.log.snapshot().commit(added, {f"late/{number}": entry})


def measured(uri: str) -> str:
    """Seconds by the clock and on processors, MiB at most, and the answer; for a process of its own."""
    started, before = SYSTEM_CLOCK.monotonic(), resource.getrusage(resource.RUSAGE_SELF)
    mined = mine(Lake.open(uri, {}).sql)
    seconds, used = SYSTEM_CLOCK.monotonic() - started, resource.getrusage(resource.RUSAGE_SELF)
    processor = used.ru_utime + used.ru_stime - before.ru_utime - before.ru_stime
    answer = hashlib.sha256(repr(mined).encode()).hexdigest()
    return f"{seconds} {processor} {used.ru_maxrss / 1024} {mined.events} events: {answer}"


def asked(root: Path) -> tuple[float, float, float, str]:
    command = [sys.executable, "-m", "tests.benchmarks.mining", str(root / "events")]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)  # noqa: S603 - our own arguments
    seconds, processor, memory, answer = done.stdout.strip().split(" ", 3)
    return float(seconds), float(processor), float(memory), answer


def main(events: int = EVENTS, rounds: int = ROUNDS) -> None:
    figures: list[Figure] = []
    answers: set[str] = set()
    with tempfile.TemporaryDirectory() as root:
        folder = KeptFolder(Path(root))
        fill(folder, events)
        for when in ("before compaction", "after compaction"):
            if when == "after compaction":
                folder.compact()
            seconds, processor, memory, answered = zip(*(asked(Path(root)) for _ in range(rounds)), strict=True)
            answers.update(answered)
            figures += [
                within(f"{events:,} events mined, {when}", statistics.median(seconds), LIMIT_SECONDS, "s"),
                alone("the same, on processors", statistics.median(processor), "s"),
                alone("the same, memory in all", statistics.median(memory), "MiB"),
            ]
    if len(answers) > 1:
        raise SystemExit(f"the answers differ: {answers}")
    print(one_line(figures))  # noqa: T201


if __name__ == "__main__":
    if sys.argv[1:] and not sys.argv[1].isdecimal():
        print(measured(sys.argv[1]))  # noqa: T201
    else:
        main(*(int(argument) for argument in sys.argv[1:]))
