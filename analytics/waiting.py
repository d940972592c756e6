"""Rows of one shard that wait for a file, in stream order."""

from collections import deque
from dataclasses import dataclass

import pyarrow as pa

from analytics.offsets import Place
from analytics.rotation import Backlog
from analytics.schema import EVENT_SCHEMA


@dataclass(frozen=True)
class Chunk:
    """Rows up to a place. The place may lie behind the last row, or there may be no row: some records become none."""

    rows: pa.Table
    upto: Place
    since: float


class Waiting:
    """Not safe for threads: whoever shares it holds a lock."""

    def __init__(self) -> None:
        self._chunks: deque[Chunk] = deque()

    def add(self, chunk: Chunk) -> None:
        self._chunks.append(chunk)

    def whole(self) -> tuple[pa.Table, Place] | None:
        """Everything that waits and how far it reaches; None when nothing does."""
        if not self._chunks:
            return None
        rows = pa.concat_tables([EVENT_SCHEMA.empty_table(), *(chunk.rows for chunk in self._chunks)])
        return rows, self._chunks[-1].upto

    def drop(self, upto: Place) -> None:
        """Forgets what lies at or before a place: it is in the lake."""
        while self._chunks and self._chunks[0].upto <= upto:
            self._chunks.popleft()
        if self._chunks:
            first = self._chunks.popleft()
            self._chunks.appendleft(Chunk(_behind(first.rows, upto), first.upto, first.since))

    @property
    def backlog(self) -> Backlog:
        if not self._chunks:
            return Backlog()
        return Backlog(
            rows=sum(chunk.rows.num_rows for chunk in self._chunks),
            size=sum(chunk.rows.nbytes for chunk in self._chunks),
            since=self._chunks[0].since,
        )


def _behind(rows: pa.Table, place: Place) -> pa.Table:
    places = rows.select(["_sequence_number", "_sub_sequence_number"]).to_pylist()
    return rows.filter(pa.array([Place(*columns.values()) > place for columns in places], pa.bool_()))
