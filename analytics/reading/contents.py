"""What is in a lake, at a glance."""

from dataclasses import dataclass
from datetime import date, datetime
from html import escape

from foundation.plain_text import one_line


@dataclass(frozen=True)
class Contents:
    """How much there is, as the table's log tells; `rows` are records, `size` is in bytes, days are in UTC.

    `newest` is when the newest event says that it occurred. `orders` is None where counting them would read too much.
    """

    address: str
    version: int
    rows: int
    files: int
    size: int
    days: int
    first_day: date
    last_day: date
    newest: datetime | None
    orders: int | None

    def lines(self) -> list[tuple[str, str]]:
        """Each fact under its name."""
        orders = "more than are counted for a glance" if self.orders is None else f"{self.orders:,}"
        newest = "none" if self.newest is None else f"{self.newest:%Y-%m-%d %H:%M:%S} UTC"
        return [
            ("lake", one_line(self.address)),
            ("records", f"{self.rows:,}"),
            ("orders", orders),
            ("days", f"{self.days:,}, {self.first_day} to {self.last_day}"),
            ("newest event", newest),
            ("files", f"{self.files:,}, {_bytes(self.size)}"),
            ("version", f"{self.version:,}"),
            ("tables", "records, events, orders"),
        ]

    def __str__(self) -> str:
        (_, address), *facts, _, _ = self.lines()
        return f"<Lake {address}  {', '.join(f'{name}: {value}' for name, value in facts)}>"

    def html(self) -> str:
        """The same as a small table."""
        cell = '<td style="text-align: left">'
        rows = "".join(f"<tr><th>{name}</th>{cell}{escape(value)}</td></tr>" for name, value in self.lines())
        return f"<table>{rows}</table>"


def _bytes(size: int) -> str:
    for unit, least in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if size >= least:
            return f"{size / least:.1f} {unit}"
    return f"{size} bytes"
