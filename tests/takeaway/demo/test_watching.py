"""A demo's load being watched, on simulated time: what it reads, what it shows, and what a Ctrl-C waits for."""

from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from takeaway.demo import run, watching
from takeaway.demo.screen import View
from takeaway.demo.watching import Pace, Watch
from takeaway.terminal import Interrupted
from tests.support.fakes.clock import FakeClock

TERMINAL = run._AT_A_TERMINAL


class World:
    """A load that ends by itself after so many seconds, or when it is stopped; an empty ledger, and all in the lake."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, load_seconds: float = 60.0) -> None:
        self.time = FakeClock()
        self.looks: list[float] = []
        self.happened: list[object] = []
        self.stopped = False
        self.interrupted = Interrupted("waits for the load's end")
        monkeypatch.setattr(watching, "lake_rows", lambda _: 0)
        monkeypatch.setattr(watching, "ledger_facts", lambda _: ())
        monkeypatch.setattr(watching, "exit_code", lambda _: 0)
        monkeypatch.setattr(watching, "stop_processes", self.stop)
        load: Any = SimpleNamespace(log="load.log", process=lambda: self.living(load_seconds))
        stack: Any = SimpleNamespace(home=Path("home"), environ={}, running=[load])
        observer: Any = SimpleNamespace(look=self.look, counts=Counter(), records=0, seen=set[str]())
        self.watch = Watch(stack, 600, 49.0, load, observer, self.interrupted, self.time.clock, self.time.wait)

    def living(self, seconds: float) -> object | None:
        return None if self.stopped or self.time.monotonic() >= seconds else object()

    def look(self) -> None:
        self.looks.append(self.time.monotonic())

    def stop(self, _: object, *, grace: float) -> None:
        self.happened.append(grace)
        self.time.advance(grace)
        self.stopped = True

    def show(self, view: View) -> None:
        self.happened.append(view)


@pytest.mark.parametrize(("pace", "shown"), [(TERMINAL, 120), (run._PIPED, 12)])
def test_it_reads_no_more_than_is_left_for_looking_on(monkeypatch: pytest.MonkeyPatch, pace: Pace, shown: int) -> None:
    world = World(monkeypatch)
    world.watch.until_done(world.show, pace)
    beside = 1 / run._OVERVIEW_SECONDS if pace is TERMINAL else 0.0
    assert len(world.looks) / world.time.monotonic() + beside <= 1.05
    assert shown <= len(world.happened) <= 1.1 * shown + 3


def test_the_last_view_says_what_the_drain_waits_for(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(monkeypatch, load_seconds=10.0)
    world.watch.until_done(world.show, TERMINAL)
    first, last = world.happened[0], world.happened[-1]
    assert isinstance(first, View)
    assert isinstance(last, View)
    assert (first.phase, first.stopping) == ("orders are being placed", "")
    assert last.phase == "the last events are on their way into the lake"


def test_what_a_ctrl_c_waits_for_is_shown_before_it_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(monkeypatch)
    world.interrupted.event.set()
    world.watch.until_done(world.show, TERMINAL)
    stopped = world.happened.index(watching._LOAD_GRACE_SECONDS)
    before = world.happened[stopped - 1]
    assert isinstance(before, View)
    assert before.stopping == world.interrupted.told
    assert world.happened.count(watching._LOAD_GRACE_SECONDS) == 1
