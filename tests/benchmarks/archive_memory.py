"""`make bench-archive-memory`: the archiver's memory over millions of events, four shards and 30 days in one run.

One process of four threads, a shard each, reads events that are made in another process as they are asked for; S3 is a
local AWS in a third. The figure is how much the resident memory grows from the first quarter of the run to the last.
"""

import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import psutil

from analytics.archiving.sink import LakeSink
from analytics.assembly import customer_keys, lake_sink
from analytics.table.layout import DATA_PREFIX
from consumers.archiver import Archiver
from consumers.dead_letters.set_apart import SetsApart
from consumers.processing import ShardAssignment
from foundation import aws
from foundation.clock import SYSTEM_CLOCK
from foundation.kinesis.records import Batch, Position, Record, Sentinel
from takeaway.local import aws as local_aws
from takeaway.local import processes
from takeaway.local.backends import EMBEDDED
from takeaway.stack import deployment
from tests.benchmarks.archive_input import BEGIN, events
from tests.benchmarks.archive_ours import NoLetters
from tests.benchmarks.figures import Figure, one_line, within

EVENTS = 1_000_000
SHARDS = 4
DAYS = 30
BATCH = 5_000
MEGABYTE = 1024 * 1024
# What the last quarter may have beyond the first: the log's own handle is loaded anew each time, and grows.
MOST_GROWTH_MB = 60.0
_length = 8


def source(shard: int, count: int) -> None:
    """Writes the shard's events to stdout, msgpack in frames; in a process of its own, so that it costs us no memory.

    The rate spreads them over the days.
    """
    rate = count / 5 / (DAYS * 86_400)
    encoder = msgspec.msgpack.Encoder()
    stream = events(rate, seed=shard)
    for start in range(0, count, BATCH):
        bodies = [(happened_at.timestamp(), body) for happened_at, body in _some(stream, min(BATCH, count - start))]
        frame = encoder.encode(bodies)
        sys.stdout.buffer.write(len(frame).to_bytes(_length, "big") + frame)
    sys.stdout.buffer.flush()


def _some(stream: Any, count: int) -> list[Any]:
    return [next(stream) for _ in range(count)]


def archive(environ: dict[str, str], count: int, sample: Callable[[int], None]) -> list[Any]:
    """Feeds four shards side by side; `sample` is called with the number of events so far after each batch."""
    told: list[Any] = []
    keys = customer_keys(environ)
    sink: LakeSink = lake_sink(environ, "memory", told.append, keys)
    done, lock = [0], threading.Lock()

    def read(shard: int) -> None:
        shard_id = f"shardId-{shard:012d}"
        archiver = Archiver(
            ShardAssignment("memory", shard_id, Sentinel.TRIM_HORIZON),
            sink=sink,
            keys=keys,
            apart=SetsApart("archiver", NoLetters(), clock=SYSTEM_CLOCK, emit=told.append),
            clock=SYSTEM_CLOCK,
        )
        command = [sys.executable, "-m", "tests.benchmarks.archive_memory", "source", str(shard), str(count // SHARDS)]
        position: Position = Sentinel.TRIM_HORIZON
        number = 0
        with subprocess.Popen(command, stdout=subprocess.PIPE) as made:  # noqa: S603 - our own arguments
            assert made.stdout is not None
            while head := made.stdout.read(_length):
                bodies = msgspec.msgpack.decode(
                    made.stdout.read(int.from_bytes(head, "big")), type=list[tuple[float, bytes]]
                )
                records = tuple(
                    Record(number=str(10**55 + number + at), partition_key="order", data=body, arrived=arrived)
                    for at, (arrived, body) in enumerate(bodies)
                )
                number += len(records)
                archiver.process(Batch("memory", shard_id, position, records, 1))
                position = records[-1].sequence_number
                with lock:
                    done[0] += len(records)
                    sample(done[0])
        archiver.flush()

    threads = [threading.Thread(target=read, args=(shard,)) for shard in range(SHARDS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return told


def measured(count: int) -> list[Figure]:
    with tempfile.TemporaryDirectory() as folder:
        running, reached = EMBEDDED.start(local_aws.free_port(), Path(folder), following=True)
        try:
            environ = {**os.environ, **reached}
            environ |= deployment.deploy(environ)
            os.environ.update(environ)
            return _figures(environ, count)
        finally:
            processes.stop_processes([running], grace=15)


def _figures(environ: dict[str, str], count: int) -> list[Figure]:
    process, samples = psutil.Process(), dict[int, list[float]]()
    next_said = [count // 20]

    def sample(done: int) -> None:
        used = process.memory_info().rss / MEGABYTE
        samples.setdefault(min(4 * done // count, 3), []).append(used)
        if done >= next_said[0]:
            next_said[0] += count // 20
            print(f"{done:>11,} events  {used:7.1f} MB", file=sys.stderr, flush=True)  # noqa: T201

    told = archive(environ, count, sample)
    commits = [one for one in told if type(one).__name__ == "LakeCommitted"]
    rows, dropped = sum(one.rows for one in commits), sum(one.dropped for one in commits)
    if rows + dropped != count:
        raise SystemExit(f"{rows} rows and {dropped} dropped of {count} events")
    s3 = aws.client("s3", environ)
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=environ["TAKEAWAY_LAKE_BUCKET"], Prefix=DATA_PREFIX)
    files = [entry for page in pages for entry in page.get("Contents", [])]
    days = {entry["Key"].split("/")[1] for entry in files}
    _say(commits, files, days)
    growth = max(samples[3]) - max(samples[0])
    return [
        within("archiver's memory: the most", max(max(each) for each in samples.values()), 1024.0, "MB resident"),
        within("archiver's memory: growth from the first quarter to the last", max(growth, 0.0), MOST_GROWTH_MB, "MB"),
    ]


def _say(commits: list[Any], files: list[Any], days: set[str]) -> None:
    told = {
        "commits": len(commits),
        "rows_a_commit": sum(one.rows for one in commits) // len(commits),
        "files": len(files),
        "days": len(days),
        "kilobytes_a_file": sum(entry["Size"] for entry in files) // len(files) // 1024,
        "begin": BEGIN.isoformat(),
    }
    print(json.dumps(told), file=sys.stderr)  # noqa: T201


if __name__ == "__main__":
    if sys.argv[1:2] == ["source"]:
        source(int(sys.argv[2]), int(sys.argv[3]))
    else:
        print(one_line(measured(int(sys.argv[1]) if sys.argv[1:] else EVENTS)))  # noqa: T201
