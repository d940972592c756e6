"""Threads that reach a service one call at a time, in an order that a test chooses."""

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any


class Turns:
    """Runs each of `run`'s works in a thread; at every call through its gate one waits until it is its turn.

    Between two calls no other thread does anything, so an order of turns is all there is to an interleaving.
    """

    def __init__(self, order: Sequence[int]) -> None:
        self._order = list(order)
        self._changed = threading.Condition()
        self._waiting: set[str] = set()
        self._alive: set[str] = set()
        self._next: str | None = None

    def gate(self, name: str) -> "TurnGate":
        return TurnGate(self, name)

    def run(self, works: Mapping[str, Callable[[], None]], after_each: Callable[[], None]) -> None:
        """`after_each` is called between any two calls."""
        self._alive = set(works)
        threads = [threading.Thread(target=self._work, args=(name, work), daemon=True) for name, work in works.items()]
        for thread in threads:
            thread.start()
        turn = 0
        while True:
            with self._changed:
                assert self._changed.wait_for(lambda: self._next is None and self._waiting == self._alive, timeout=30)
                if not self._alive:
                    return
                after_each()
                able = sorted(self._waiting)
                chosen = self._order[turn] if turn < len(self._order) else turn
                self._next = able[chosen % len(able)]
                self._changed.notify_all()
            turn += 1

    def wait_for_turn(self, name: str) -> None:
        with self._changed:
            self._waiting.add(name)
            self._changed.notify_all()
            assert self._changed.wait_for(lambda: self._next == name, timeout=30)
            self._waiting.discard(name)
            self._next = None

    def _work(self, name: str, work: Callable[[], None]) -> None:
        self.wait_for_turn(name)
        try:
            work()
        finally:
            with self._changed:
                self._alive.discard(name)
                self._changed.notify_all()


class TurnGate:
    """For `FakeBucket.through`. Each call waits for its turn; what `dies` says of its number may raise."""

    def __init__(self, turns: Turns, name: str, dies: Callable[[int], None] = lambda _: None) -> None:
        self._turns = turns
        self._name = name
        self._calls = 0
        self.dies = dies

    def through(self, apply: Callable[[], Any]) -> Any:
        self._turns.wait_for_turn(self._name)
        self._calls += 1
        self.dies(self._calls)
        return apply()
