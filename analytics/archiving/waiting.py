"""Rows of one shard that wait for a file, in stream order."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pyarrow as pa

from analytics.rotation import Backlog
from analytics.table import EVENT_SCHEMA
from foundation.kinesis import SequenceNumber


@dataclass(frozen=True)
class Portion:
    """Rows up to a place, and the places up to there of records that became none.

    Those were `dropped`, since their event had come before, or `set_apart`. The place may lie behind all of them. The
    oldest of it came at the monotonic second `since`.
    """

    rows: pa.Table
    upto: SequenceNumber
    since: float
    dropped: Sequence[SequenceNumber] = ()
    set_apart: Sequence[SequenceNumber] = ()

    @cached_property
    def backlog(self) -> Backlog:
        return Backlog(self.rows.num_rows, self.rows.nbytes, self.since)

    def behind(self, place: SequenceNumber) -> "Portion":
        """What of it lies behind a place."""
        kept = pa.array([one > place for one in places(self.rows)], pa.bool_())
        dropped = [one for one in self.dropped if one > place]
        set_apart = [one for one in self.set_apart if one > place]
        return Portion(self.rows.filter(kept), self.upto, self.since, dropped, set_apart)


class Waiting:
    """Not safe for threads: whoever shares it holds a lock."""

    def __init__(self) -> None:
        self._portions: deque[Portion] = deque()
        self.backlog = Backlog()

    def add(self, portion: Portion) -> None:
        self._portions.append(portion)
        self.backlog += portion.backlog

    def whole(self) -> Portion | None:
        """Everything that waits; None when nothing does."""
        if not self._portions:
            return None
        return Portion(
            rows=pa.concat_tables([EVENT_SCHEMA.empty_table(), *(portion.rows for portion in self._portions)]),
            upto=self._portions[-1].upto,
            since=self._portions[0].since,
            dropped=[place for portion in self._portions for place in portion.dropped],
            set_apart=[place for portion in self._portions for place in portion.set_apart],
        )

    def drop(self, upto: SequenceNumber) -> None:
        """Forgets what lies at or before a place: it is in the lake."""
        while self._portions and self._portions[0].upto <= upto:
            self._portions.popleft()
        if self._portions and _begins_before(self._portions[0], upto):
            self._portions.appendleft(self._portions.popleft().behind(upto))
        self.backlog = sum((portion.backlog for portion in self._portions), start=Backlog())


def places(rows: pa.Table) -> list[SequenceNumber]:
    """Where on the stream each row was."""
    columns: list[list[Any]] = [rows.column(name).to_pylist() for name in ("_sequence_number", "_sub_sequence_number")]
    return [SequenceNumber(*where) for where in zip(*columns, strict=True)]


def _begins_before(portion: Portion, place: SequenceNumber) -> bool:
    """Whether anything of it may lie at or before the place: what it holds is in the order of the stream."""
    firsts = [*places(portion.rows.slice(0, 1)), *portion.dropped[:1], *portion.set_apart[:1]]
    return any(first <= place for first in firsts)
