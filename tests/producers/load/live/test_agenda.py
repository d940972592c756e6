"""The agenda does things when they are due, and hides no failure."""

import threading
from collections.abc import Callable

import pytest

from producers.load.live.agenda import Agenda
from tests.support.fakes.clock import FakeClock


class Stepped:
    """An agenda on time that moves when the test says so. Its thread's ticks take a millisecond and move nothing."""

    def __init__(self) -> None:
        self.time = FakeClock()
        self.done: list[str] = []
        self.agenda = Agenda(self.time.clock, lambda _: threading.Event().wait(0.001))

    def note(self, name: str) -> Callable[[], None]:
        return lambda: self.done.append(name)

    def until(self, count: int) -> list[str]:
        for _ in range(5000):
            if len(self.done) >= count:
                break
            threading.Event().wait(0.001)
        return self.done


def test_things_are_done_at_their_times_and_not_before() -> None:
    stepped = Stepped()
    with stepped.agenda as agenda:
        agenda.after(10, stepped.note("late"))
        agenda.after(5, stepped.note("early"))
        agenda.after(0, stepped.note("now"))
        assert stepped.until(1) == ["now"]
        stepped.time.advance(9.9)
        assert stepped.until(2) == ["now", "early"]
        stepped.time.advance(0.1)
        assert stepped.until(3) == ["now", "early", "late"]


def test_leaving_finishes_what_has_begun_and_drops_the_rest() -> None:
    stepped = Stepped()
    begun, finish = threading.Event(), threading.Event()

    def action() -> None:
        begun.set()
        assert finish.wait(20)
        stepped.done.append("finished")

    with stepped.agenda as agenda:
        agenda.after(0, action)
        agenda.after(60, stepped.note("never"))
        assert begun.wait(20)
        finish.set()
    assert stepped.done == ["finished"]


def test_a_failure_is_raised_at_the_next_look() -> None:
    stepped = Stepped()

    def fail() -> None:
        raise ZeroDivisionError

    def watch() -> None:
        with stepped.agenda as agenda:
            agenda.after(0, fail)
            for _ in range(5000):
                agenda.check()
                threading.Event().wait(0.001)

    with pytest.raises(ZeroDivisionError):
        watch()


def test_a_failure_while_leaving_is_raised_too() -> None:
    begun, left = threading.Event(), threading.Event()

    def fail() -> None:
        begun.set()
        assert left.wait(20)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError), Stepped().agenda as agenda:  # noqa: PT012 - leaving is what raises
        agenda.after(0, fail)
        assert begun.wait(20)
        left.set()
