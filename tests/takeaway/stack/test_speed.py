"""What processes are told where simulated restaurants are fast."""

from datetime import timedelta
from pathlib import Path

import pytest

from events.choreography import accept_within
from foundation.settings import from_environment
from producers.settings import OrdersApiSettings
from takeaway.stack.flow import at_speed, backend_that_is_up


@pytest.mark.parametrize(
    ("speed", "seconds"), [(1, 600), (1.7, 353), (7, 86), (60, 20), (61, 20), (400, 20), (1_000_000, 20)]
)
def test_an_answer_has_so_much_less_time_and_a_machine_its_seconds(speed: float, seconds: int) -> None:
    assert accept_within(speed) == max(timedelta(minutes=10) / speed, timedelta(seconds=20))
    environ = at_speed(speed) | {"TAKEAWAY_ORDERS_TABLE": "orders"}
    assert from_environment(OrdersApiSettings, environ).accept_within == timedelta(seconds=seconds)


@pytest.mark.parametrize("backend", ["localstack", "docker"])
def test_on_a_slow_back_end_an_answer_has_a_minute(backend: str) -> None:
    assert at_speed(400, backend)["TAKEAWAY_ACCEPT_WITHIN_SECONDS"] == "60"
    assert at_speed(2, backend)["TAKEAWAY_ACCEPT_WITHIN_SECONDS"] == "300"


def test_what_a_person_has_set_stays() -> None:
    asked = at_speed(60) | {"TAKEAWAY_ACCEPT_WITHIN_SECONDS": "45"}
    assert asked == {"TAKEAWAY_ACCEPT_WITHIN_SECONDS": "45", "TAKEAWAY_SPEED": "60"}


def test_the_back_end_that_is_up_is_known_and_without_one_the_usual_one(tmp_path: Path) -> None:
    assert backend_that_is_up(tmp_path) == "embedded"
    (tmp_path / "backend").write_text("docker")
    assert backend_that_is_up(tmp_path) == "docker"
