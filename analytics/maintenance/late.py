"""Rows for records that the archiver had set apart: each comes into the lake under a transaction of its own, once.

The shards' offsets are read here and never written: archivers go on meanwhile.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.parquet as pq

from analytics.archiving import LateRowsCommitted, decode_records
from analytics.files import days, parquet
from analytics.maintenance.commit_once import Change, NoChange, Uploads, commit_once
from analytics.privacy import CustomerKeys
from analytics.table import (
    CommitLog,
    CommitRejected,
    LogEntry,
    OffsetsObject,
    ShardPaths,
    Snapshot,
    late_file,
    object_key,
    place_text,
)
from events import UnreadableEvent
from foundation.bucket import Bucket
from foundation.clock import Clock
from foundation.diagnostics import Emit
from foundation.ids import NewId, random_id
from foundation.kinesis import Record, SequenceNumber, StreamPosition

_PLACE_COLUMNS = ["_shard", "_sequence_number", "_sub_sequence_number"]


@dataclass(frozen=True)
class LateRecord:
    """One record, as it was on the stream."""

    stream: str
    shard_id: str
    record: Record

    @property
    def place(self) -> SequenceNumber:
        return self.record.sequence_number

    @property
    def application(self) -> str:
        """The application id of its one transaction in the log."""
        return f"late/{self.stream}/{self.shard_id}/{place_text(self.place)}"

    @property
    def where(self) -> StreamPosition:
        return self.shard_id, self.place


class NotYetPassed(Exception):
    """The lake has not come past the record's place: the archiver may still read it, and bring the row itself."""


class LateRows:
    """Adds records to the lake, however often, by however many at once, and whatever breaks off.

    A row and its transaction become visible in one commit, and of two that carry a transaction of one name the log
    takes one. A record beyond its shard's offsets is refused, since the archiver itself may still bring it; one that it
    has brought is found by its place.
    """

    def __init__(
        self,
        bucket: Bucket,
        log: CommitLog,
        clock: Clock,
        emit: Emit,
        keys: CustomerKeys,
        *,
        new_id: NewId = random_id,
    ) -> None:
        self._bucket = bucket
        self._log = log
        self._clock = clock
        self._emit = emit
        self._keys = keys
        self._new_id = new_id

    def present(self, records: Sequence[LateRecord]) -> list[LateRecord]:
        """Those that were added before."""
        snapshot = self._log.snapshot()
        return [late for late in records if snapshot.version_of(late.application)]

    def add(self, records: Sequence[LateRecord]) -> dict[LateRecord, UnreadableEvent | NotYetPassed]:
        """Comes back when all of them are in the lake, but for those it answers with, and why."""
        refused: dict[LateRecord, UnreadableEvent | NotYetPassed] = {}
        rows: dict[LateRecord, pa.Table] = {}
        passed = {(late.stream, late.shard_id): self._passed(late) for late in _one_of_each_shard(records)}
        for late in records:
            decoded = decode_records(late.shard_id, [late.record], self._keys)
            hi = passed[late.stream, late.shard_id]
            if decoded.unreadable:
                refused[late] = decoded.unreadable[0].error
            # guarantee: a record that an archiver may still bring is no late row
            elif hi is None or late.place > hi:
                refused[late] = _not_yet_passed(late, hi)
            else:
                rows[late] = decoded.rows
        # Each snapshot is taken after the offsets were read: what they say is committed, it shows.
        committed = commit_once(self._log, lambda snapshot: self._change(snapshot, rows), f"{len(rows)} late rows")
        if committed is not None:
            self._emit(committed)
        return refused

    def _passed(self, late: LateRecord) -> SequenceNumber | None:
        """The last place of the record's shard that no archiver reads again."""
        key = ShardPaths(late.stream, late.shard_id).offsets_key
        held = OffsetsObject(self._bucket, key, self._new_id).read()
        return held.offsets.hi if held else None

    def _missing(self, snapshot: Snapshot, rows: dict[LateRecord, pa.Table]) -> dict[LateRecord, pa.Table]:
        """Without those that have their transaction, and those that the archiver brought, on reading them again."""
        rest = {late: row for late, row in rows.items() if not snapshot.version_of(late.application)}
        there = {
            where
            for day in {day for row in rest.values() for day, _ in days(row)}
            for path in snapshot.files(day)
            for where in self._places(path)
        }
        # guarantee: a record that an archiver has brought is no late row
        return {late: row for late, row in rest.items() if late.where not in there}

    def _places(self, path: str) -> set[StreamPosition]:
        stored = self._bucket.read(object_key(path))
        if stored is None:
            raise CommitRejected(f"{path} was removed while it was looked for. fix: try again")
        table = pq.read_table(pa.BufferReader(stored.body), columns=_PLACE_COLUMNS)
        columns = [table.column(name).to_pylist() for name in _PLACE_COLUMNS]
        return {(shard_id, SequenceNumber(number, sub)) for shard_id, number, sub in zip(*columns, strict=True)}

    def _change(
        self, snapshot: Snapshot, rows: dict[LateRecord, pa.Table]
    ) -> Change[LateRowsCommitted | None] | NoChange[LateRowsCommitted | None]:
        """Files for those of the rows that are not there, and with them all their transactions."""
        missing = self._missing(snapshot, rows)
        if not missing:
            return NoChange(None)
        uploads, batch_id = Uploads(self._bucket, self._clock), self._new_id()
        for day, part in days(pa.concat_tables(missing.values())):
            uploads.add(late_file(day, batch_id), day, part.num_rows, parquet(part, {"batch_id": batch_id}))
        entries = {
            late.application: LogEntry(n=1, epoch=0, batch_id=batch_id, hi=late.place, rows=1) for late in missing
        }
        self._keys.save()
        # guarantee: a late row comes with a transaction of its own
        return Change(LateRowsCommitted(rows=len(missing), files=len(uploads.files)), uploads, entries)


def _one_of_each_shard(records: Sequence[LateRecord]) -> Iterable[LateRecord]:
    return {(late.stream, late.shard_id): late for late in records}.values()


def _not_yet_passed(late: LateRecord, hi: SequenceNumber | None) -> NotYetPassed:
    return NotYetPassed(
        f"the lake has {late.shard_id} up to {place_text(hi) if hi else 'nothing'}, and the record lies behind that at "
        f"{place_text(late.place)}. fix: let the archiver come past it, then redrive again"
    )
