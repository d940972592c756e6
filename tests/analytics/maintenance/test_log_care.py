"""Of the log's checkpoints only those go that no reader is told of, and only while a newer one is there."""

import json
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics.maintenance.log_care import KEPT, SPARED, LogCare, superseded
from analytics.table.layout import LOG_PREFIX
from foundation.bucket import Bucket, ListedObject
from tests.support.fakes.bucket import FakeBucket
from tests.support.lake_rows import an_event
from tests.support.worlds.kept_folder import KeptFolder

OLD, YOUNG = SPARED.total_seconds(), SPARED.total_seconds() - 1
HINT = f"{LOG_PREFIX}_last_checkpoint"


def a_checkpoint(version: int, age: float = OLD, kind: str = "parquet") -> ListedObject:
    return ListedObject(f"{LOG_PREFIX}{version:020d}.checkpoint.{kind}", 1, age)


def a_commit(version: int) -> ListedObject:
    return ListedObject(f"{LOG_PREFIX}{version:020d}.json", 1, OLD)


def gone(listed: list[ListedObject], newest: int | None) -> list[int]:
    return [int(stored.key[len(LOG_PREFIX) :][:20]) for stored in superseded(listed, newest, SPARED)]


def test_all_but_the_newest_two_go() -> None:
    listed = [*map(a_commit, range(200)), *map(a_checkpoint, (50, 100, 150, 199)), ListedObject(HINT, 1, OLD)]
    assert gone(listed, 199) == [50, 100]
    assert gone(listed, 150) == [50], "one that readers are not told of yet proves nothing"


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


@pytest.mark.slow
def test_a_real_log_reads_the_same_without_them_and_goes_on(tmp_path: Path) -> None:
    lake = KeptFolder(tmp_path)
    for number in range(170):
        lake.add([an_event("order_placed", order_id=f"order-{number}")])
    care = LogCare(lake.bucket, spared=timedelta(0))
    before = lake.log.snapshot()
    removable = care.superseded()
    assert len(removable) == 1
    for one in removable:
        care.remove(one)
    after = lake.log.snapshot()
    assert (after.version, after.all_files()) == (before.version, before.all_files())
    assert len(list(after.history())) == len(list(before.history()))
    assert {after.version_of(f"late/{number}") for number in range(1, 171)} == {1}
    for number in range(170, 260):
        lake.add([an_event("order_placed", order_id=f"order-{number}")])
    assert lake.lake().events().num_rows == 260
    assert json.loads((tmp_path / HINT).read_text())["version"] > before.version - 50
