"""The true thing: real S3 and a real Delta log, written by the sink and read by `Lake`."""

import uuid
from datetime import date, datetime, timedelta
from typing import Any

import pandas as pd
import pyarrow.dataset as ds
import pytest
from pyarrow import fs

from analytics.archiving.holder import LakeHalt
from analytics.archiving.shard_sink import CommitFailed
from analytics.archiving.sink import LakeSink
from analytics.assembly import lake_sink
from analytics.lake import Lake, NoLake
from analytics.reading.live_files import lake_filesystem
from analytics.rotation import RotationPolicy
from analytics.table.layout import NOTICE_KEY
from analytics.table.log import CommitRejected, DeltaLog, LogEntry
from analytics.table.offsets import place_text
from foundation.aws import storage_options
from foundation.bucket import Bucket
from foundation.clock import SYSTEM_CLOCK
from foundation.kinesis.records import SequenceNumber
from foundation.settings import SettingsError
from tests.support.builders import NOON
from tests.support.fakes.bucket import Gate
from tests.support.worlds.lake_world import KEYS, NEVER, OTHER_SHARD, SHARD, Crash, feed, rows

pytestmark = pytest.mark.local_aws


class RealWorld:
    """A bucket of the test's own on the local AWS."""

    def __init__(self, local_aws: Any) -> None:
        self.client = local_aws.client("s3")
        self.name = f"lake-{uuid.uuid4()}"
        self.client.create_bucket(Bucket=self.name)
        self.environ = {**local_aws.environ, "TAKEAWAY_LAKE_BUCKET": self.name}
        self.log = DeltaLog(f"s3://{self.name}/events", storage_options(self.environ), SYSTEM_CLOCK)

    def sink(self, gate: Gate | None = None, policy: RotationPolicy = NEVER) -> LakeSink:
        client: Any = _Gated(self.client, gate) if gate else self.client
        return LakeSink("orders", Bucket(client, self.name), self.log, policy, SYSTEM_CLOCK, lambda _: None, keys=KEYS)

    def lake(self) -> Lake:
        return Lake.from_environment(self.environ)

    def counted(self) -> list[tuple[int, int]]:
        query = "SELECT count(*) AS n, count(DISTINCT (_shard, _sequence_number)) AS places FROM records"
        return [(row["n"], row["places"]) for row in self.lake().sql(query).to_pylist()]


class _Gated:
    """boto3's client, its writes through a gate."""

    def __init__(self, client: Any, gate: Gate) -> None:
        self._gate = gate
        self._client = client

    def put_object(self, **parameters: Any) -> Any:
        return self._gate.through(lambda: self._client.put_object(**parameters))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)


@pytest.fixture
def world(local_aws: Any) -> RealWorld:
    return RealWorld(local_aws)


def crash() -> None:
    raise Crash


def one_life(sink: LakeSink) -> None:
    shard = sink.open(SHARD)
    feed(shard, [1, 2])
    shard.flush()


@pytest.mark.parametrize("applied", [False, True], ids=["before", "applied"])
@pytest.mark.parametrize("write", [1, 2, 3, 4], ids=["claim", "intent", "file", "finalise"])
def test_a_restart_after_a_crash_at_any_write(world: RealWorld, write: int, applied: bool) -> None:
    with pytest.raises(Crash):
        one_life(world.sink(Gate(write, crash, applied=applied)))
    again = world.sink().open(SHARD)
    feed(again, [1, 2, 3, 4])
    again.flush()
    assert world.counted() == [(4, 4)]


def test_a_zombie_with_a_stale_handle_is_rejected_by_the_log(world: RealWorld) -> None:
    """It has passed its check and is about to commit when its successor fences it."""
    zombie = world.sink().open(SHARD)
    feed(zombie, [1, 2])
    zombie.holder.intend(zombie.leaving().upto, files=(), rows=0)  # type: ignore[union-attr]
    stale = world.log.snapshot()
    successor = world.sink().open(SHARD)
    feed(successor, [1, 2, 3])
    successor.flush()
    with pytest.raises(CommitRejected):
        stale.commit((), {zombie.holder.paths.application: zombie.holder.entry})
    with pytest.raises(CommitFailed):
        zombie.flush()
    assert world.counted() == [(3, 3)]


def test_a_successor_finds_what_a_slow_commit_brought_in_first(world: RealWorld) -> None:
    slow = world.sink(Gate(4, crash)).open(SHARD)  # the commit lands, its offsets are never written
    feed(slow, [1, 2])
    with pytest.raises(Crash):
        slow.flush()
    successor = world.sink().open(SHARD)
    assert place_text(successor.committed) == "2.0"
    assert world.counted() == [(2, 2)]


def test_two_processes_share_the_table(world: RealWorld) -> None:
    first, second = world.sink().open(SHARD), world.sink().open(OTHER_SHARD)
    for number in range(1, 4):
        for shard in (first, second):
            feed(shard, [number])
        assert place_text(first.flush()) == place_text(second.flush()) == f"{number}.0"
    assert world.counted() == [(6, 6)]


def test_a_log_that_somebody_changed_halts_the_shard(world: RealWorld) -> None:
    shard = world.sink().open(SHARD)
    entry = LogEntry(n=5, epoch=1, batch_id="x", hi=None)
    world.log.snapshot().commit((), {shard.holder.paths.application: entry})
    with pytest.raises(LakeHalt, match="fix"):
        world.sink().open(SHARD)


def test_readers_see_every_column_by_every_route(world: RealWorld) -> None:
    yesterday = NOON - timedelta(days=1)
    shard = world.sink().open(SHARD)
    feed(shard, [1, 2])
    shard.append(rows(3, occurred_at=yesterday), after=shard.taken, upto=SequenceNumber(str(3)))
    shard.flush()
    lake = world.lake()
    table = lake.dataset().to_table()
    assert set(table.column("_sequence_number").to_pylist()) == {"1", "2", "3"}
    assert set(table.column("event_date").to_pylist()) == {date(2026, 3, 13), date(2026, 3, 14)}
    assert lake.pandas()["city"].tolist() == ["Utrecht"] * 3
    by_day = "SELECT event_date, count(*) AS n, sum(total) AS total FROM events GROUP BY 1 ORDER BY 1"
    assert lake.sql(by_day).to_pylist() == [
        {"event_date": date(2026, 3, 13), "n": 1, "total": 1900},
        {"event_date": date(2026, 3, 14), "n": 2, "total": 3800},
    ]
    assert lake.version > 0


@pytest.mark.parametrize(
    ("since", "until", "expected"),
    [
        (None, None, {"1", "2", "3"}),
        (NOON, None, {"2", "3"}),
        (None, NOON, {"1"}),
        (NOON, NOON + timedelta(microseconds=1), {"2"}),
        (NOON + timedelta(microseconds=2), None, set()),
    ],
)
def test_events_are_those_from_since_on_and_before_until(
    three_moments: Lake, since: datetime | None, until: datetime | None, expected: set[str]
) -> None:
    events = three_moments.events(since, until)
    assert events.num_rows == len(expected)
    assert set(events.column("_sequence_number").to_pylist()) == expected


@pytest.mark.parametrize(
    "condition",
    [
        ds.field("order_id") == f"order-of-{SHARD}",
        ds.field("_shard") == SHARD,
        ds.field("total") >= 1900,
        ds.field("occurred_at") <= NOON + timedelta(days=1),
        ds.field("ready_at").is_null(),
        ds.field("event_date") <= date(2026, 3, 15),
    ],
    ids=str,
)
def test_a_filter_on_any_column_finds_its_rows(three_moments: Lake, condition: ds.Expression) -> None:
    """The log's statistics can hide rows from pyarrow when they are there for some columns only."""
    assert three_moments.dataset().count_rows(filter=condition) == 3


def test_a_filter_on_the_day_opens_only_that_days_files(three_moments: Lake) -> None:
    condition = ds.field("event_date") == date(2026, 3, 13)
    assert len(list(three_moments.dataset().get_fragments())) == 2
    assert len(list(three_moments.dataset().get_fragments(filter=condition))) == 1


@pytest.fixture(scope="module")
def three_moments(local_aws: Any) -> Lake:
    world = RealWorld(local_aws)
    shard = world.sink().open(SHARD)
    moments = [NOON - timedelta(hours=13), NOON, NOON + timedelta(microseconds=1)]
    for number, moment in enumerate(moments, start=1):
        shard.append(rows(number, occurred_at=moment), after=shard.taken, upto=SequenceNumber(str(number)))
    shard.flush()
    return world.lake()


def test_an_order_in_utc_is_shown_in_utc(three_moments: Lake) -> None:
    text = three_moments.sql("SELECT CAST(min(occurred_at) AS VARCHAR) AS first FROM events").to_pylist()
    assert text == [{"first": "2026-03-13 23:00:00+00"}]


def test_no_lake_and_an_empty_lake_say_what_to_do(world: RealWorld) -> None:
    with pytest.raises(NoLake, match=r"there is no lake .*fix: run the archiver"):
        world.lake()
    world.sink().open(SHARD)
    with pytest.raises(NoLake, match=r"has no events yet.*fix: run the archiver"):
        world.lake()
    with pytest.raises(SettingsError, match="TAKEAWAY_LAKE_BUCKET"):
        Lake.from_environment({})


def test_the_environment_is_all_that_wiring_needs(world: RealWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in world.environ.items():
        monkeypatch.setenv(name, value)
    sink = lake_sink({**world.environ, "TAKEAWAY_LAKE_FILE_ROWS": "2"}, "orders", lambda _: None, KEYS)
    shard = sink.open(SHARD)
    feed(shard, [1])
    assert shard.advance() is None
    feed(shard, [2])
    assert place_text(shard.advance()) == "2.0"
    assert Lake.from_environment().events().num_rows == 2


def test_whoever_looks_into_the_folder_finds_how_to_read_it(world: RealWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    """The notice is there with the table, once, and in nobody's way: no reader and no writer takes it for data."""
    for name, value in world.environ.items():
        monkeypatch.setenv(name, value)
    for shard_id in (SHARD, OTHER_SHARD):
        sink = lake_sink(world.environ, "orders", lambda _: None, KEYS)
        shard = sink.open(shard_id)
        feed(shard, [1])
        shard.flush()
    found = world.client.list_objects_v2(Bucket=world.name, Prefix="events/_READ_ME")["Contents"]
    assert [entry["Key"] for entry in found] == [NOTICE_KEY]
    assert b"Lake.from_environment" in world.client.get_object(Bucket=world.name, Key=NOTICE_KEY)["Body"].read()
    assert world.counted() == [(2, 2)]
    folder = f"{world.name}/events"
    naive = ds.dataset(folder, filesystem=arrow_s3(world), format="parquet", partitioning="hive")
    assert naive.count_rows() == 2


def test_pandas_reads_the_files_that_count_by_their_addresses(
    three_moments: Lake, local_aws: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in local_aws.environ.items():
        monkeypatch.setenv(name, value)
    frames = [pd.read_parquet(file) for file in three_moments.files()]
    assert sorted(len(frame) for frame in frames) == [1, 2]
    assert [file.startswith("s3://lake-") for file in three_moments.files(since=NOON)] == [True]


def arrow_s3(world: RealWorld) -> fs.FileSystem:
    filesystem = lake_filesystem(f"s3://{world.name}", storage_options(world.environ))
    assert isinstance(filesystem, fs.SubTreeFileSystem)
    return filesystem.base_fs
