"""Rules that cannot be kept to are refused where they are written down, with what to do."""

from datetime import timedelta
from typing import Any

import pytest

from consumers.batching.rules import BatchRules
from consumers.settings import ConsumerSettings
from foundation.settings import SettingsError, from_environment

NEEDED = {
    "TAKEAWAY_STREAM": "orders",
    "TAKEAWAY_OUTCOMES_TABLE": "outcomes",
    "TAKEAWAY_DEAD_LETTER_BUCKET": "letters",
    "TAKEAWAY_TICKET_TOPIC": "arn",
    "TAKEAWAY_SENDER": "orders@takeaway.example",
}


@pytest.mark.parametrize(
    "wrong",
    [
        {"batch_size": 0},
        {"batch_size": 10_001},
        {"batching_window": timedelta(seconds=-1)},
        {"batching_window": timedelta(minutes=6)},
        {"parallelization_factor": 0},
        {"parallelization_factor": 65},
        {"max_attempts": 0},
        {"max_record_age": timedelta(0)},
    ],
)
def test_a_rule_that_cannot_be_kept_to_is_named_with_a_fix(wrong: dict[str, Any]) -> None:
    (name,) = wrong
    with pytest.raises(SettingsError, match=rf"^{name} is .*\. fix: "):
        BatchRules(**wrong)


def test_the_notifiers_rules_come_from_the_environment() -> None:
    environ = {**NEEDED, "TAKEAWAY_BATCHING_WINDOW_SECONDS": "1.5", "TAKEAWAY_MAX_RECORD_AGE_SECONDS": "3600"}
    assert from_environment(ConsumerSettings, environ).rules == BatchRules(
        batching_window=timedelta(seconds=1.5), max_record_age=timedelta(hours=1)
    )
    assert from_environment(ConsumerSettings, NEEDED).rules == BatchRules()


def test_a_wrong_rule_in_the_environment_is_found_when_the_settings_are_read() -> None:
    with pytest.raises(SettingsError, match="parallelization_factor is 0"):
        from_environment(ConsumerSettings, {**NEEDED, "TAKEAWAY_PARALLELIZATION_FACTOR": "0"})
