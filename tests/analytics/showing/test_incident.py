"""An hour that was made to go wrong is found, with its place and what was wrong; chance is not."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from analytics.showing import around, became, finding, planted, unusual
from producers.load.history.history import HistoryPlan, ledger_beside
from tests.support.worlds.history_lake import history_lake

pytestmark = pytest.mark.slow
DINNER = datetime(2026, 6, 2, 18, tzinfo=UTC)


@pytest.mark.parametrize(
    ("scenario", "place", "what"),
    [
        ("notifier-outage", "everywhere", "expired"),
        ("kitchen-meltdown", "restaurant-07", "slow in the kitchen"),
        ("duplicate-storm", "everywhere", "has an event twice"),
        ("clock-skew", "everywhere", "time runs backwards"),
    ],
)
def test_the_incident_of_a_scenario_is_found(scenario: str, place: str, what: str, tmp_path: Path) -> None:
    plan = HistoryPlan(seed=7, days=3, orders_a_day=400, scenario=scenario)
    lake, ledger = history_lake(tmp_path, plan).lake, ledger_beside(tmp_path / "history.jsonl")
    one = finding(unusual(lake))
    assert one is not None
    assert (one.place, one.what, one.hour) == (place, what, DINNER)
    assert one.since <= DINNER < DINNER + timedelta(minutes=90) <= one.until
    ends = became(lake, one).to_pylist()
    by_half_hours = around(lake, one).to_pylist()
    assert sum(row["orders"] for row in ends) == sum(
        row["others"] + row["found"] for row in by_half_hours if one.since <= row["since"] < one.until
    )
    assert sum(row["found"] for row in by_half_hours if one.hour <= row["since"] < one.hour + timedelta(hours=1)) == (
        one.orders
    )
    told = str(planted(str(ledger)))
    assert told.startswith(f"{scenario}, 2026-06-02T18:00 to 2026-06-02T19:30 UTC: ")
    assert place in told or place == "everywhere"


def test_where_nothing_went_wrong_nothing_is_found(tmp_path: Path) -> None:
    lake = history_lake(tmp_path, HistoryPlan(seed=7, days=3, orders_a_day=400)).lake
    ledger = ledger_beside(tmp_path / "history.jsonl")
    assert finding(unusual(lake)) is None
    assert (around(lake, None).num_rows, became(lake, None).num_rows) == (0, 0)
    assert "no scenario" in str(planted(str(ledger)))
    assert "No ledger is named" in str(planted(None))
