"""Reading a lake: every route gives the same rows, each event once, from no more files than it takes."""

import random
from collections.abc import Callable
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

from analytics.lake import Lake
from analytics.reading.orders import timelines
from analytics.reading.repeats import find_repeats
from tests.support.builders import NOON
from tests.support.lake_rows import GOOD, a_table, an_event, an_order
from tests.support.worlds.lake_folder import FolderLake

pytestmark = pytest.mark.slow

PI_DAY = date(2026, 3, 14)
ONE_DAY = timedelta(days=1)


def again(row: dict[str, Any], *, later: timedelta = timedelta(hours=1)) -> dict[str, Any]:
    """The same event as another record of the stream."""
    return row | {"_arrived_at": row["_arrived_at"] + later, "_sequence_number": row["_sequence_number"] + "0"}


def by_pandas(lake: Lake) -> list[str]:
    return list(lake.pandas()["event_id"])


def by_arrow(lake: Lake) -> list[Any]:
    return lake.events()["event_id"].to_pylist()


def by_sql(lake: Lake) -> list[Any]:
    return lake.sql("SELECT event_id FROM events")["event_id"].to_pylist()


def by_polars(lake: Lake) -> list[Any]:
    return lake.polars().select("event_id").collect()["event_id"].to_list()


def by_files(lake: Lake) -> pd.DataFrame:
    return pd.concat(pd.read_parquet(file) for file in lake.files())


ROUTES = pytest.mark.parametrize("route", [by_pandas, by_arrow, by_sql, by_polars])


@pytest.fixture
def folder(tmp_path: Path) -> FolderLake:
    return FolderLake(tmp_path / "events")


@ROUTES
@pytest.mark.parametrize("seed", range(3))
def test_every_event_is_read_once_by_every_route(
    folder: FolderLake, route: Callable[[Lake], list[str]], seed: int
) -> None:
    chance = random.Random(seed)
    rows = [row for number in range(30) for row in an_order(*GOOD, order_id=f"order-{number}", after=number)]
    repeats = [again(row, later=timedelta(seconds=number)) for number, row in enumerate(chance.choices(rows, k=20), 1)]
    everything = chance.sample(rows + repeats, len(rows) + len(repeats))
    for first in range(0, len(everything), 40):
        folder.archive(*everything[first : first + 40])
    assert sorted(route(folder.lake())) == sorted(row["event_id"] for row in rows)
    assert folder.lake().dataset().count_rows() == len(rows) + len(repeats)


def test_the_first_to_arrive_is_the_one_that_is_read(folder: FolderLake) -> None:
    first = an_event("order_placed")
    folder.archive(again(first) | {"city": "later"})
    folder.archive(first)
    lake = folder.lake()
    assert lake.sql("SELECT city FROM events").to_pylist() == [{"city": "Utrecht"}]
    assert lake.events()["city"].to_pylist() == lake.pandas()["city"].tolist() == ["Utrecht"]
    assert lake.polars().collect()["city"].to_list() == ["Utrecht"]
    assert lake.order("order-1")["city"].to_pylist() == ["Utrecht"]
    assert lake.sql("SELECT count(*) AS n FROM records").to_pylist() == [{"n": 2}]


def test_a_repeat_past_midnight_is_found_beside_a_compacted_day(folder: FolderLake) -> None:
    midnight = datetime.combine(PI_DAY + ONE_DAY, datetime.min.time(), NOON.tzinfo)
    last = an_event("order_placed", occurred_at=midnight - timedelta(microseconds=1))
    folder.archive(last)
    folder.compact(PI_DAY)
    folder.archive(again(last) | {"occurred_at": midnight, "event_date": PI_DAY + ONE_DAY})
    for lake in (folder.lake(), folder.lake()):
        assert lake.sql("SELECT event_date FROM events").to_pylist() == [{"event_date": PI_DAY}]
        assert lake.events(since=midnight).num_rows == 0
        assert lake.sql("SELECT count(*) AS n FROM events", since=midnight).to_pylist() == [{"n": 0}]


def test_looking_for_repeats_costs_nothing_where_all_is_compacted(
    folder: FolderLake, monkeypatch: pytest.MonkeyPatch
) -> None:
    days = [PI_DAY + number * ONE_DAY for number in range(6)]
    for number in range(len(days)):
        folder.archive(an_event("order_placed", order_id=f"order-{number}", after=number * 86_400))
    for day in days[:4]:
        folder.compact(day)
    looked_at: list[set[Any]] = []

    def looked(records: ds.Dataset) -> pa.Table:
        looked_at.append(set(records.to_table()["event_date"].to_pylist()))
        return find_repeats(records)

    monkeypatch.setattr("analytics.lake.find_repeats", looked)
    lake = folder.lake()
    assert lake.sql("SELECT count(*) AS n FROM events").to_pylist() == [{"n": 6}]
    assert lake.events().num_rows == 6
    assert looked_at == [set(days[4:])]
    assert lake.events(until=NOON + ONE_DAY).num_rows == 1
    assert len(looked_at) == 1


def test_only_a_query_that_names_events_or_orders_looks_for_repeats(
    folder: FolderLake, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = an_event("order_placed")
    folder.archive(row, again(row))
    looked: list[object] = []

    def looking(records: ds.Dataset) -> pa.Table:
        looked.append(records)
        return find_repeats(records)

    monkeypatch.setattr("analytics.lake.find_repeats", looking)

    def asked(query: str) -> int:
        looked.clear()
        folder.lake().sql(query)
        return len(looked)

    assert asked("SELECT count(*) AS events, count(*) AS orders FROM records") == 0
    assert asked("SELECT count(*) AS n FROM orders") == 1
    assert asked("WITH mine AS (FROM main.EVENTS) SELECT count(*) AS n FROM mine JOIN records USING (event_id)") == 1
    assert asked("SELECT (SELECT count(*) FROM orders WHERE order_id IN (SELECT order_id FROM Events))") == 1
    assert asked("DESCRIBE events") == 1


@pytest.mark.parametrize(
    "read",
    [
        lambda lake, since, until: lake.events(since, until).num_rows,
        lambda lake, since, until: lake.pandas(since, until).shape[0],
        lambda lake, since, until: lake.polars(since, until).collect().height,
        lambda lake, since, until: lake.orders(since, until).num_rows,
        lambda lake, since, until: lake.sql("SELECT order_id FROM records", since, until).num_rows,
        lambda lake, since, until: lake.order("order-2", since, until).num_rows,
        lambda lake, since, until: (
            lake.sql(f"FROM records WHERE event_date = DATE '{since:%Y-%m-%d}' AND occurred_at < '{until}'").num_rows
        ),
    ],
    ids=["arrow", "pandas", "polars", "orders", "sql", "order", "where"],
)
def test_other_days_files_are_not_opened(folder: FolderLake, read: Callable[..., int]) -> None:
    """They are not even there: whoever opened one would fail."""
    for number in range(5):
        folder.archive(an_event("order_placed", order_id=f"order-{number}", after=number * 86_400))
    compacted = [folder.compact(PI_DAY + number * ONE_DAY) for number in range(5)]
    folder.lose(*compacted[:2], *compacted[3:])
    lake = folder.lake()
    assert read(lake, NOON + 2 * ONE_DAY, NOON + 2 * ONE_DAY + timedelta(seconds=1)) == 1
    with pytest.raises(FileNotFoundError):
        lake.events(NOON + 1 * ONE_DAY, NOON + 2 * ONE_DAY + timedelta(seconds=1))


def test_of_a_compacted_file_an_order_takes_the_part_where_it_is(folder: FolderLake) -> None:
    """The other parts are overwritten: whoever read one would fail."""
    folder.archive(*[an_event("order_placed", order_id=f"order-{number:05}", after=number) for number in range(5000)])
    file = folder.root / folder.compact(PI_DAY, row_group=500)
    metadata: Any = pq.read_metadata(file)
    body = bytearray(file.read_bytes())
    for group in (metadata.row_group(index) for index in range(metadata.num_row_groups)):
        columns = [group.column(index) for index in range(group.num_columns)]
        order_ids = next(column.statistics for column in columns if column.path_in_schema == "order_id")
        if not order_ids.min <= "order-01234" <= order_ids.max:
            first = min(column.dictionary_page_offset or column.data_page_offset for column in columns)
            size = sum(column.total_compressed_size for column in columns)
            body[first : first + size] = b"?" * size
    file.write_bytes(body)
    lake = folder.lake()
    assert lake.order("order-01234")["order_id"].to_pylist() == ["order-01234"]
    assert lake.sql("SELECT event_type FROM events WHERE order_id = 'order-01234'").num_rows == 1
    assert lake.polars().filter(pl.col("order_id") == "order-01234").collect().height == 1
    with pytest.raises(OSError, match=r"[Cc]orrupt|deserialize|thrift"):
        lake.order("order-00001")


def test_an_order_has_its_events_in_the_order_in_which_they_occurred(folder: FolderLake) -> None:
    rows = an_order(*GOOD)
    folder.archive(*reversed([*rows, again(rows[2])]), *an_order(order_id="another"))
    assert folder.lake().order("order-1")["event_type"].to_pylist() == ["order_placed", *GOOD]


def test_orders_are_those_of_the_report(folder: FolderLake) -> None:
    rows = [row for number in range(9) for row in an_order(*GOOD[: number % 5], order_id=f"{number}", after=number)]
    folder.archive(*rows, *[again(row) for row in rows[::4]])
    orders = folder.lake().orders()
    assert orders.equals(timelines(a_table(rows)))
    assert folder.lake().sql("FROM orders").num_rows == 9


def test_orders_are_equal_before_and_after_compaction(folder: FolderLake) -> None:
    rows = [row for number in range(9) for row in an_order(*GOOD[: number % 5], order_id=f"{number}", after=number)]
    folder.archive(*rows)
    folder.archive(*[again(row) for row in rows[::4]])
    before = folder.lake().orders()
    folder.compact(PI_DAY)
    assert folder.lake().orders().equals(before)


def test_a_window_holds_for_every_table(folder: FolderLake) -> None:
    folder.archive(*an_order(*GOOD, order_id="before", after=-35), *an_order(*GOOD, order_id="within", after=5))
    lake, until = folder.lake(), NOON + timedelta(seconds=30)
    for table in ("events", "records"):
        found = lake.sql(f"SELECT min(occurred_at) AS first, max(occurred_at) AS last FROM {table}", NOON, until)
        assert found.to_pylist() == [{"first": NOON + timedelta(seconds=5), "last": NOON + timedelta(seconds=25)}]
    orders = {row["order_id"]: row for row in lake.orders(NOON, until).to_pylist()}
    assert (orders["before"]["placed_at"], orders["before"]["state"]) == (None, "completed")
    assert (orders["within"]["placed_at"], orders["within"]["state"]) == (NOON + timedelta(seconds=5), "accepted")


def test_a_window_without_any_file_is_empty_for_every_table(folder: FolderLake) -> None:
    folder.archive(an_event("order_placed"))
    lake, since = folder.lake(), NOON + timedelta(days=400)
    assert lake.events(since).num_rows == lake.orders(since).num_rows == lake.pandas(since).shape[0] == 0
    assert lake.polars(since).collect().height == 0
    assert lake.files(since) == []
    for table in ("events", "orders", "records"):
        assert lake.sql(f"SELECT count(*) AS n FROM {table}", since).to_pylist() == [{"n": 0}]


def test_the_folder_lies_after_a_compaction_and_the_list_of_files_does_not(folder: FolderLake) -> None:
    """`read_parquet` on the folder sees what was replaced beside what replaced it."""
    rows = [row for number in range(10) for row in an_order(*GOOD, order_id=f"order-{number}", after=number)]
    folder.archive(*rows[:25])
    folder.archive(*rows[25:])
    assert len(pd.read_parquet(folder.root)) == len(rows)
    folder.compact(PI_DAY)
    assert len(pd.read_parquet(folder.root)) == 2 * len(rows)
    assert len(by_files(folder.lake())) == len(rows)
    assert sorted(by_files(folder.lake())["event_id"]) == sorted(row["event_id"] for row in rows)


def test_a_file_that_never_became_visible_is_in_the_folder_and_not_in_the_list(folder: FolderLake) -> None:
    kept = folder.archive(an_event("order_placed"))
    orphan = folder.root / kept.replace("-1-0.parquet", "-2-0.parquet")
    orphan.write_bytes((folder.root / kept).read_bytes())
    assert len(pd.read_parquet(folder.root)) == 2
    assert len(by_files(folder.lake())) == 1


def test_a_filter_of_pyarrows_own_finds_what_it_should(folder: FolderLake) -> None:
    folder.archive(*an_order(*GOOD))
    assert folder.lake().dataset().count_rows(filter=ds.field("reason").is_null()) == 5
    assert folder.lake().dataset().count_rows(filter=ds.field("event_date") == PI_DAY) == 5
