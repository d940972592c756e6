"""Real threads on simulated time, one at a time and always in the same order: a test of many seconds takes none."""

import itertools
import math
import threading
from dataclasses import dataclass, field
from typing import Any

from tests.support.fakes.clock import FakeClock


@dataclass
class _Sleeper:
    """A thread that waits until a moment, or until its event is set; `turn` is set when it may go on."""

    wake_at: float
    order: int
    event: threading.Event
    group: str
    turn: threading.Event = field(default_factory=threading.Event)


class Deadlock(AssertionError):
    """Every thread waits for another one, and no time can pass."""


class SimulatedThreads:
    """Runs the threads made by `thread` in turns: one goes on until it waits, then the one that is due next does.

    `wait` and `thread` stand in for `threading.Event.wait` and `threading.Thread`. Time passes only when all wait. What
    a thread dies of is in `crashes`.
    """

    def __init__(self, clock: FakeClock) -> None:
        self._clock = clock
        self._sleepers: list[_Sleeper] = []
        self._orders = itertools.count()
        self._frozen: set[str] = set()
        self._refused: dict[str, Exception] = {}
        self.crashes: list[BaseException] = []

    def wait(self, event: threading.Event, seconds: float) -> bool:
        """Lets the others run until the event is set or the time has come; True when the event is set."""
        me = self._sleeper(self._clock.monotonic() + seconds, event)
        self._hand_over()
        me.turn.wait()
        return event.is_set()

    def run(self, seconds: float) -> None:
        """Lets everything run for so long."""
        self.wait(threading.Event(), seconds)

    def thread(self, *, target: Any, name: str | None = None, daemon: bool = True) -> threading.Thread:
        return _SimulatedThread(self, target, name, daemon=daemon)

    def refuse(self, name: str, error: Exception) -> None:
        """The next thread of that name cannot be started."""
        self._refused[name] = error

    def freeze(self, group: str) -> None:
        """Gives no more turns to the thread of that name, nor to those it has started."""
        self._frozen.add(group)

    def thaw(self, group: str) -> None:
        self._frozen.discard(group)

    def _sleeper(self, wake_at: float, event: threading.Event, group: str | None = None) -> _Sleeper:
        sleeper = _Sleeper(wake_at, next(self._orders), event, group or _group())
        self._sleepers.append(sleeper)
        return sleeper

    def _hand_over(self) -> None:
        now = self._clock.monotonic()
        awake = [each for each in self._sleepers if each.group not in self._frozen]
        due = min(awake, key=lambda each: (now if each.event.is_set() else each.wake_at, each.order))
        if not due.event.is_set():
            if math.isinf(due.wake_at):
                raise Deadlock(f"{len(self._sleepers)} threads wait for each other")
            self._clock.advance(max(0.0, due.wake_at - now))
        self._sleepers.remove(due)
        due.turn.set()


class _SimulatedThread(threading.Thread):
    def __init__(self, threads: SimulatedThreads, target: Any, name: str | None, *, daemon: bool) -> None:
        super().__init__(name=name, daemon=daemon)
        self._threads = threads
        self._work = target
        self._over = threading.Event()
        self._first_turn: _Sleeper | None = None
        self.group = _group() or str(name)

    def start(self) -> None:
        if error := self._threads._refused.pop(self.name, None):
            raise error
        self._first_turn = self._threads._sleeper(self._threads._clock.monotonic(), threading.Event(), self.group)
        super().start()

    def run(self) -> None:
        assert self._first_turn is not None
        self._first_turn.turn.wait()
        try:
            self._work()
        except BaseException as crash:  # noqa: BLE001 - the test has to look: pytest would blame whoever comes next
            self._threads.crashes.append(crash)
        self._over.set()
        self._threads._hand_over()

    def join(self, timeout: float | None = None) -> None:
        self._threads.wait(self._over, math.inf if timeout is None else timeout)

    def is_alive(self) -> bool:
        return self._first_turn is not None and not self._over.is_set()


def _group() -> str:
    """The thread that stands at the beginning of those started here; nothing outside the simulation."""
    current = threading.current_thread()
    return current.group if isinstance(current, _SimulatedThread) else ""
