"""`make bench-lake`: five business questions of ten million events on S3, beside DuckDB over the same data set.

Each question is asked in a fresh process, turn by turn, before and after the compaction of every day; a figure is the
median of the rounds' seconds from start to end of the process. Both must give the same answer, and after compaction the
one that they gave before.
"""

import os
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import date
from pathlib import Path

import pyarrow as pa

from analytics.files.writing import parquet
from analytics.maintenance.compaction import CompactionPolicy, Compactor
from analytics.report.questions import FIVE_QUESTIONS
from analytics.table.layout import BatchNumber, ShardPaths, object_key, table_uri
from analytics.table.log import AddedFile, DeltaLog, LogEntry
from foundation import aws
from foundation.aws import storage_options
from foundation.bucket import Bucket
from foundation.clock import SYSTEM_CLOCK
from foundation.settings import variable
from takeaway.local import aws as local_aws
from takeaway.local import backends, processes
from tests.benchmarks import big_lake
from tests.benchmarks.figures import Figure, beside, one_line

EVENTS = 10_000_000
ROUNDS = 3
BUCKET = "big-lake"
# Each shard's archiver commits so many files a day.
COMMITS_A_DAY = 6
# Ours takes at most 1.3 times as long.
TARGET = round(1 / 1.3, 2)


@contextmanager
def served() -> Iterator[dict[str, str]]:
    """The variables that lead to an empty bucket on a local AWS of our own, which ends with the block."""
    with tempfile.TemporaryDirectory() as logs:
        running, reached = backends.EMBEDDED.start(local_aws.free_port(), Path(logs), following=True)
        try:
            environ = {**os.environ, **reached, variable("lake_bucket"): BUCKET}
            aws.client("s3", environ).create_bucket(Bucket=BUCKET)
            yield environ
        finally:
            processes.stop_processes([running], grace=5)


def fill(environ: Mapping[str, str], events: int) -> None:
    """As archivers would have: a file for each shard and flush, and the commits that made them visible."""
    bucket, log = Bucket(aws.client("s3", environ), BUCKET), _log(environ)
    n = 0
    for day, rows in big_lake.days(events):
        step = -(-rows.num_rows // COMMITS_A_DAY)
        for first in range(0, rows.num_rows, step):
            n += 1
            part = rows.slice(first, step)
            added = [_put(bucket, day, n, shard, big_lake.of_shard(part, shard)) for shard in range(big_lake.SHARDS)]
            entry = LogEntry(n=n, epoch=1, batch_id=str(n), hi=None)
            log.snapshot().commit(added, {_paths(shard).application: entry for shard in range(big_lake.SHARDS)})


def _put(bucket: Bucket, day: date, n: int, shard: int, rows: pa.Table) -> AddedFile:
    path, body = _paths(shard).data_file(day, BatchNumber(n, 1), 0), parquet(rows, {})
    bucket.create(object_key(path), body)
    return AddedFile(path, len(body), day, rows.num_rows)


def compact(environ: Mapping[str, str]) -> None:
    bucket = Bucket(aws.client("s3", environ), BUCKET)
    compactor = Compactor(bucket, _log(environ), CompactionPolicy(), SYSTEM_CLOCK, lambda _: None)
    done = list(compactor.run(compactor.due()))
    before, after = sum(day.files_before for day in done), sum(day.files_after for day in done)
    _say(f"compacted {before} files to {after}, without {sum(day.dropped for day in done)} repeated events")


def ask(environ: Mapping[str, str], who: str, name: str) -> tuple[float, str]:
    """Seconds of the whole process, and what it answered."""
    started = SYSTEM_CLOCK.monotonic()
    done = subprocess.run(  # noqa: S603 - our own arguments
        [sys.executable, "-m", "tests.benchmarks.ask_lake", who, name],
        env=dict(environ),
        capture_output=True,
        text=True,
        check=False,
    )
    seconds = SYSTEM_CLOCK.monotonic() - started
    if done.returncode:
        raise SystemExit(f"{who} {name} failed:\n{done.stderr[-3000:]}")
    return seconds, done.stdout.strip()


def race(events: int = EVENTS, rounds: int = ROUNDS) -> list[Figure]:
    figures: list[Figure] = []
    answers: dict[str, set[str]] = defaultdict(set)
    with served() as environ:
        _say(f"writing {events:,} events")
        fill(environ, events)
        for when in ("before compaction", "after compaction"):
            if when == "after compaction":
                compact(environ)
            for question in FIVE_QUESTIONS:
                seconds: dict[str, list[float]] = defaultdict(list)
                for number in range(rounds):
                    for who in ("ours", "peer") if number % 2 else ("peer", "ours"):
                        took, answer = ask(environ, who, question.name)
                        seconds[who].append(took)
                        answers[question.name].add(answer)
                figure = beside(f"{question.name}, {when}", seconds["ours"], seconds["peer"], "s", TARGET)
                _say(f"{figure.name:45} ours {figure.ours:7.3f} s  DuckDB {figure.peer:7.3f} s")
                figures.append(figure)
    if different := [name for name, told in answers.items() if len(told) > 1]:
        raise SystemExit(f"not everybody gives the same answer to: {', '.join(different)}")
    return figures


def _log(environ: Mapping[str, str]) -> DeltaLog:
    return DeltaLog(table_uri(BUCKET), storage_options(environ), SYSTEM_CLOCK)


def _paths(shard: int) -> ShardPaths:
    return ShardPaths("orders", f"shardId-{shard:012}")


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)  # noqa: T201


if __name__ == "__main__":
    print(one_line(race(*(int(argument) for argument in sys.argv[1:]))))  # noqa: T201
