"""Many processes that commit to one log at once: whoever loses a race tries again, and no shard hears of it."""

import random
import threading
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from analytics.archiving.diagnostics import LakeCommitted, LakeShardFailed
from analytics.archiving.sink import LakeSink
from analytics.assembly import lake_sink
from analytics.rotation import Backlog, RotationPolicy
from analytics.settings import LakeSettings
from analytics.table.layout import table_uri
from analytics.table.log import CommitLog, DeltaLog, LogEntry
from foundation.aws import storage_options
from foundation.bucket import Bucket
from foundation.clock import SYSTEM_CLOCK
from foundation.diagnostics import Diagnostic
from foundation.kinesis.records import SequenceNumber
from foundation.settings import variable
from tests.conftest import LocalAws
from tests.support.fakes.bucket import FakeBucket, Gate
from tests.support.fakes.held_log import HeldLog
from tests.support.proxy import Answer, Request, proxy
from tests.support.worlds.lake_world import KEYS, NEVER, OTHER_SHARD, SHARD, STREAM, World, feed, rows

AGE = timedelta(seconds=60)


def a_sink(bucket: Bucket, log: CommitLog, told: list[Diagnostic]) -> LakeSink:
    return LakeSink(STREAM, bucket, log, NEVER, SYSTEM_CLOCK, told.append, keys=KEYS)


@pytest.mark.slow
def test_a_commit_that_another_process_came_before_fails_no_shard_and_is_written_once() -> None:
    world = World()
    other = world.sink().open(OTHER_SHARD)

    def overtake() -> None:
        feed(other, [1])
        other.flush()

    # The call after the snapshot of the commit: the log has moved when it comes to be told.
    shard = world.sink(Gate(5 + 4, overtake)).open(SHARD)
    feed(shard, [1, 2])
    assert shard.flush() == SequenceNumber("2")
    assert [list(commit.entries) for commit in world.log.commits] == [
        [f"archive/{STREAM}/{OTHER_SHARD}"],
        [f"archive/{STREAM}/{SHARD}"],
    ]
    assert world.seen(LakeShardFailed) == []
    assert (world.archived(SHARD), world.archived(OTHER_SHARD)) == ([1, 2], [1])
    assert [commit.rows for commit in world.seen(LakeCommitted)] == [1, 2]


@pytest.mark.slow
def test_eight_processes_that_commit_from_one_version_of_the_log_all_do(tmp_path: Path) -> None:
    log, told = DeltaLog(str(tmp_path / "events"), {}, SYSTEM_CLOCK), list[Diagnostic]()
    log.snapshot()
    bucket, barrier = Bucket(FakeBucket().client, "lake"), threading.Barrier(8)

    def archive(number: int) -> None:
        shard_id = f"shardId-{number:012d}"
        shard = a_sink(bucket, HeldLog(log, barrier), told).open(shard_id)
        for first in (1, 3, 5):
            after = SequenceNumber(str(first - 1)) if first > 1 else None
            shard.append(rows(first, first + 1, shard_id=shard_id), after=after, upto=SequenceNumber(str(first + 1)))
            assert shard.flush() == SequenceNumber(str(first + 1))

    _all_of([lambda number=number: archive(number) for number in range(8)])  # type: ignore[misc]
    assert [failed for failed in told if isinstance(failed, LakeShardFailed)] == []
    files = log.snapshot().all_files()
    assert (len(files), sum(file.rows for file in files)) == (24, 48)


@pytest.mark.slow
@pytest.mark.local_aws
def test_a_commit_outlasts_twenty_lost_races(local_aws: LocalAws, tmp_path: Path) -> None:
    """Each time just before its write another process writes the log's next entry."""
    s3, name = local_aws.client("s3"), f"fleet-{tmp_path.name[:40].replace('_', '-')}"
    s3.create_bucket(Bucket=name)
    log = DeltaLog(table_uri(name), storage_options(local_aws.environ), SYSTEM_CLOCK)
    log.snapshot()
    told, winners = list[Diagnostic](), list[str]()

    def overtaken(request: Request, forward: Callable[[], Answer]) -> Answer:
        path = urlsplit(request.path).path
        if request.method == "PUT" and "/_delta_log/" in path and path.endswith(".json") and len(winners) < 20:
            winners.append(path)
            log.snapshot().commit((), {"another": LogEntry(n=len(winners), epoch=1, batch_id=None, hi=None)})
            answer = forward()
            assert answer.status == 412, "this race was not lost"
            return answer
        return forward()

    with proxy(local_aws.endpoint, overtaken) as endpoint:
        options = storage_options({**local_aws.environ, "AWS_ENDPOINT_URL": endpoint})
        shard = a_sink(Bucket(s3, name), DeltaLog(table_uri(name), options, SYSTEM_CLOCK), told).open(SHARD)
        feed(shard, [1, 2])
        assert shard.flush() == SequenceNumber("2")
    assert len(set(winners)) == 20
    assert [type(one) for one in told if isinstance(one, LakeShardFailed | LakeCommitted)] == [LakeCommitted]
    assert shard.holder.held.offsets.epoch == 1
    assert sum(file.rows for file in log.snapshot().all_files()) == 2


@pytest.mark.slow
@pytest.mark.local_aws
def test_who_makes_the_table_an_instant_after_another_finds_that_ones(local_aws: LocalAws, tmp_path: Path) -> None:
    s3, name = local_aws.client("s3"), f"made-{tmp_path.name[:40].replace('_', '-')}"
    s3.create_bucket(Bucket=name)
    log = DeltaLog(table_uri(name), storage_options(local_aws.environ), SYSTEM_CLOCK)
    overtaken: list[Request] = []

    def made_before(request: Request, forward: Callable[[], Answer]) -> Answer:
        if request.method == "PUT" and not overtaken:
            overtaken.append(request)
            log.snapshot().commit((), {"another": LogEntry(n=1, epoch=1, batch_id=None, hi=None)})
        return forward()

    with proxy(local_aws.endpoint, made_before) as endpoint:
        options = storage_options({**local_aws.environ, "AWS_ENDPOINT_URL": endpoint})
        snapshot = DeltaLog(table_uri(name), options, SYSTEM_CLOCK).snapshot()
    assert overtaken[0].path.endswith("/_delta_log/00000000000000000000.json")
    assert snapshot.version_of("another") == 1
    assert [commit.operation for commit in log.snapshot().history()] == ["WRITE", "CREATE TABLE"]


@pytest.mark.slow
def test_processes_that_start_together_commit_one_by_one() -> None:
    """Each at its own moment within the age; from then on an age apart."""
    world, moments = World(), dict[str, list[float]]()
    policy = RotationPolicy(age=AGE)
    shards = [
        world.sink(policy=policy, first=policy.sooner(random.Random(number))).open(f"shardId-{number:012d}")
        for number in range(12)
    ]
    for number in range(1, 28):
        for shard in shards:
            commits = len(world.log.commits)
            feed(shard, [number])
            shard.advance()
            if len(world.log.commits) > commits:
                moments.setdefault(shard.holder.paths.shard_id, []).append(world.clock.monotonic())
        world.clock.advance(5)
    assert len(moments) == 12
    for each in moments.values():
        assert each[0] <= 60
        assert {later - earlier for earlier, later in pairwise(each)} == {65}
    for rotation in range(2):
        at_once = Counter(each[rotation] for each in moments.values())
        assert max(at_once.values()) <= 3
        assert max(at_once) - min(at_once) > 30


def test_a_size_that_is_reached_makes_the_first_commit_too() -> None:
    world = World()
    policy = RotationPolicy(rows=3, age=AGE)
    shard = world.sink(policy=policy, first=policy.sooner(random.Random(1))).open(SHARD)
    feed(shard, [1, 2, 3])
    assert shard.advance() == SequenceNumber("3")
    feed(shard, [4])
    world.clock.advance(59)
    assert shard.advance() == SequenceNumber("3")
    world.clock.advance(1)
    assert shard.advance() == SequenceNumber("4")


def test_no_first_commit_comes_later_than_the_age_and_they_are_spread_evenly() -> None:
    policy, chance = LakeSettings("lake").rotation, random.Random(7)
    ages = [policy.sooner(chance).age for _ in range(1000)]
    assert all(timedelta(0) <= age < policy.age for age in ages)
    quarters = [
        sum(quarter * policy.age <= 4 * age < (quarter + 1) * policy.age for age in ages) for quarter in range(4)
    ]
    assert all(200 < count < 300 for count in quarters)
    assert policy.sooner(chance).is_due(Backlog(policy.rows, 1, 0.0), 0.0)


@pytest.mark.slow
def test_every_process_has_a_moment_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    sinks = [lake_sink({variable("lake_bucket"): "lake"}, STREAM, lambda _: None, KEYS) for _ in range(2)]
    first, second = (sink._first for sink in sinks)
    assert first is not None
    assert second is not None
    assert first != second


def _all_of(work: list[Callable[[], None]]) -> None:
    """Side by side; raises what any of them does."""
    errors: list[BaseException] = []

    def run(one: Callable[[], None]) -> None:
        try:
            one()
        except BaseException as error:  # noqa: BLE001 - handed on
            errors.append(error)

    threads = [threading.Thread(target=run, args=(one,)) for one in work]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    if errors:
        raise errors[0]
