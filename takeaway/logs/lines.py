"""One line of a process' log: a happening as JSON, or words of another program, such as a traceback."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import msgspec

LONG_AGO = datetime.min.replace(tzinfo=UTC)
_TROUBLE = ("error", "trouble")
# What each line of ours begins with; the others are the happening's own.
ABOUT = ("at", "application", "happened")


@dataclass(frozen=True)
class LogLine:
    """`told` is the happening, None for other words: these are as old as the line before them.

    `text` is the line as it stands in the file, without its end; what is no UTF-8 is replaced.
    """

    process: str
    at: datetime
    text: str
    told: Mapping[str, Any] | None = None

    @property
    def is_trouble(self) -> bool:
        """An error, or words that no program of ours means to say."""
        return self.told is None or any(self.told.get(name) is not None for name in _TROUBLE)


def log_line(process: str, data: bytes, before: datetime) -> LogLine:
    """What these bytes are; `before` is the time of the line before."""
    text = data.decode(errors="replace").rstrip("\r")
    try:
        told = msgspec.json.decode(data)
        at = datetime.fromisoformat(told["at"])
        if at.tzinfo is not None and isinstance(told["happened"], str):
            return LogLine(process, at, text, told)
    except (msgspec.DecodeError, ValueError, KeyError, TypeError, RecursionError):
        pass
    return LogLine(process, before, text)
