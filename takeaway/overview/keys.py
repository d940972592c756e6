"""Single keys from a terminal, without waiting for a line's end."""

import os
import select
import sys
import termios
import tty
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

UP, DOWN, ENTER, BACK = "up", "down", "enter", "back"
_NAMES = {
    b"\x1b[A": UP,
    b"\x1bOA": UP,
    b"k": UP,
    b"\x1b[B": DOWN,
    b"\x1bOB": DOWN,
    b"j": DOWN,
    b"\r": ENTER,
    b"\n": ENTER,
    b"\x1b": BACK,
    b"\x7f": BACK,
}
# The longest of what a key sends that has a name here; a terminal sends all of it at once.
_LONGEST = 8


@dataclass(frozen=True)
class Keys:
    """`read` answers with a key's name, or its letter; None when none was pressed within so many seconds."""

    descriptor: int

    def read(self, seconds: float) -> str | None:
        ready, _, _ = select.select([self.descriptor], [], [], max(0.0, seconds))
        if not ready:
            return None
        return named(os.read(self.descriptor, _LONGEST))


def named(sent: bytes) -> str | None:
    """What is no key of ours is none: also the end of input."""
    if sent in _NAMES:
        return _NAMES[sent]
    return chr(sent[0]) if len(sent) == 1 and 0x20 < sent[0] < 0x7F else None


@contextmanager
def single_keys() -> Iterator[Keys]:
    """Ctrl-C stays what it is. Afterwards the terminal is as it was."""
    descriptor = sys.stdin.fileno()
    before = termios.tcgetattr(descriptor)
    tty.setcbreak(descriptor)
    try:
        yield Keys(descriptor)
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)
