"""What a consumer is told from outside: where it begins, and what it refuses to be told."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from consumers.settings import ConsumerSettings
from consumers.specs import CONSUMERS, Beginning, ConsumerSpec
from foundation.kinesis.records import Sentinel
from foundation.settings import SettingsError, from_environment

ENVIRON = {
    "TAKEAWAY_STREAM": "orders",
    "TAKEAWAY_OUTCOMES_TABLE": "outcomes",
    "TAKEAWAY_DEAD_LETTER_BUCKET": "letters",
    "TAKEAWAY_TICKET_TOPIC": "tickets",
    "TAKEAWAY_SENDER": "sender@example.com",
}

LOOKER = ConsumerSpec(part="looker", build="tests.consumers:nothing", hosted_by="archiver")


def settings(**variables: str) -> ConsumerSettings:
    return from_environment(
        ConsumerSettings, ENVIRON | {f"TAKEAWAY_{name.upper()}": variables[name] for name in variables}
    )


@pytest.mark.parametrize(
    ("start", "expected"),
    [
        ("", None),
        ("trim_horizon", (Sentinel.TRIM_HORIZON, None)),
        ("LATEST", (Sentinel.LATEST, None)),
        ("at_timestamp:2026-03-14T12:00:00Z", (Sentinel.AT_TIMESTAMP, datetime(2026, 3, 14, 12, tzinfo=UTC))),
        ("at_timestamp:2026-03-14T13:00:00+01:00", (Sentinel.AT_TIMESTAMP, datetime(2026, 3, 14, 12, tzinfo=UTC))),
    ],
)
def test_it_begins_where_it_is_told(start: str, expected: Any) -> None:
    assert settings(start=start).first_position == expected


@pytest.mark.parametrize(
    "start",
    [
        "yesterday",
        "shard_end",
        "at_timestamp",
        "at_timestamp:",
        "at_timestamp:noon",
        "at_timestamp:2026-03-14T12:00:00",
    ],
)
def test_any_other_beginning_is_refused_with_what_would_do(start: str) -> None:
    with pytest.raises(SettingsError, match=r"TAKEAWAY_START .* fix: trim_horizon, latest"):
        settings(start=start)


def test_it_begins_as_its_spec_says_where_it_is_not_told() -> None:
    late = replace(CONSUMERS["voucher_mailer"], begins=Beginning.NOW)
    for name, consumer in [*CONSUMERS.items(), ("late", late)]:
        begins = Sentinel.LATEST if consumer.begins is Beginning.NOW else Sentinel.TRIM_HORIZON
        assert settings().first_position_of(consumer) == (begins, None)
        if name != "archiver":
            assert settings(start="trim_horizon").first_position_of(consumer) == (Sentinel.TRIM_HORIZON, None)


def test_the_archiver_leaves_nothing_out() -> None:
    for start in ("trim_horizon", "at_timestamp:2026-03-14T12:00:00Z"):
        settings(start=start).first_position_of(CONSUMERS["archiver"])
    with pytest.raises(SettingsError, match="fix: start the archiver at trim_horizon"):
        settings(start="latest").first_position_of(CONSUMERS["archiver"])
    assert settings(start="latest").first_position_of(CONSUMERS["user_notifier"]) == (Sentinel.LATEST, None)


def test_a_process_begins_where_all_that_are_run_in_it_may(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("archiver", "tracker"):
        monkeypatch.setitem(CONSUMERS, name, replace(CONSUMERS[name], may_start_at_latest=True))
    settings(start="latest").first_position_of(CONSUMERS["archiver"])
    monkeypatch.setitem(CONSUMERS, "looker", replace(LOOKER, may_start_at_latest=False))
    with pytest.raises(SettingsError, match=r"looker would miss .* fix: start the archiver at trim_horizon"):
        settings(start="latest").first_position_of(CONSUMERS["archiver"])


def test_records_are_polled_unless_told() -> None:
    assert settings().retrieval == "polling"
    assert settings(retrieval="fan_out").retrieval == "fan_out"
    with pytest.raises(SettingsError, match="TAKEAWAY_RETRIEVAL"):
        settings(retrieval="pushed")
