"""Rows of one shard that wait for a file, in stream order."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pyarrow as pa

from analytics.archiving.rotation import Backlog
from analytics.table.schema import EVENT_SCHEMA
from foundation.kinesis.records import SequenceNumber


@dataclass(frozen=True)
class Chunk:
    """Rows up to a place, and the places up to there of records that became none.

    Those were `dropped`, since their event had come before, or `set_apart`. The place may lie behind all of them.
    """

    rows: pa.Table
    upto: SequenceNumber
    since: float
    dropped: Sequence[SequenceNumber] = ()
    set_apart: Sequence[SequenceNumber] = ()

    @cached_property
    def backlog(self) -> Backlog:
        return Backlog(self.rows.num_rows, self.rows.nbytes, self.since)

    def behind(self, place: SequenceNumber) -> "Chunk":
        """What of it lies behind a place."""
        kept = pa.array([one > place for one in places(self.rows)], pa.bool_())
        dropped = [one for one in self.dropped if one > place]
        set_apart = [one for one in self.set_apart if one > place]
        return Chunk(self.rows.filter(kept), self.upto, self.since, dropped, set_apart)


@dataclass(frozen=True)
class Load:
    """All that waits: rows up to a place, and how many records up to there became none."""

    rows: pa.Table
    upto: SequenceNumber
    dropped: int
    set_apart: int


class Waiting:
    """Not safe for threads: whoever shares it holds a lock."""

    def __init__(self) -> None:
        self._chunks: deque[Chunk] = deque()
        self.backlog = Backlog()

    def add(self, chunk: Chunk) -> None:
        self._chunks.append(chunk)
        self.backlog += chunk.backlog

    def whole(self) -> Load | None:
        """Everything that waits; None when nothing does."""
        if not self._chunks:
            return None
        return Load(
            rows=pa.concat_tables([EVENT_SCHEMA.empty_table(), *(chunk.rows for chunk in self._chunks)]),
            upto=self._chunks[-1].upto,
            dropped=sum(len(chunk.dropped) for chunk in self._chunks),
            set_apart=sum(len(chunk.set_apart) for chunk in self._chunks),
        )

    def drop(self, upto: SequenceNumber) -> None:
        """Forgets what lies at or before a place: it is in the lake."""
        while self._chunks and self._chunks[0].upto <= upto:
            self._chunks.popleft()
        if self._chunks and _begins_before(self._chunks[0], upto):
            self._chunks.appendleft(self._chunks.popleft().behind(upto))
        self.backlog = sum((chunk.backlog for chunk in self._chunks), start=Backlog())


def places(rows: pa.Table) -> list[SequenceNumber]:
    """Where on the stream each row was."""
    columns: list[list[Any]] = [rows.column(name).to_pylist() for name in ("_sequence_number", "_sub_sequence_number")]
    return [SequenceNumber(*where) for where in zip(*columns, strict=True)]


def _begins_before(chunk: Chunk, place: SequenceNumber) -> bool:
    """Whether anything of it may lie at or before the place: what it holds is in the order of the stream."""
    firsts = [*places(chunk.rows.slice(0, 1)), *chunk.dropped[:1], *chunk.set_apart[:1]]
    return any(first <= place for first in firsts)
