"""The app on a lake with much, with one event and with none: every cell runs, and says what there is."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pytest

from analytics.lake import Lake, NoLake
from takeaway.errors import UserError
from takeaway.explore import sights
from takeaway.explore.app import app
from tests.support.lake_rows import an_event, an_order, some_orders
from tests.support.worlds.lake_folder import FolderLake

pytestmark = pytest.mark.slow

Rows = list[dict[str, Any]]


@pytest.fixture
def lake_of(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[Rows], Lake]:
    def made(rows: Rows) -> Lake:
        folder = FolderLake(tmp_path / "events")
        for day in sorted({row["event_date"] for row in rows}):
            folder.archive(*(row for row in rows if row["event_date"] == day))
        monkeypatch.setattr(Lake, "from_environment", lambda _: folder.lake())
        return folder.lake()

    return made


def shown(definitions: Any) -> set[str]:
    return set(definitions) & {"question", "sql", "table", "profile", "stuck", "order"}


def test_every_cell_runs_on_orders_of_which_some_are_stuck(lake_of: Callable[[Rows], Lake]) -> None:
    lake = lake_of(some_orders(60))
    outputs, definitions = app.run()
    assert shown(definitions) == {"question", "sql", "table", "profile", "stuck", "order"}
    told = "\n".join(output.text for output in outputs if output is not None)
    assert f"{lake.events().num_rows:,} events, from 2026-03-14" in told
    assert f"{lake.orders().num_rows:,} rows, all there are" in told
    assert "does not run" not in told


def test_one_event_is_enough(lake_of: Callable[[Rows], Lake]) -> None:
    lake = lake_of([an_event("order_placed")])
    opened = sights.opened({})
    assert opened.told == "1 event, from 2026-03-14 12:00 to 2026-03-14 12:00 UTC; version 1"
    for question in opened.questions.values():
        assert lake.sql(question.sql()).column_names, question.title
    assert shown(app.run()[1]) == {"question", "sql", "table", "profile", "stuck", "order"}


def test_an_empty_lake_is_said_to_be_empty(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_lake(_: object) -> Lake:
        raise NoLake("the lake at s3://lake has no events yet. fix: place an order")

    monkeypatch.setattr(Lake, "from_environment", no_lake)
    monkeypatch.setattr("takeaway.stack.lake_errors._gone", lambda _: None)
    opened = sights.opened({})
    assert (opened.lake, opened.told) == (None, "the lake at s3://lake has no events yet. Fix: place an order")
    outputs, definitions = app.run()
    assert shown(definitions) == set()
    assert "no events to look at yet" in "\n".join(output.text for output in outputs if output is not None)


def test_of_many_rows_the_newest_are_looked_at(
    lake_of: Callable[[Rows], Lake], monkeypatch: pytest.MonkeyPatch
) -> None:
    lake = lake_of([*an_order(order_id="old"), *an_order(order_id="new", after=60)])
    for table in sights.TABLES:
        assert sights.table_of(lake, table)[0].num_rows == 2
    monkeypatch.setattr(sights, "MOST_ROWS", 1)
    for table in sights.TABLES:
        rows, told = sights.table_of(lake, table)
        assert (rows["order_id"].to_pylist(), told) == (["new"], "the newest 1 rows")


def test_what_a_person_can_mend_is_told_and_anything_else_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    assert sights.in_words(duckdb.Error("Parser Error")) == "Parser Error"

    def no_order(*_: object, **__: object) -> None:
        raise UserError("nothing answers", "`takeaway up`")

    monkeypatch.setattr(sights, "order_facts", no_order)
    assert sights.journey("order-1", {}) == "nothing answers Fix: `takeaway up`"
    monkeypatch.setattr(Lake, "from_environment", lambda _: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        sights.opened({})
