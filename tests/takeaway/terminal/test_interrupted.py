"""Ctrl-C: the first says what it waits for, the second means now, and those after it disturb nothing."""

import signal

import pytest

from takeaway.terminal import Interrupted

WAITS = "waits for the load's end"


def press(number: signal.Signals = signal.SIGINT) -> None:
    # To this thread, and before the next line.
    signal.raise_signal(number)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_says_what_it_waits_for_and_the_second_means_now(
    number: signal.Signals, capfd: pytest.CaptureFixture[str]
) -> None:
    before = signal.getsignal(number)
    interrupted = Interrupted("waits for the start")
    with interrupted.watching():
        interrupted.waits_for = WAITS
        press(number)
        assert interrupted.event.is_set()
        assert capfd.readouterr().err == f"\nstopping: {WAITS}; Ctrl-C again ends it at once\n"
        with pytest.raises(KeyboardInterrupt):
            press(number)
        press(number)
        assert capfd.readouterr().err == ""
    assert signal.getsignal(number) is before


def test_where_nothing_is_to_be_finished_the_first_already_ends_it(capfd: pytest.CaptureFixture[str]) -> None:
    with Interrupted(WAITS, at_once=True).watching():
        with pytest.raises(KeyboardInterrupt):
            press()
        assert capfd.readouterr().err.count(WAITS) == 1
        with pytest.raises(KeyboardInterrupt):
            press()


def test_what_a_screen_shows_is_not_written_into_it(capfd: pytest.CaptureFixture[str]) -> None:
    interrupted = Interrupted(WAITS)
    interrupted.silent = True
    with interrupted.watching():
        press()
    assert (interrupted.event.is_set(), capfd.readouterr().err) == (True, "")
    assert WAITS in interrupted.told
