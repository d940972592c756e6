"""Names in the bucket, and when a file is due."""

from datetime import date, timedelta

import pytest

from analytics.rotation import Backlog, RotationPolicy, total
from analytics.settings import LakeSettings
from analytics.table.layout import BatchNumber, ShardPaths
from foundation.settings import from_environment

PATHS = ShardPaths("orders", "shardId-000000000003")
POLICY = RotationPolicy(size=100, rows=10, age=timedelta(seconds=60))


def test_the_names_of_a_shard() -> None:
    name = PATHS.data_file(date(2026, 3, 14), BatchNumber(n=7, epoch=2), 1)
    assert name == "event_date=2026-03-14/orders-shardId-000000000003-000000000007-2-1.parquet"
    assert PATHS.offsets_key == "events/_offsets/orders/shardId-000000000003.json"
    assert PATHS.application == "archive/orders/shardId-000000000003"


def test_a_data_file_tells_its_batch() -> None:
    name = PATHS.data_file(date(2026, 3, 14), BatchNumber(n=7, epoch=12), 1)
    assert PATHS.batch_number(f"events/{name}") == BatchNumber(n=7, epoch=12)


@pytest.mark.parametrize(
    "other", [ShardPaths("orders", "shardId-000000000030"), ShardPaths("more-orders", PATHS.shard_id)], ids=str
)
def test_another_shards_file_is_not_its_own(other: ShardPaths) -> None:
    assert PATHS.batch_number(other.data_file(date(2026, 3, 14), BatchNumber(7, 2), 0)) is None


def test_no_two_batches_share_a_name() -> None:
    numbers = [BatchNumber(n, epoch) for n in (1, 11) for epoch in (1, 11)]
    names = {PATHS.data_file(date(2026, 3, 14), number, index) for number in numbers for index in (0, 1)}
    assert len(names) == 8


@pytest.mark.parametrize(
    ("backlog", "due"),
    [
        (Backlog(), False),
        (Backlog(rows=9, size=99, since=0.0), False),
        (Backlog(rows=10, size=1, since=0.0), True),
        (Backlog(rows=1, size=100, since=0.0), True),
        (Backlog(rows=0, size=0, since=-0.5), True),
    ],
    ids=str,
)
def test_a_file_is_due_when_any_limit_is_reached(backlog: Backlog, due: bool) -> None:
    assert POLICY.is_due(backlog, now=59.5) is due


def test_backlogs_add_up_and_the_oldest_counts() -> None:
    backlogs = [Backlog(1, 10, 5.0), Backlog(), Backlog(2, 20, 3.0)]
    assert total(backlogs) == Backlog(3, 30, 3.0)
    assert total([]) == Backlog()


def test_settings_make_the_policy() -> None:
    environ = {"TAKEAWAY_LAKE_BUCKET": "lake", "TAKEAWAY_LAKE_FILE_AGE": "5", "TAKEAWAY_LAKE_FILE_SIZE": "1000"}
    settings = from_environment(LakeSettings, environ)
    assert settings.lake_bucket == "lake"
    assert settings.rotation == RotationPolicy(size=1000, age=timedelta(seconds=5))
    assert from_environment(LakeSettings, {"TAKEAWAY_LAKE_BUCKET": "lake"}).rotation == RotationPolicy()


def test_a_file_of_a_stream_is_told_from_those_of_one_with_a_longer_name() -> None:
    orders, other = ShardPaths("orders", "shardId-000000000000"), ShardPaths("orders-eu", "shardId-000000000001")
    file = orders.data_file(date(2026, 3, 14), BatchNumber(7, 2), 0)
    assert orders.batch_of_stream(file) == ("shardId-000000000000", 7)
    assert orders.batch_of_stream(other.data_file(date(2026, 3, 14), BatchNumber(7, 2), 0)) is None
    assert orders.batch_of_stream("event_date=2026-03-14/late-1.parquet") is None
