"""Each number of a report equals what plain Python works out from a history and its ledger, faults and all."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from analytics.reading.orders import ALWAYS, Window
from analytics.report.report import About, Report, make_report
from events import UnreadableEvent, decode
from producers.load.history.history import START, HistoryPlan
from tests.analytics.report.plain_report import plain_answers
from tests.support.worlds.history_lake import FAULTS, HistoryLake, history_lake

pytestmark = pytest.mark.slow

DAYS = 4
MADE_AT = START + timedelta(days=DAYS, hours=12)
WINDOWS = {
    "all": ALWAYS,
    "two days beside the two before": Window(START + timedelta(days=2), START + timedelta(days=4)),
    "in the middle of meals": Window(
        START + timedelta(days=1, hours=12, minutes=17), START + timedelta(days=1, hours=19)
    ),
}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> HistoryLake:
    folder: Path = tmp_path_factory.mktemp("history")
    plan = HistoryPlan(7, DAYS, orders_a_day=150, scenario="kitchen-meltdown", faults=FAULTS)
    return history_lake(folder, plan)


@pytest.fixture(scope="module")
def occurred(world: HistoryLake) -> list[Any]:
    """When each record that can be read occurred, repeats and all."""
    found = []
    for line in world.lines:
        try:
            found.append(decode(line.data).occurred_at)
        except UnreadableEvent:
            continue
    return found


def a_report(world: HistoryLake, window: Window) -> Report:
    return make_report(world.lake.dataset(), About(MADE_AT, window), world.lake.repeats)


def close(answer: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Floats to be compared as near as sums in another order may be."""
    return [
        {name: pytest.approx(cell, abs=1e-6) if isinstance(cell, float) else cell for name, cell in row.items()}
        for row in answer
    ]


@pytest.mark.parametrize("window", WINDOWS.values(), ids=WINDOWS)
def test_every_number_is_that_of_the_ledger(world: HistoryLake, occurred: list[Any], window: Window) -> None:
    report = a_report(world, window)
    expected = plain_answers(world.events(), occurred, window, report.bucket)
    assert set(expected) == set(report.answers)
    for name, answer in expected.items():
        assert report.rows(name) == close(answer), name


def test_the_period_before_has_its_own_numbers(world: HistoryLake, occurred: list[Any]) -> None:
    window, before = WINDOWS["two days beside the two before"], Window(START, START + timedelta(days=2))
    report = a_report(world, window)
    assert report.before is not None
    assert (report.before.window, report.before.is_whole) == (before, True)
    expected = plain_answers(world.events(), occurred, before, report.bucket)
    assert set(report.before.answers) == {"overview", "revenue", "customers"}
    for name in report.before.answers:
        assert report.rows_before(name) == close(expected[name]), name


def test_the_history_has_all_that_the_numbers_are_of(world: HistoryLake, occurred: list[Any]) -> None:
    """A number that is nothing proves nothing."""
    report = a_report(world, ALWAYS)
    overview, quality = report.rows("overview")[0], report.rows("data_quality")[0]
    assert min(overview[name] for name in ("completed", "rejected", "cancelled", "expired")) > 0
    assert quality["duplicates"] > 10
    assert quality["orders_with_time_running_backwards"] > 0
    assert len(world.events()) == len(world.ledger.entries) + len(world.vouchers) == quality["events"]
    assert len(world.lines) > len(occurred) == quality["rows"]
    assert report.rows("missed_deadlines")
    assert any(row["late"] for row in report.rows("flow"))
    assert any(row["voucher"] and row["ordered_again"] for row in report.rows("vouchers"))
    under_way = a_report(world, WINDOWS["in the middle of meals"])
    assert under_way.rows("oldest_open")


@pytest.mark.parametrize("name", ["overview", "flow", "data_quality", "items", "vouchers", "missed_deadlines"])
def test_the_lake_answers_the_sql_as_it_stands(world: HistoryLake, name: str) -> None:
    report = a_report(world, WINDOWS["in the middle of meals"])
    question = next(one for one in report.questions if one.name == name)
    assert world.lake.sql(report.sql(question)).to_pylist() == report.rows(name)


def test_many_parts_give_the_same_answers(world: HistoryLake, monkeypatch: pytest.MonkeyPatch) -> None:
    at_once = a_report(world, ALWAYS)
    monkeypatch.setattr("analytics.questions.asking._PART_ROWS", 300)
    in_parts = a_report(world, ALWAYS)
    for name in at_once.answers:
        assert in_parts.rows(name) == close(at_once.rows(name)), name
