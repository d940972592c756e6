"""How an engine goes on behind an attempt, by who failed and whether others worked."""

import pytest

from consumers.batching.pace import FAILURES_BEFORE_READING_ON, is_standstill, pace_of
from consumers.batching.rules import BatchRules
from consumers.batching.trial import Trial
from consumers.processing import Pace
from consumers.verdicts import Verdict

AWAY = Trial(failures=1, verdict=Verdict.DEPENDENCY)
AWAY_FOR_LONG = Trial(failures=FAILURES_BEFORE_READING_ON, verdict=Verdict.DEPENDENCY)
REFUSED = Trial(failures=1, verdict=Verdict.DEPENDENCY, of_content=True)
OURS = Trial(failures=5, ours=5, verdict=Verdict.OURS)


@pytest.mark.parametrize(
    ("failed", "worked", "keys", "pace"),
    [
        ([AWAY], True, 1, Pace.FULL),
        ([REFUSED, AWAY], True, 12, Pace.FULL),
        ([AWAY], False, 1, Pace.STILL),
        ([REFUSED, AWAY], False, 2, Pace.STILL),
        ([AWAY_FOR_LONG, AWAY], False, 2, Pace.STILL),
        ([AWAY_FOR_LONG], False, 1, Pace.SLOW),
        ([REFUSED], False, 9, Pace.FULL),
        ([REFUSED], False, 10, Pace.SLOW),
        ([OURS], False, 1, Pace.FULL),
    ],
)
def test_the_pace(failed: list[Trial], worked: bool, keys: int, pace: Pace) -> None:
    assert pace_of(failed, worked=worked, failing_keys=keys) is pace


@pytest.mark.parametrize(
    ("failed", "worked", "keys", "stands", "expected"),
    [
        ([OURS], False, 1, False, True),
        ([OURS], True, 1, False, False),
        ([OURS, AWAY], False, 2, False, False),
        ([Trial(failures=1, ours=1, verdict=Verdict.OURS)], False, 9, False, False),
        ([Trial(failures=1, ours=1, verdict=Verdict.OURS)], False, 10, False, True),
        ([Trial(failures=1, ours=1, verdict=Verdict.OURS)], False, 1, True, True),
        ([Trial(failures=5, ours=5, verdict=Verdict.OURS, worked=3, worked_before=2)], False, 12, False, False),
    ],
)
def test_a_standstill(failed: list[Trial], worked: bool, keys: int, stands: bool, expected: bool) -> None:
    rules = BatchRules()
    assert is_standstill(failed, rules, worked=worked, failing_keys=keys, stands=stands) is expected
