"""The one way to a terminal: what commands print, with nothing in it that a terminal would obey but our own styles."""

import codecs
import io
import os
import shutil
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any, TextIO

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

from foundation.plain_text import plain_text


def say(*values: object, file: TextIO | None = None) -> None:
    """`print`, for text that may come from elsewhere."""
    print(*(plain_text(str(value)) for value in values), file=file or sys.stdout)


def typed() -> str:
    """How this program is called in the shell it was started from."""
    if shutil.which("takeaway"):
        return "takeaway"
    beside = Path(sys.executable).with_name("takeaway")
    return os.path.relpath(beside) if beside.is_relative_to(Path.cwd()) else str(beside)


class PlainConsole(Console):
    """rich's console; what data say is neither markup nor control."""

    def __init__(self, *, stderr: bool = False, highlight: bool = True, soft_wrap: bool = False) -> None:
        super().__init__(stderr=stderr, highlight=highlight, soft_wrap=soft_wrap, markup=False)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        for segment in super().render(renderable, options):
            yield segment if segment.control else Segment(plain_text(segment.text), segment.style)


class PlainOut(io.RawIOBase):
    """Standard output for bytes that are text: at a terminal with nothing in it that a terminal would obey."""

    def __init__(self) -> None:
        super().__init__()
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        sys.stdout.write(plain_text(self._decoder.decode(bytes(data))))
        return len(data)
