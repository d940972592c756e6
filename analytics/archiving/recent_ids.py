"""Events that came before, told by their ids: a writer that lost an answer sends its record again."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from analytics.archiving.diagnostics import LakeFileUnread
from analytics.table import EVENT_SCHEMA, IDENTITY, ShardPaths, identities, object_key
from foundation.bucket import Bucket
from foundation.diagnostics import Emit

# Writers repeat within seconds. The window spans this much of the stream's own time, and up to twice as much.
SPAN_SECONDS = 600
# And no more than this many events of a shard, so that memory stays what it is: about 200 bytes each.
MOST_EVENTS = 200_000


class Window:
    """The ids of a shard's latest events, in two halves: when the younger is full, or long enough, the older goes.

    Only what the lake has, or what waits for it, may be in here: whoever is told to drop a record relies on its event
    being kept. Not safe for threads.
    """

    def __init__(self, *, span_seconds: float = SPAN_SECONDS, most: int = MOST_EVENTS) -> None:
        self._span_micros = int(span_seconds * 1_000_000)
        self._most = most
        self._younger: set[str] = set()
        self._older: set[str] = set()
        self._since: int | None = None

    def known(self, rows: pa.Table) -> list[int]:
        """The indexes of the rows whose event came before, in the window or among the rows themselves."""
        ids: list[Any] = identities(rows).to_pylist()
        distinct = set(ids)
        if len(distinct) == len(ids) and distinct.isdisjoint(self._younger) and distinct.isdisjoint(self._older):
            return []
        seen: set[str] = set()
        known = []
        for index, event in enumerate(ids):
            if event in seen or event in self._younger or event in self._older:
                known.append(index)
            seen.add(event)
        return known

    def add(self, rows: pa.Table) -> None:
        """Rows in stream order, behind all that were added before."""
        if not rows.num_rows:
            return
        arrived = rows.column("_arrived_at").cast(pa.int64())
        first, last = arrived[0].as_py(), arrived[-1].as_py()
        if self._since is None:
            self._since = first
        if last - self._since >= self._span_micros or len(self._younger) >= self._most // 2:
            self._older, self._younger, self._since = self._younger, set(), first
        ids: list[Any] = identities(rows).to_pylist()
        self._younger.update(ids)


def recalled(paths: ShardPaths, files: Iterable[str], bucket: Bucket, emit: Emit) -> Window:
    """The window as the lake tells it, from the paths of the files that a reader sees.

    From the shard's own latest files; a shard that has none yet may be the child of any other, so it gets the events of
    all of them. A file that cannot be read is told and left out: the window is a convenience, and no row depends on it.
    """
    batches: dict[str, dict[int, list[str]]] = defaultdict(lambda: defaultdict(list))
    for path in files:
        batch = paths.batch_of_stream(path)
        if batch is not None:
            shard_id, n = batch
            batches[shard_id][n].append(path)
    whose = [paths.shard_id] if paths.shard_id in batches else sorted(batches)
    window = Window()
    for shard_id in whose:
        for rows in reversed(list(_latest(batches[shard_id], bucket, emit))):
            window.add(rows)
    return window


def _latest(batches: dict[int, list[str]], bucket: Bucket, emit: Emit) -> Iterator[pa.Table]:
    """A shard's batches, the latest first, until they reach back far enough."""
    found, newest = 0, None
    for n in sorted(batches, reverse=True):
        rows = pa.concat_tables([_WINDOW_SCHEMA.empty_table(), *_read(batches[n], bucket, emit)])
        rows = rows.sort_by("_arrived_at")
        if not rows.num_rows:
            continue
        yield rows
        arrived = rows.column("_arrived_at").cast(pa.int64())
        newest, found = newest or arrived[-1].as_py(), found + rows.num_rows
        if found >= MOST_EVENTS or newest - arrived[0].as_py() >= SPAN_SECONDS * 1_000_000:
            return


def _read(paths: Iterable[str], bucket: Bucket, emit: Emit) -> Iterator[pa.Table]:
    for path in paths:
        stored = bucket.read(object_key(path))
        try:
            if stored is None:
                raise pa.ArrowInvalid("the object is gone")
            yield pq.read_table(pa.BufferReader(stored.body), columns=_WINDOW_COLUMNS).cast(_WINDOW_SCHEMA)
        except pa.ArrowException as error:
            emit(LakeFileUnread(path, error))


_WINDOW_COLUMNS = [*IDENTITY, "_arrived_at"]
_WINDOW_SCHEMA = pa.schema([EVENT_SCHEMA.field(name) for name in _WINDOW_COLUMNS])
