"""What a lake says of itself at a glance, and what it reads for that."""

from datetime import timedelta
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from analytics import lake as lake_module
from tests.support.builders import NOON
from tests.support.lake_rows import GOOD, an_order
from tests.support.worlds.lake_folder import FolderLake

pytestmark = pytest.mark.slow


@pytest.fixture
def folder(tmp_path: Path) -> FolderLake:
    folder = FolderLake(tmp_path / "<b>&events")
    folder.archive(*an_order(*GOOD))
    folder.archive(*an_order(*GOOD, order_id="order-2", after=86_400))
    folder.archive(*an_order(order_id="order-3", after=86_400))
    return folder


def test_a_lake_says_what_is_in_it(folder: FolderLake) -> None:
    contents = folder.lake().contents
    files = list(folder.root.rglob("*.parquet"))
    assert (contents.rows, contents.orders, contents.days, contents.files) == (11, 3, 2, 3)
    assert contents.size == sum(path.stat().st_size for path in files)
    assert sum(pq.read_metadata(path).num_rows for path in files) == contents.rows
    assert contents.newest == NOON + timedelta(days=1, seconds=40)
    assert (contents.first_day, contents.last_day) == (NOON.date(), NOON.date() + timedelta(days=1))
    told = repr(folder.lake())
    assert "records: 11, orders: 3, days: 2, 2026-03-14 to 2026-03-15, newest event: 2026-03-15 12:00:40 UTC" in told
    assert "<b>" not in folder.lake()._repr_html_()
    assert ">2026-03-15 12:00:40 UTC</td>" in folder.lake()._repr_html_()


def test_of_a_large_lake_the_log_and_the_newest_day_are_read_alone(
    folder: FolderLake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lake_module, "_MOST_ROWS_AT_A_GLANCE", 10)
    opened = folder.lake()
    for path in folder.root.rglob("event_date=2026-03-14/*.parquet"):
        path.unlink()
    assert opened.contents.orders is None
    assert "orders: more than are counted for a glance" in repr(opened)
