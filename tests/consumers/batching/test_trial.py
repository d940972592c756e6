"""How a record's failures add up: comparisons, attempts, and what they need of others."""

import pytest
from botocore.exceptions import ClientError

from consumers.batching.rules import BatchRules
from consumers.batching.trial import Experience, Trial
from consumers.processing import Unprocessable

RULES = BatchRules()
REFUSED = ClientError({"Error": {"Code": "SomethingNew", "Message": "no"}}, "SendEmail")
THROTTLED = ClientError({"Error": {"Code": "Throttling", "Message": "no"}}, "SendEmail")


def after(*failures: tuple[Exception, int], worked_before: int = 0) -> Trial:
    """After these errors, each with how often the step had worked by then."""
    trial = Trial()
    for error, worked in failures:
        trial = trial.failed(error, worked_before=worked_before, worked=worked)
    return trial


def test_a_refusal_is_suspected_after_four_times_that_others_worked_between() -> None:
    assert not after(*[(REFUSED, turn) for turn in range(4)]).is_over(RULES)
    suspected = after(*[(REFUSED, turn) for turn in range(5)])
    assert suspected.is_over(RULES)
    assert suspected.is_suspected(RULES)
    assert (suspected.failures, suspected.comparisons, suspected.others_worked) == (5, 4, 4)


def test_a_refusal_for_everybody_never_is() -> None:
    assert not after(*[(REFUSED, 7)] * 1000, worked_before=7).is_over(RULES)


def test_what_worked_before_the_first_failure_is_no_comparison() -> None:
    assert after((REFUSED, 100), (REFUSED, 100), worked_before=0).comparisons == 0


def test_what_passes_by_itself_is_no_comparison_however_others_fare() -> None:
    trial = after(*[(THROTTLED, turn) for turn in range(1000)])
    assert (trial.comparisons, trial.is_over(RULES)) == (0, False)


def test_a_record_that_is_throttled_when_it_should_be_suspected_is_not_suspected_of_that() -> None:
    trial = after(*[(REFUSED, turn) for turn in range(5)], (THROTTLED, 9))
    assert not trial.is_over(RULES)


def test_our_own_failure_counts_when_another_record_worked_since_the_first() -> None:
    assert not after(*[(KeyError(), 3)] * 100, worked_before=3).is_over(RULES)
    assert after(*[(KeyError(), 3)] * 5, worked_before=2).is_over(RULES)
    assert not after(*[(KeyError(), 3)] * 4, worked_before=2).is_over(RULES)


def test_without_comparing_one_attempt_is_one_attempt() -> None:
    alone = BatchRules(max_attempts=1, compares=False)
    assert after((KeyError(), 0)).is_over(alone)
    assert not after((REFUSED, 0)).is_over(alone)


def test_the_records_own_fault_needs_no_other() -> None:
    assert after((Unprocessable("refused"), 0)).is_over(RULES)


@pytest.mark.parametrize("attempts", [1, 4])
def test_begun_anew_it_has_all_its_attempts_again(attempts: int) -> None:
    trial = after(*[(KeyError(), 0)] * 9).failed(KeyError(), worked_before=0, worked=1).begun_anew()
    for _ in range(attempts):
        trial = trial.failed(KeyError(), worked_before=5, worked=6)
        assert not trial.is_over(RULES)


def test_experience_is_bounded() -> None:
    experience = Experience()
    experience._most = 3
    for number in range(10):
        experience.note(("orders", "shard", str(number), 0), Trial(failures=number + 1))
    assert len(experience._trials) == 3
    assert experience.of(("orders", "shard", "9", 0)).failures == 10
    assert experience.of(("orders", "shard", "0", 0)) == Trial()
