"""Archivers of a fleet as `make bench-commits` runs them: several in one process, each with a committer of its own.

Waits for a line on stdin once it is ready, so that all processes of a fleet begin at once; prints what it has seen.
"""

import os
import random
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from datetime import date, timedelta
from itertools import count, islice
from typing import Any

import boto3
import msgspec

from analytics.archiving.diagnostics import LakeCommitted, LakeShardFailed
from analytics.archiving.shard_sink import CommitFailed
from analytics.archiving.sink import LakeSink
from analytics.assembly import customer_keys
from analytics.privacy.customer_keys import CustomerKeys
from analytics.rotation import RotationPolicy
from analytics.table.layout import table_uri
from analytics.table.log import AddedFile, CommitLog, DeltaLog, LogEntry, Snapshot
from consumers.archiver import Archiver
from consumers.dead_letters.set_apart import SetsApart
from consumers.processing import ShardAssignment
from foundation.aws import storage_options
from foundation.backoff import pause_after
from foundation.bucket import Bucket
from foundation.clock import SYSTEM_CLOCK, uninterrupted_wait
from foundation.kinesis.records import Batch, Position, Record, Sentinel
from foundation.settings import variable
from tests.benchmarks.archive_input import events
from tests.benchmarks.archive_ours import NoLetters

STREAM = "fleet"
# What an entry of Delta's log has, about.
PUT_SIZE = 2048


class Task(msgspec.Struct, frozen=True, kw_only=True):
    """`archivers` committers, the fleet's from `first` on, of `shards` shards each.

    For `seconds` each takes `rows` rows a shard every `pace` seconds, and commits when they are `age` seconds old; when
    `age` is 0, whenever all its shards have taken some. When they are `spread`, as `lake_sink` makes them, the first
    commit comes sooner.
    """

    first: int
    seconds: float
    archivers: int = 1
    shards: int = 1
    rows: int = 1
    pace: float = 0.0
    age: float = 0.0
    spread: bool = True

    @property
    def policy(self) -> RotationPolicy:
        return (
            RotationPolicy(age=timedelta(seconds=self.age))
            if self.age
            else RotationPolicy(rows=self.rows * self.shards)
        )


class Seen(msgspec.Struct):
    """`records` were given, and `dropped` of them by us; `failed` counts shards, a shard each time.

    Of the time that counts: `commits` are seconds, from the call that found one due until it was done, through all that
    failed meanwhile; `based_on` is the log's version that each was made from, by its application and number there.
    """

    records: int = 0
    dropped: int = 0
    failed: int = 0
    commits: list[float] = msgspec.field(default_factory=list)
    based_on: dict[str, int] = msgspec.field(default_factory=dict)


class WatchedLog:
    """Notes what each commit was made from."""

    def __init__(self, log: CommitLog, based_on: dict[str, int]) -> None:
        self._log = log
        self._based_on = based_on

    def exists(self) -> bool:
        return self._log.exists()

    def snapshot(self) -> Any:
        return WatchedSnapshot(self._log.snapshot(), self._based_on)


class WatchedSnapshot:
    def __init__(self, snapshot: Snapshot, based_on: dict[str, int]) -> None:
        self._snapshot = snapshot
        self._based_on = based_on

    def __getattr__(self, name: str) -> Any:
        return getattr(self._snapshot, name)

    def commit(
        self, files: Sequence[AddedFile], entries: Mapping[str, LogEntry], *, replacing: date | None = None
    ) -> None:
        self._snapshot.commit(files, entries, replacing=replacing)
        self._based_on |= {f"{application}:{entry.n}": self._snapshot.version for application, entry in entries.items()}


class Reader:
    """Feeds one shard's archiver with events of its own."""

    def __init__(self, shard: int, sink: LakeSink, keys: CustomerKeys, seen: Seen) -> None:
        self.shard_id = f"shardId-{shard:012d}"
        self._archiver = Archiver(
            ShardAssignment(STREAM, self.shard_id, Sentinel.TRIM_HORIZON),
            sink=sink,
            keys=keys,
            apart=SetsApart("archiver", NoLetters(), clock=SYSTEM_CLOCK, emit=lambda _: None),
            clock=SYSTEM_CLOCK,
        )
        self._events = events(5.0, seed=shard)
        self._numbers = count(1)
        self._position: Position = Sentinel.TRIM_HORIZON
        self._seen = seen

    def take(self, rows: int) -> None:
        """As an engine does: the same records, until they are taken."""
        records = tuple(
            Record(number=str(next(self._numbers)), partition_key="order", data=body, arrived=happened_at.timestamp())
            for happened_at, body in islice(self._events, rows)
        )
        self._seen.records += rows
        batch = Batch(STREAM, self.shard_id, self._position, records, 1)
        self._persistently(lambda: self._archiver.process(batch))
        self._position = records[-1].sequence_number

    def flush(self) -> None:
        self._persistently(self._archiver.flush)

    def _persistently(self, call: Callable[[], object]) -> None:
        wait, attempts = uninterrupted_wait(), 0
        while True:
            try:
                call()
            except CommitFailed:
                attempts += 1
                wait(pause_after(attempts))
            else:
                return


class Committer:
    """One process of a fleet: its readers share a committer."""

    def __init__(self, environ: Mapping[str, str], number: int, task: Task, keys: CustomerKeys) -> None:
        self._task = task
        self.seen = Seen()
        self._commits = 0
        self._based_on: dict[str, int] = {}
        bucket = environ[variable("lake_bucket")]
        sink = LakeSink(
            STREAM,
            Bucket(boto3.client("s3"), bucket),
            WatchedLog(DeltaLog(table_uri(bucket), storage_options(environ), SYSTEM_CLOCK), self._based_on),
            task.policy,
            SYSTEM_CLOCK,
            self._note,
            keys=keys,
            first=task.policy.sooner(random.Random(number)) if task.spread and task.age else None,
        )
        self._readers = [Reader(number * task.shards + shard, sink, keys, self.seen) for shard in range(task.shards)]

    def run(self) -> None:
        task, clock, wait = self._task, SYSTEM_CLOCK, uninterrupted_wait()
        end = clock.monotonic() + task.seconds
        while clock.monotonic() < end:
            began, commits = clock.monotonic(), self._commits
            for reader in self._readers:
                reader.take(task.rows)
            took = clock.monotonic() - began
            if self._commits > commits:
                self.seen.commits.append(took)
            wait(max(0.0, task.pace - took))
        self.seen.based_on = dict(self._based_on)

    def flush(self) -> None:
        for reader in self._readers:
            reader.flush()

    def _note(self, told: object) -> None:
        if isinstance(told, LakeShardFailed):
            self.seen.failed += 1
        elif isinstance(told, LakeCommitted):
            self._commits += 1
            self.seen.dropped += told.dropped


def commit(environ: Mapping[str, str], task: Task) -> list[Seen]:
    """What each archiver saw."""
    keys = customer_keys(environ)
    committers = [Committer(environ, task.first + number, task, keys) for number in range(task.archivers)]
    _all_ready()
    threads = [threading.Thread(target=committer.run) for committer in committers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for committer in committers:
        committer.flush()
    return [committer.seen for committer in committers]


def put(environ: Mapping[str, str], first: int, seconds: float) -> int:
    """How many objects a closed loop makes, under the condition that they are new."""
    bucket, body = Bucket(boto3.client("s3"), environ[variable("lake_bucket")]), os.urandom(PUT_SIZE)
    _all_ready()
    end, made = SYSTEM_CLOCK.monotonic() + seconds, 0
    while SYSTEM_CLOCK.monotonic() < end:
        bucket.create(f"yardstick/{first}/{made:09d}", body)
        made += 1
    return made


def _all_ready() -> None:
    print("ready", flush=True)  # noqa: T201
    sys.stdin.readline()


def main(what: str, task: str) -> None:
    given = msgspec.json.decode(task, type=Task)
    environ = dict(os.environ)
    made: Any = commit(environ, given) if what == "commit" else put(environ, given.first, given.seconds)
    print(msgspec.json.encode(made).decode())  # noqa: T201


if __name__ == "__main__":
    main(*sys.argv[1:])
