"""A wait says for how long, and how far it is."""

import pytest

from foundation.clock import Clock
from takeaway.terminal.under_way import tell_until_over, waiting


def test_elsewhere_than_on_a_terminal_a_line_comes_after_two_seconds_and_then_each_ten(
    capsys: pytest.CaptureFixture[str],
) -> None:
    now, pauses, latest = [100.0], [], [""]

    def wait(seconds: float) -> bool:
        pauses.append(seconds)
        now[0] += seconds
        latest[0] = f"{len(pauses)} of 3 done" if len(pauses) > 1 else ""
        return len(pauses) == 4

    tell_until_over("counting", latest, wait, Clock(now=lambda: None, monotonic=lambda: now[0]))  # type: ignore[arg-type, return-value]
    assert pauses == [2, 10, 10, 10]
    assert capsys.readouterr().err.splitlines() == [
        "counting, 2 s",
        "counting: 2 of 3 done, 12 s",
        "counting: 3 of 3 done, 22 s",
    ]


def test_what_is_over_sooner_says_nothing_and_leaves_no_thread(capsys: pytest.CaptureFixture[str]) -> None:
    with waiting("counting") as tell:
        tell("1 of 3")
    assert capsys.readouterr() == ("", "")
