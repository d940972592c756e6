"""`make bench-keeping`: 4,000 commits of an archiver, with a keeper's rounds between them and without.

One process, one shard, ten rows a commit, two hundred commits a day; the log, the files and the keeper are the real
ones, in a folder of this machine, so that no store's distance hides what the log costs. A round comes every 100
commits. The keeper spares young checkpoints for two seconds instead of ten minutes, since the minutes between two
commits are left out here; what a day's compaction replaced stays in the log for a week, so all of it stays.
"""

import statistics
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from analytics.archiving.decode import decode_records
from analytics.archiving.sink import LakeSink
from analytics.maintenance.compaction import CompactionPolicy, Compactor
from analytics.maintenance.keeping import Keeper
from analytics.maintenance.log_care import LogCare
from analytics.maintenance.vacuum import Vacuum
from analytics.table.layout import DATA_PREFIX, LOG_PREFIX
from events.wire import encode
from foundation.bucket import Bucket
from foundation.clock import SYSTEM_CLOCK
from foundation.kinesis.records import Record, SequenceNumber
from tests.benchmarks.figures import Figure, alone, one_line
from tests.support.builders import an_envelope
from tests.support.worlds.kept_folder import KeptFolder
from tests.support.worlds.lake_world import KEYS, NEVER, SHARD

COMMITS = 4_000
ROWS = 10
COMMITS_A_DAY = 200
COMMITS_A_ROUND = 100
SPARED = timedelta(seconds=2)
BEGIN = datetime(2025, 1, 1, 12, tzinfo=UTC)


def rows(commit: int) -> Any:
    day = BEGIN + timedelta(days=commit // COMMITS_A_DAY)
    records = [
        Record(
            str(10**55 + commit * ROWS + at),
            "",
            encode(an_envelope(order_id=f"order-{commit}-{at}", occurred_at=day)),
            day.timestamp() + commit,
        )
        for at in range(ROWS)
    ]
    return decode_records(SHARD, records, KEYS).rows


def commits(bucket: Bucket, lake: KeptFolder, count: int, *, kept: bool) -> list[tuple[float, float]]:
    """The seconds of each commit, by the clock and of CPU."""
    took = []
    sink = LakeSink("orders", bucket, lake.log, NEVER, SYSTEM_CLOCK, lambda _: None, keys=KEYS)
    compactor = Compactor(bucket, lake.log, CompactionPolicy(), SYSTEM_CLOCK, lambda _: None)
    keeper = Keeper(lake.log, compactor, Vacuum(bucket, lake.log), LogCare(bucket, spared=SPARED), lambda _: None)
    shard = sink.open(SHARD)
    for commit in range(count):
        shard.append(rows(commit), after=shard.taken, upto=SequenceNumber(str(10**55 + commit * ROWS + ROWS - 1)))
        wall, cpu = time.perf_counter(), time.process_time()
        shard.flush()
        took.append((time.perf_counter() - wall, time.process_time() - cpu))
        if kept and (commit + 1) % COMMITS_A_ROUND == 0 and (failures := keeper.round()):
            raise failures[0]
    return took


def measured(count: int, *, kept: bool) -> list[Figure]:
    named = "with a keeper" if kept else "without"
    with tempfile.TemporaryDirectory() as folder:
        lake = KeptFolder(Path(folder))
        seconds = commits(lake.bucket, lake, count, kept=kept)
        tenth = count // 10
        parts = {"first": seconds[:tenth], "last": seconds[-tenth:]}
        log = list(lake.bucket.listed(LOG_PREFIX))
        checkpoints = [one for one in log if ".checkpoint." in one.key]
        files = lake.log.snapshot().all_files()
        if sum(file.rows for file in files) != count * ROWS:
            raise SystemExit(f"{sum(file.rows for file in files)} rows, and not {count * ROWS}")
        return [
            *(
                alone(f"{named}: a commit, median of the {part} tenth", statistics.median(some) * 1000, unit)
                for part, pairs in parts.items()
                for unit, some in zip(("ms", "ms of CPU"), zip(*pairs, strict=True), strict=True)
            ),
            alone(f"{named}: the log", sum(one.size for one in log) / 1e6, "MB"),
            alone(f"{named}: its checkpoints", sum(one.size for one in checkpoints) / 1e6, "MB"),
            alone(f"{named}: its checkpoints", len(checkpoints), "objects"),
            alone(f"{named}: files that count", len(files), "files"),
            alone(f"{named}: files that are there", sum(1 for _ in lake.bucket.keys(DATA_PREFIX)), "files"),
        ]


if __name__ == "__main__":
    asked = int(sys.argv[1]) if sys.argv[1:] else COMMITS
    print(one_line([*measured(asked, kept=False), *measured(asked, kept=True)]))  # noqa: T201
