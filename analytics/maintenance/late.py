"""Rows for records that the archiver had set apart: each comes into the lake under a transaction of its own, once.

The shards' offsets are read here and never written: archivers go on meanwhile.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.parquet as pq

from analytics.archiving.decode import decode_records
from analytics.archiving.diagnostics import LateRowsCommitted
from analytics.maintenance.compaction import LONGEST_UNCOMMITTED
from analytics.privacy.customer_keys import CustomerKeys
from analytics.table.layout import ShardPaths, late_file, object_key
from analytics.table.log import AddedFile, CommitLog, CommitRejected, LogEntry, Snapshot
from analytics.table.offsets import NewId, OffsetsObject, place_text, random_id
from analytics.table.parquet import days, parquet
from events.wire import UnreadableEvent
from foundation.bucket import Bucket
from foundation.clock import Clock, Moment
from foundation.diagnostics import Emit
from foundation.kinesis.records import Record, SequenceNumber, StreamPosition

# Each round that fails means that somebody else committed one of these very records, or that it took too long.
_ROUNDS = 4

_PLACE_COLUMNS = ["_shard", "_sequence_number", "_sub_sequence_number"]


@dataclass(frozen=True)
class LateRecord:
    """One record, as it was on the stream."""

    stream: str
    shard_id: str
    record: Record

    @property
    def application(self) -> str:
        """The application id of its one transaction in the log."""
        return f"late/{self.stream}/{self.shard_id}/{place_text(self.record.sequence_number)}"

    @property
    def where(self) -> StreamPosition:
        return self.shard_id, self.record.sequence_number


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
        return [record for record in records if snapshot.version_of(record.application)]

    def add(self, records: Sequence[LateRecord]) -> dict[LateRecord, UnreadableEvent | NotYetPassed]:
        """Comes back when all of them are in the lake, but for those it answers with, and why."""
        refused: dict[LateRecord, UnreadableEvent | NotYetPassed] = {}
        rows: dict[LateRecord, pa.Table] = {}
        passed = {(record.stream, record.shard_id): self._passed(record) for record in _one_of_each_shard(records)}
        for record in records:
            decoded = decode_records(record.shard_id, [record.record], self._keys)
            hi = passed[record.stream, record.shard_id]
            if decoded.unreadable:
                refused[record] = decoded.unreadable[0].error
            # guarantee: a record that an archiver may still bring is no late row
            elif hi is None or record.record.sequence_number > hi:
                refused[record] = _not_yet_passed(record, hi)
            else:
                rows[record] = decoded.rows
        for _ in range(_ROUNDS):
            # After the offsets were read: what they say is committed, this snapshot shows.
            snapshot = self._log.snapshot()
            rows = self._missing(snapshot, rows)
            if not rows:
                return refused
            try:
                self._commit(snapshot, rows)
            except CommitRejected:
                continue
            return refused
        raise CommitRejected(
            f"{len(rows)} late rows could not be committed in {_ROUNDS} rounds. fix: try again; see what else writes"
        )

    def _passed(self, record: LateRecord) -> SequenceNumber | None:
        """The last place of the record's shard that no archiver reads again."""
        key = ShardPaths(record.stream, record.shard_id).offsets_key
        held = OffsetsObject(self._bucket, key, self._new_id).read()
        return held.offsets.hi if held else None

    def _missing(self, snapshot: Snapshot, rows: dict[LateRecord, pa.Table]) -> dict[LateRecord, pa.Table]:
        """Without those that have their transaction, and those that the archiver brought, on reading them again."""
        rest = {record: row for record, row in rows.items() if not snapshot.version_of(record.application)}
        there = {
            where
            for day in {day for row in rest.values() for day, _ in days(row)}
            for path in snapshot.files(day)
            for where in self._places(path)
        }
        # guarantee: a record that an archiver has brought is no late row
        return {record: row for record, row in rest.items() if record.where not in there}

    def _places(self, path: str) -> set[StreamPosition]:
        stored = self._bucket.read(object_key(path))
        if stored is None:
            raise CommitRejected(f"{path} was removed while it was looked for. fix: try again")
        table = pq.read_table(pa.BufferReader(stored.body), columns=_PLACE_COLUMNS)
        columns = [table.column(name).to_pylist() for name in _PLACE_COLUMNS]
        return {(shard_id, SequenceNumber(number, sub)) for shard_id, number, sub in zip(*columns, strict=True)}

    def _commit(self, snapshot: Snapshot, rows: dict[LateRecord, pa.Table]) -> None:
        """Files under names that nobody had before, and with them all transactions, or nothing."""
        begun, batch_id, files = Moment.now(self._clock), self._new_id(), []
        for day, part in days(pa.concat_tables(rows.values())):
            path, body = late_file(day, batch_id), parquet(part, {"batch_id": batch_id})
            self._bucket.create_own(object_key(path), body)
            files.append(AddedFile(path=path, size=len(body), day=day, rows=part.num_rows))
        if not begun.is_within(LONGEST_UNCOMMITTED, self._clock):
            raise CommitRejected("the commit of late rows comes too long after their files. fix: try again")
        entries = {
            record.application: LogEntry(n=1, epoch=0, batch_id=batch_id, hi=record.record.sequence_number, rows=1)
            for record in rows
        }
        self._keys.save()
        # guarantee: a late row comes with a transaction of its own
        snapshot.commit(files, entries)
        self._emit(LateRowsCommitted(rows=len(rows), files=len(files)))


def _one_of_each_shard(records: Sequence[LateRecord]) -> Iterable[LateRecord]:
    return {(record.stream, record.shard_id): record for record in records}.values()


def _not_yet_passed(record: LateRecord, hi: SequenceNumber | None) -> NotYetPassed:
    return NotYetPassed(
        f"the lake has {record.shard_id} up to {hi or 'nothing'}, and the record lies behind that at "
        f"{place_text(record.record.sequence_number)}. fix: let the archiver come past it, then redrive again"
    )
