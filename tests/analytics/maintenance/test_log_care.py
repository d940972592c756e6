"""Of the log's checkpoints only those go that no reader is told of, and only while a newer one is there."""

import json
import os
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics.maintenance.log_care import KEPT, SPARED, LogCare, superseded
from analytics.table.layout import LOG_PREFIX
from analytics.table.log import LOG_RETENTION
from foundation.bucket import Bucket, ListedObject
from tests.support.fakes.bucket import FakeBucket
from tests.support.lake_rows import an_event
from tests.support.worlds.kept_folder import KeptFolder

OLD, YOUNG = SPARED.total_seconds(), SPARED.total_seconds() - 1
HINT = f"{LOG_PREFIX}_last_checkpoint"


def a_checkpoint(version: int, age: float = OLD, kind: str = "parquet") -> ListedObject:
    return ListedObject(f"{LOG_PREFIX}{version:020d}.checkpoint.{kind}", 1, age)


def a_commit(version: int, age: float = OLD) -> ListedObject:
    return ListedObject(f"{LOG_PREFIX}{version:020d}.json", 1, age)


def gone(listed: list[ListedObject], newest: int | None) -> list[int]:
    return [int(stored.key[len(LOG_PREFIX) :][:20]) for stored in superseded(listed, newest, SPARED)]


def test_all_but_the_newest_two_go() -> None:
    listed = [*map(a_commit, range(200)), *map(a_checkpoint, (50, 100, 150, 199)), ListedObject(HINT, 1, OLD)]
    assert gone(listed, 199) == [50, 100]
    assert gone(listed, 150) == [50], "one that readers are not told of yet proves nothing"


def test_commits_go_that_are_older_than_the_log_tells_and_before_both_checkpoints() -> None:
    month = LOG_RETENTION.total_seconds()
    commits = [a_commit(version, month if version < 120 else month - 1) for version in range(200)]
    checkpoints = [a_checkpoint(50), a_checkpoint(100), a_checkpoint(199)]
    assert gone([*commits, *checkpoints], 199) == [50, *range(100)], (
        "the oldest first, so that none is left behind a hole"
    )
    assert gone([*commits, a_checkpoint(50)], 50) == list(range(50))
    assert gone(commits, None) == []


def test_while_the_newest_is_in_doubt_all_stay() -> None:
    listed = [a_checkpoint(50), a_checkpoint(100), a_checkpoint(150)]
    assert gone(listed, None) == gone(listed, 9999) == []


def test_one_that_a_reader_may_be_fetching_stays() -> None:
    assert gone([a_checkpoint(50, YOUNG), a_checkpoint(100), a_checkpoint(150)], 150) == []


def test_those_of_several_files_and_of_other_names_are_checkpoints_too() -> None:
    parts = [a_checkpoint(50, kind=f"000000000{part}.0000000002.parquet") for part in (1, 2)]
    named = a_checkpoint(60, kind="80a083e8-7026-4e79-81be-64bd76c43a11.parquet")
    assert gone([*parts, named, a_checkpoint(100), a_checkpoint(150)], 150) == [50, 50, 60]


@given(versions=st.sets(st.integers(0, 99)), newest=st.none() | st.integers(0, 99), young=st.sets(st.integers(0, 99)))
def test_what_readers_are_told_of_stays_and_nothing_else_than_checkpoints_goes(
    versions: set[int], newest: int | None, young: set[int]
) -> None:
    listed = [*map(a_commit, range(100)), *(a_checkpoint(one, YOUNG if one in young else OLD) for one in versions)]
    left = {stored.key for stored in listed} - {stored.key for stored in superseded(listed, newest, SPARED)}
    assert {a_commit(version).key for version in range(100)} <= left
    assert {a_checkpoint(version).key for version in versions & young} <= left
    if newest in versions:
        assert a_checkpoint(newest).key in left
        assert len([key for key in left if ".checkpoint." in key]) >= min(KEPT, len(versions))
    else:
        assert len(left) == len(listed)


@pytest.mark.parametrize("hint", [b"", b"{", b"null", b'{"version":"x"}', b'{"version":9999}', None])
def test_a_hint_that_cannot_be_trusted_costs_no_checkpoint(hint: bytes | None) -> None:
    bucket = FakeBucket()
    for version in (50, 100, 150):
        bucket.objects[a_checkpoint(version).key] = b"x"
    if hint is not None:
        bucket.objects[HINT] = hint
    assert LogCare(Bucket(bucket.client, bucket.name), spared=timedelta(0)).superseded() == []


def grown(lake: KeptFolder, commits: range) -> None:
    for number in commits:
        lake.add([an_event("order_placed", order_id=f"order-{number}")])


def months_later(root: Path) -> None:
    for path in (root / LOG_PREFIX).iterdir():
        os.utime(path, (0, 0))


@pytest.mark.slow
def test_a_commit_leaves_old_commits_to_the_keeper(tmp_path: Path) -> None:
    """Delta's own cleaning lists the whole log after each commit, and removes at each checkpoint."""
    lake = KeptFolder(tmp_path)
    grown(lake, range(60))
    months_later(tmp_path)
    grown(lake, range(60, 105))
    assert len(list(lake.log.snapshot().history())) == 106


@pytest.mark.slow
def test_a_real_log_reads_the_same_without_them_and_goes_on(tmp_path: Path) -> None:
    lake = KeptFolder(tmp_path)
    grown(lake, range(170))
    months_later(tmp_path)
    care = LogCare(lake.bucket)
    before = lake.log.snapshot()
    for one in care.superseded():
        care.remove(one)
    after = lake.log.snapshot()
    assert (after.version, after.all_files()) == (before.version, before.all_files())
    assert {after.version_of(f"late/{number}") for number in range(1, 171)} == {1}
    assert [commit.version for commit in after.history()] == list(range(170, 98, -1))
    assert sorted(path.name[:20] for path in (tmp_path / LOG_PREFIX).glob("*.parquet")) == [f"{99:020d}", f"{149:020d}"]
    assert care.superseded() == []
    grown(lake, range(170, 210))
    assert lake.lake().events().num_rows == 210
    assert json.loads((tmp_path / HINT).read_text())["version"] == 199
