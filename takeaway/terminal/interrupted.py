"""What Ctrl-C and SIGTERM do to a command that has begun what must be ended."""

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_AGAIN = "Ctrl-C again ends it at once"


class Interrupted:
    """The first one asks for an orderly end and says what that waits for, the second means now; more change nothing.

    `waits_for` is what is said, and may be set anew as the command goes on. The first sets `event`, and where it is
    `at_once` raises `KeyboardInterrupt`, as the second always does. `silent`: the command shows `told` by itself.
    """

    def __init__(self, waits_for: str, *, at_once: bool = False) -> None:
        self.waits_for = waits_for
        self.event = threading.Event()
        self.silent = False
        self._at_once = at_once
        self._heard_of = 0

    @property
    def told(self) -> str:
        return f"stopping: {self.waits_for}; {_AGAIN}"

    @contextmanager
    def watching(self) -> Iterator[None]:
        before = {number: signal.signal(number, self._heard) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _heard(self, _number: int, _frame: FrameType | None) -> None:
        self._heard_of += 1
        if self._heard_of == 1:
            self.event.set()
            if not self.silent:
                # By itself: what prints may be in the middle of a line, and holds a lock.
                os.write(sys.stderr.fileno(), f"\n{self.told}\n".encode())
            if self._at_once:
                raise KeyboardInterrupt
        elif self._heard_of == 2:
            raise KeyboardInterrupt
