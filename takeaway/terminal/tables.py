"""Facts as people read them: rows on a terminal or for a pipe, counts and lengths of time in words."""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from rich import box
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from foundation.plain_text import one_line

Rows = Sequence[Mapping[str, Any]]

# In seconds.
_DAYS, _HOURS, _MINUTES = ("days", 86_400), ("h", 3600), ("min", 60)


def show_rows(names: Sequence[str], rows: Rows, console: Console) -> None:
    """On a terminal a table, or each row downwards where a table would not fit. In a pipe tab-separated, nothing cut.

    Times are in UTC: to the millisecond on a terminal, in full in a pipe.
    """
    if not console.is_terminal:
        for cells in ([one_line(name) for name in names], *([piped(row[name]) for name in names] for row in rows)):
            # The console's own printing would turn tabs into spaces.
            console.file.write("\t".join(cells) + "\n")
        return
    for room in (2, 1):
        table = _table(names, rows, gap=room)
        if Measurement.get(console, console.options.update(max_width=100_000), table).maximum <= console.width:
            console.print(table)
            return
    _show_downwards(names, rows, console)


def shown(value: object) -> str:
    """For eyes: nothing where there is nothing, and no character that a terminal would obey."""
    if isinstance(value, datetime):
        return f"{_in_utc(value):%Y-%m-%d %H:%M:%S.%f}"[:-3]
    return piped(value)


def piped(value: object) -> str:
    """All of the value on one line, without a tab."""
    if value is None:
        return ""
    if isinstance(value, datetime):
        return _in_utc(value).isoformat().replace("+00:00", "Z")
    text = json.dumps(value, default=piped, ensure_ascii=False) if isinstance(value, list | dict) else str(value)
    return one_line(text)


def counted(count: int, noun: str) -> str:
    """`1 row`, `2,000 rows`."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def in_words(length: timedelta) -> str:
    """`30 s`, `1 min`, `2 h`: in the largest unit that says it without a fraction."""
    seconds = length.total_seconds()
    for unit, size in (_HOURS, _MINUTES):
        if seconds and seconds % size == 0:
            return f"{seconds / size:g} {unit}"
    return f"{seconds:g} s"


def roughly(length: timedelta) -> str:
    """`45 s`, `90 min`, `2 h`, `3 days`: rounded, in the largest unit of which there are two at least."""
    seconds = length.total_seconds()
    for unit, size in (_DAYS, _HOURS, _MINUTES):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"


def _table(names: Sequence[str], rows: Rows, *, gap: int) -> Table:
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, gap - 1, 0, 0), header_style="bold")
    for name in names:
        values = [row[name] for row in rows]
        table.add_column(_heading(name, values), justify="right" if _numbers(values) else "left", no_wrap=True)
    for row in rows:
        table.add_row(*(Text(shown(row[name])) for name in names))
    return table


def _show_downwards(names: Sequence[str], rows: Rows, console: Console) -> None:
    headings = [_heading(name, [row[name] for row in rows]) for name in names]
    width = max(map(len, headings)) + 1
    for index, row in enumerate(rows):
        if index:
            console.print()
        for heading, name in zip(headings, names, strict=True):
            label = (f"{heading}:".ljust(width), "bold")
            console.print(Text.assemble(label, " ", shown(row[name])), soft_wrap=True, highlight=False)


def _heading(name: str, values: Sequence[object]) -> str:
    return f"{name} (UTC)" if any(isinstance(value, datetime) and value.tzinfo for value in values) else name


def _numbers(values: Sequence[object]) -> bool:
    some = [value for value in values if value is not None]
    return bool(some) and not any(isinstance(value, str | list | dict | datetime | bool) for value in some)


def _in_utc(value: datetime) -> datetime:
    return value.astimezone(UTC) if value.tzinfo else value
