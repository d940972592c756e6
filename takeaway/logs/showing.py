"""A line of a log for eyes: when, which process, what happened, and the happening's own fields."""

import json
from datetime import UTC, date
from typing import Any

from rich.text import Text

from foundation.plain_text import one_line
from takeaway.logs.lines import ABOUT, LONG_AGO, LogLine

_STYLES = ("cyan", "green", "magenta", "blue", "yellow", "bright_cyan", "bright_green", "bright_magenta", "bright_blue")


class LineShown:
    """Makes lines readable, one after the other: times are in UTC, and a new day is told once, above its first line."""

    def __init__(self, width: int = 0) -> None:
        self._day: date | None = None
        self._width = width
        self._styles: dict[str, str] = {}

    def __call__(self, line: LogLine) -> list[Text]:
        self._width = max(self._width, len(line.process))
        style = self._styles.setdefault(line.process, _STYLES[len(self._styles) % len(_STYLES)])
        return [*self._new_day(line), self._shown(line, style)]

    def _new_day(self, line: LogLine) -> list[Text]:
        day = line.at.astimezone(UTC).date() if line.at != LONG_AGO else self._day
        if day == self._day:
            return []
        self._day = day
        return [Text(f"{day} (UTC)", style="dim")]

    def _shown(self, line: LogLine, style: str) -> Text:
        at = " " * 12 if line.at == LONG_AGO else f"{line.at.astimezone(UTC):%H:%M:%S.%f}"[:-3]
        shown = Text.assemble((at, "dim"), " ", (f"{line.process:{self._width}}", style), " ")
        if line.told is None:
            return shown.append(one_line(line.text), style="red")
        shown.append(one_line(str(line.told["happened"])), style="bold red" if line.is_trouble else "bold")
        for name, value in line.told.items():
            if name not in ABOUT and value is not None:
                shown.append(f" {one_line(name)}=", style="dim").append(_value(value))
        return shown


def _value(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    is_one_word = bool(text) and " " not in text
    return one_line(text if is_one_word else json.dumps(text, ensure_ascii=False))
