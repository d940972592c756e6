"""Two compactors and an archiver, each held just before its commit: on Delta's own log, on disk and on S3."""

import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest

from analytics.archiving.shard_sink import CommitFailed
from analytics.archiving.sink import LakeSink
from analytics.files.stored import stored_rows
from analytics.maintenance.compaction import CompactedDay, CompactionPolicy, Compactor
from analytics.table.layout import is_compacted, object_key, table_uri
from analytics.table.log import CommitLog, CommitRejected, DeltaLog
from analytics.table.schema import EVENT_SCHEMA
from foundation.aws import storage_options
from foundation.bucket import Bucket
from foundation.clock import SYSTEM_CLOCK
from foundation.kinesis.records import SequenceNumber
from tests.support.builders import NOON
from tests.support.fakes.bucket import FakeBucket
from tests.support.fakes.held_log import TIMEOUT, HeldLog
from tests.support.worlds.lake_world import KEYS, NEVER, rows

DAY = NOON.date()


@dataclass(frozen=True)
class TheLake:
    """Where the lake is."""

    bucket: Bucket
    log: CommitLog


@pytest.fixture(params=["disk", pytest.param("s3", marks=pytest.mark.local_aws)])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[TheLake]:
    if request.param == "disk":
        yield TheLake(Bucket(FakeBucket().client, "lake"), DeltaLog(str(tmp_path / "events"), {}, SYSTEM_CLOCK))
        return
    local_aws = request.getfixturevalue("local_aws")
    s3, name = local_aws.client("s3"), f"lake-{tmp_path.name[:40].replace('_', '-')}"
    s3.create_bucket(Bucket=name)
    yield TheLake(Bucket(s3, name), DeltaLog(table_uri(name), storage_options(local_aws.environ), SYSTEM_CLOCK))


def sink(place: TheLake, log: CommitLog) -> LakeSink:
    return LakeSink("orders", place.bucket, log, NEVER, SYSTEM_CLOCK, lambda _: None, keys=KEYS)


def visible(place: TheLake) -> list[str]:
    files = place.log.snapshot().all_files()
    return sorted(str(row) for file in files for row in stored_rows(place.bucket, file, EVENT_SCHEMA).to_pylist())


@pytest.mark.slow
def test_two_compactors_and_an_archiver_at_a_barrier(place: TheLake) -> None:
    shard = sink(place, place.log).open("shardId-0")
    for number in range(1, 7):
        shard.append(rows(number, shard_id="shardId-0"), after=None, upto=SequenceNumber(str(number)))
        shard.flush()
    barrier = threading.Barrier(3)
    before, outcomes = visible(place), dict[str, object]()

    def compact(name: str) -> None:
        held = HeldLog(place.log, barrier)
        try:
            outcomes[name] = Compactor(place.bucket, held, CompactionPolicy(), SYSTEM_CLOCK, lambda _: None).compact(
                DAY
            )[0]
        except CommitRejected as rejected:
            outcomes[name] = rejected

    def archive() -> None:
        other = sink(place, HeldLog(place.log, barrier))
        # Opening a shard that nobody had commits nothing.
        new = other.open("shardId-1")
        new.append(rows(7, 8, shard_id="shardId-1"), after=None, upto=SequenceNumber("8"))
        # Whoever adds from a snapshot that a compaction has overtaken is rejected, and tries again as engines do.
        while "archiver" not in outcomes:
            with suppress(CommitFailed):
                outcomes["archiver"] = new.flush()

    threads = [
        threading.Thread(target=compact, args=("first",)),
        threading.Thread(target=compact, args=("second",)),
        threading.Thread(target=archive),
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(2 * TIMEOUT)
    added = sorted(str(row) for row in rows(7, 8, shard_id="shardId-1").to_pylist())
    assert visible(place) == sorted(before + added)
    assert outcomes["archiver"] == SequenceNumber("8")
    kinds = {type(outcomes["first"]), type(outcomes["second"])}
    assert kinds == {CompactedDay, CommitRejected}, outcomes
    paths = place.log.snapshot().files(DAY)
    assert [is_compacted(path) for path in paths].count(True) == 1
    assert len(paths) == 2
    # Whoever lost left a file that no reader sees; the archiver goes on, and so does the next compaction.
    left = {object_key(path) for path in paths} ^ set(place.bucket.keys("events/event_date="))
    assert sum(is_compacted(key) for key in left) == 1
    Compactor(place.bucket, place.log, CompactionPolicy(), SYSTEM_CLOCK, lambda _: None).compact(DAY)
    assert visible(place) == sorted(before + added)
    shard.append(rows(9, shard_id="shardId-0"), after=SequenceNumber("6"), upto=SequenceNumber("9"))
    assert shard.flush() == SequenceNumber("9")
    assert len(visible(place)) == 9
    assert place.log.snapshot().unneeded(timedelta(0))
