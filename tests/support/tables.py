"""Rows that tests collect, printed as tables when the run is over. They travel with a test's own report."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

import pytest

_ROW = "row of a table"

Row = dict[str, object]


@dataclass(frozen=True)
class Tables:
    """`record` is pytest's `record_property`."""

    record: Callable[[str, object], None]

    def add(self, title: str, **row: object) -> None:
        self.record(_ROW, [title, row])


def write_tables(reporter: pytest.TerminalReporter) -> None:
    tables: dict[str, list[Row]] = {}
    for report in [*reporter.getreports("passed"), *reporter.getreports("failed")]:
        if isinstance(report, pytest.TestReport) and report.when == "call":
            for name, value in report.user_properties:
                if name == _ROW:
                    title, row = cast("tuple[str, Row]", value)
                    tables.setdefault(title, []).append(row)
    for title, rows in tables.items():
        reporter.section(title)
        widths = {name: max(len(name), *(len(str(row[name])) for row in rows)) for name in rows[0]}
        heading: Row = {name: name.replace("_", " ") for name in widths}
        for row in (heading, *rows):
            reporter.write_line("  ".join(str(row[name]).ljust(width) for name, width in widths.items()))
