"""A command at a terminal of its own: what it writes there, keys that are pressed, and the terminal as it leaves it."""

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from tests.support.flow import until

_COLOURS = re.compile(r"\x1b\[[0-9;]*m")
CTRL_C = "\x03"
ALTERNATE, BACK = "\x1b[?1049h", "\x1b[?1049l"
CURSOR_HIDDEN, CURSOR_SHOWN = "\x1b[?25l", "\x1b[?25h"
# The terminal becomes that of the session, so that Ctrl-C is a signal.
_AT_ITS_TERMINAL = """
import fcntl, os, sys, termios
os.setsid()
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execv(sys.argv[1], sys.argv[1:])
"""


class Terminal:
    """`written` is all that came so far, with what a terminal would obey; `text` is without colours."""

    def __init__(self, arguments: tuple[str, ...], environ: Mapping[str, str], columns: int, lines: int) -> None:
        self._master, self._slave = pty.openpty()
        fcntl.ioctl(self._slave, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
        self._before = termios.tcgetattr(self._slave)
        self.written = ""
        command = [sys.executable, "-c", _AT_ITS_TERMINAL, sys.executable, "-m", "takeaway.cli", *arguments]
        self.process = subprocess.Popen(  # noqa: S603 - our own arguments
            command, env=dict(environ), stdin=self._slave, stdout=self._slave, stderr=self._slave
        )
        threading.Thread(target=self._read, daemon=True).start()

    @property
    def text(self) -> str:
        return _COLOURS.sub("", self.written)

    def until(self, pattern: str, within: float = 240) -> None:
        """Until there is such a text, as a regular expression finds it."""
        until(lambda: re.search(pattern, self.text) or self.process.poll() is not None, within=within)
        assert re.search(pattern, self.text), f"it ended without {pattern!r}: {self.text[-3000:]}"

    def press(self, keys: str) -> None:
        os.write(self._master, keys.encode())

    def ended(self, within: float = 240) -> int:
        """Its exit code, once the terminal has all that it wrote."""
        code = self.process.wait(within)
        termios.tcdrain(self._slave)
        return code

    def is_as_before(self) -> bool:
        """Its settings, its usual screen, and a cursor that is seen."""
        return (
            termios.tcgetattr(self._slave) == self._before
            and self.written.rfind(BACK) >= self.written.rfind(ALTERNATE)
            and self.written.rfind(CURSOR_SHOWN) >= self.written.rfind(CURSOR_HIDDEN)
        )

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self._slave)

    def _read(self) -> None:
        while True:
            try:
                data = os.read(self._master, 65536)
            except OSError:
                # The other end is closed.
                return
            self.written += data.decode(errors="replace")


@contextmanager
def at_a_terminal(
    *arguments: str, variables: Mapping[str, str], columns: int = 80, lines: int = 24
) -> Iterator[Terminal]:
    """`takeaway` with these arguments, and these variables beside those of the process, at a terminal of this size."""
    environ = {**os.environ, **variables, "TERM": "xterm-256color"}
    for name in ("COLUMNS", "LINES", "NO_COLOR"):
        environ.pop(name, None)
    terminal = Terminal(arguments, environ, columns, lines)
    try:
        yield terminal
    finally:
        terminal.close()
