"""A lake in a folder, made file by file."""

from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from analytics.lake import Lake
from analytics.table.layout import PARTITION_KEY, compacted_file
from analytics.table.log import AddedFile, DeltaLog, LogEntry
from analytics.table.schema import EVENT_SCHEMA
from tests.support.fakes.clock import FakeClock
from tests.support.lake_rows import a_table


class FolderLake:
    """`archive` adds a file as an archiver does; `compact` puts one in the place of a day's, whose objects stay.

    What a reader does not open may be missing: `lose` it, and see.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._commits = 0

    def archive(self, *rows: dict[str, Any]) -> str:
        """A file of rows of one day; answers its path."""
        return self.archive_table(rows[0][PARTITION_KEY], a_table(rows))

    def archive_table(self, day: date, rows: pa.Table) -> str:
        """The same of a table, all of whose rows are of that day."""
        self._commits += 1
        name = f"orders-shardId-000000000000-{self._commits:012}-1-0.parquet"
        return self._commit(f"{PARTITION_KEY}={day}/{name}", day, rows)

    def compact(self, day: date, *, row_group: int = 1000) -> str:
        """The day's events once each, sorted, in one file; answers its path."""
        self._commits += 1
        of_day = f"FROM events WHERE event_date = DATE '{day}' ORDER BY order_id, occurred_at"
        path = compacted_file(day, f"{self._commits:032x}", 0)
        return self._commit(path, day, self.lake().sql(of_day), row_group=row_group, replacing=day)

    def lake(self) -> Lake:
        """Opened afresh."""
        return Lake.open(str(self.root), {})

    def lose(self, *paths: str) -> None:
        for path in paths:
            (self.root / path).unlink()

    def _commit(
        self, path: str, day: date, rows: pa.Table, *, row_group: int = 1000, replacing: date | None = None
    ) -> str:
        snapshot = DeltaLog(str(self.root), {}, FakeClock().clock).snapshot()
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(rows.select(EVENT_SCHEMA.names).cast(EVENT_SCHEMA), file, row_group_size=row_group)
        entry = LogEntry(n=self._commits, epoch=1, batch_id=str(self._commits), hi=None)
        added = AddedFile(path, file.stat().st_size, day, rows.num_rows)
        snapshot.commit([added], {"test": entry}, replacing=replacing)
        return path
