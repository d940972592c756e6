"""The demo's Ctrl-C: the first says what it waits for, the second means now."""

import os
import signal

import pytest

from takeaway.demo.run import Interrupted


def test_the_first_says_what_it_waits_for_and_the_second_means_now(capfd: pytest.CaptureFixture[str]) -> None:
    interrupted = Interrupted()
    with interrupted.watching():
        os.kill(os.getpid(), signal.SIGINT)
        assert interrupted.event.is_set()
        assert "waits for the load to end" in capfd.readouterr().err
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
