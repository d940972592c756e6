"""A lake in a folder, kept as one on S3 is: a bucket whose objects are files, and a log that readers open."""

from collections.abc import Iterator, MutableMapping
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from analytics.files.writing import days, parquet
from analytics.lake import Lake
from analytics.maintenance.compaction import CompactionPolicy, Compactor
from analytics.maintenance.vacuum import LEAST_RETENTION, Vacuum
from analytics.table.layout import object_key
from analytics.table.log import AddedFile, DeltaLog, LogEntry
from analytics.table.schema import EVENT_SCHEMA
from foundation.bucket import Bucket
from foundation.clock import SYSTEM_CLOCK
from tests.support.fakes.bucket import FakeBucket
from tests.support.lake_rows import a_table


class Objects(MutableMapping[str, bytes]):
    """Files below a folder, by their paths."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def __getitem__(self, key: str) -> bytes:
        try:
            return (self._root / key).read_bytes()
        except (FileNotFoundError, IsADirectoryError):
            raise KeyError(key) from None

    def __setitem__(self, key: str, body: bytes) -> None:
        (self._root / key).parent.mkdir(parents=True, exist_ok=True)
        (self._root / key).write_bytes(body)

    def __delitem__(self, key: str) -> None:
        (self._root / key).unlink()

    def __iter__(self) -> Iterator[str]:
        return (str(path.relative_to(self._root)) for path in self._root.rglob("*") if path.is_file())

    def __len__(self) -> int:
        return sum(1 for _ in self)


class Written(dict[str, datetime]):
    """When each file was written, as the disk tells: the log's own files are not written through the bucket."""

    def __init__(self, root: Path) -> None:
        super().__init__()
        self._root = root

    def get(self, key: str, _: Any = None) -> datetime:
        return datetime.fromtimestamp((self._root / key).stat().st_mtime, UTC)


_BUCKET = FakeBucket()


class KeptFolder:
    """`add` brings rows as whoever writes does; `compact` and `vacuum` are the product's own."""

    def __init__(self, root: Path) -> None:
        self.fake = _BUCKET.another()
        self.fake.objects = Objects(root)  # type: ignore[assignment]  # a mapping is all that it uses
        self.fake.written_at, self.fake.now = Written(root), SYSTEM_CLOCK.now
        self.bucket = Bucket(self.fake.client, self.fake.name)
        self._uri = str(root / "events")
        self.log = DeltaLog(self._uri, {}, SYSTEM_CLOCK)
        self._commits = 0

    def add(self, rows: list[dict[str, Any]]) -> None:
        self._commits += 1
        files = []
        for day, part in days(a_table(rows).select(EVENT_SCHEMA.names)):
            path, body = f"event_date={day}/late-{self._commits:032x}.parquet", parquet(part, {})
            self.bucket.create(object_key(path), body)
            files.append(AddedFile(path, len(body), day, part.num_rows))
        entry = LogEntry(n=1, epoch=0, batch_id=str(self._commits), hi=None, rows=len(rows))
        self.log.snapshot().commit(files, {f"late/{self._commits}": entry})

    def compact(self, *days: date) -> None:
        """All days, unless some are named."""
        named = days or sorted({file.day for file in self.log.snapshot().all_files()})
        for _ in Compactor(self.bucket, self.log, CompactionPolicy(), SYSTEM_CLOCK, lambda _: None).run(named):
            pass

    def vacuum(self) -> None:
        one = Vacuum(self.bucket, self.log)
        for removable in one.removable(LEAST_RETENTION):
            one.remove(removable)

    def lake(self) -> Lake:
        """Opened afresh."""
        return Lake.open(self._uri, {})
