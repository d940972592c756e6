"""History into the lake: a file of wire events, one a line, in slices that each become one commit, once."""

import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from itertools import islice
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from analytics.archiving import SliceLoaded, decode_records
from analytics.files import days, parquet, stored_rows
from analytics.maintenance.commit_once import Change, NoChange, Uploads, commit_once
from analytics.privacy import CustomerKeys
from analytics.table import (
    EVENT_SCHEMA,
    IDENTITY,
    AddedFile,
    CommitLog,
    LogEntry,
    Snapshot,
    backfill_file,
    identities,
)
from events import UnreadableEvent
from foundation.bucket import Bucket
from foundation.clock import Clock
from foundation.diagnostics import Emit
from foundation.ids import NewId, random_id
from foundation.kinesis import Record, SequenceNumber

# Part of what a slice is: another number would make other slices, under the same names.
SLICE_LINES = 100_000
# Decoded at a time: a line takes several kilobytes as objects, and a tenth of that as a row.
_CHUNK_LINES = 10_000

# Until the event itself tells.
_ANY_TIME = 0.0
_IDS = EVENT_SCHEMA.empty_table().select(IDENTITY).schema


class AnotherHistory(ValueError):
    """The lake has a slice of this name with other lines in it."""


@dataclass(frozen=True)
class BadLine:
    """A line that is no event, by its number from 1, and why."""

    number: int
    data: bytes
    error: UnreadableEvent


@dataclass
class Loaded:
    """What became of the lines: each is a row now, was one before, is an event that was there, or is bad or empty."""

    lines: int = 0
    rows: int = 0
    present: int = 0
    duplicates: int = 0
    bad: int = 0
    empty: int = 0
    slices: int = 0
    slices_present: int = 0


@dataclass(frozen=True)
class _Slice:
    """Lines that follow each other. `first` is the number of the first one, from 1."""

    number: int
    first: int
    lines: tuple[bytes, ...]

    @property
    def digest(self) -> str:
        digest = hashlib.sha256()
        for line in self.lines:
            digest.update(line)
        return digest.hexdigest()[:32]


class Backfill:
    """Loads a history under an id, however often, by however many at once, and whatever breaks off.

    A slice's rows and its transaction become visible in one commit. A line whose event the lake has on the same day is
    left out; compaction removes what came to another day, or at the same moment. A row's `_shard` is
    `backfill/<id>`, its `_sequence_number` the number of its line, and `_arrived_at` is `occurred_at`: history does not
    tell when it arrived. One slice is in memory, with the ids of its days' events.
    """

    def __init__(
        self, bucket: Bucket, log: CommitLog, clock: Clock, emit: Emit, keys: CustomerKeys, *, new_id: NewId = random_id
    ) -> None:
        self._bucket = bucket
        self._log = log
        self._clock = clock
        self._emit = emit
        self._keys = keys
        self._new_id = new_id
        self._known: dict[str, pa.ChunkedArray[Any]] = {}

    def load(
        self,
        backfill_id: str,
        lines: Iterable[bytes],
        *,
        set_apart: Callable[[list[BadLine]], None],
        progress: Callable[[int], None] = lambda _: None,
        slice_lines: int = SLICE_LINES,
    ) -> Loaded:
        """`set_apart` gets a slice's bad lines, and returns when they are safe, before the slice is committed.

        `progress` is told how many bytes of lines are done with. Raises `AnotherHistory`, and what S3 answers: then
        load again, with the same id.
        """
        loaded = Loaded()
        for one in _slices(lines, slice_lines):
            self._load(backfill_id, one, loaded, set_apart)
            loaded.lines += len(one.lines)
            loaded.slices += 1
            progress(sum(map(len, one.lines)))
        return loaded

    def _load(self, backfill_id: str, one: _Slice, loaded: Loaded, set_apart: Callable[[list[BadLine]], None]) -> None:
        application = f"backfill/{backfill_id}/{one.number:06d}"
        digest = one.digest

        @cache
        def read() -> tuple[pa.Table, int, int]:
            """The slice's rows, and how many of its lines are bad and how many empty."""
            rows, bad, empty = _decoded(f"backfill/{backfill_id}", one, self._keys)
            if bad:
                set_apart(bad)
            return rows, len(bad), empty

        def decide(snapshot: Snapshot) -> Change[int | None] | NoChange[int | None]:
            if snapshot.version_of(application):
                self._check_same(snapshot, application, digest, one)
                return NoChange(None)
            return self._change(application, digest, one, self._fresh(snapshot, read()[0]))

        committed = commit_once(self._log, decide, application)
        if committed is None:
            loaded.present += len(one.lines)
            loaded.slices_present += 1
            return
        rows, bad, empty = read()
        loaded.bad += bad
        loaded.empty += empty
        loaded.rows += committed
        loaded.duplicates += rows.num_rows - committed
        self._emit(SliceLoaded(backfill_id, one.number, committed, rows.num_rows - committed))

    def _check_same(self, snapshot: Snapshot, application: str, digest: str, one: _Slice) -> None:
        entry = snapshot.last_entry(application)
        if entry is not None and entry.batch_id != digest:
            raise AnotherHistory(
                f"{application} is in the lake, with other lines than those from line {one.first} on. "
                "fix: give another --id; what the lake has already is left out"
            )

    def _fresh(self, snapshot: Snapshot, rows: pa.Table) -> pa.Table:
        """Without the events that the lake has on the same days, and those that an earlier line has."""
        affected = {day for day, _ in days(rows)}
        files = [file for file in snapshot.all_files() if file.day in affected]
        # Files never change, and the next slice's days are mostly the same.
        known = self._known
        self._known = {file.path: known[file.path] if file.path in known else self._ids(file) for file in files}
        ids = identities(rows)
        there = pa.chunked_array([chunk for known in self._known.values() for chunk in known.chunks], pa.string())
        # guarantee: a backfill brings no event that the lake has
        return rows.filter(pc.and_(_is_first(ids), pc.invert(pc.is_in(ids, value_set=there))))

    def _ids(self, file: AddedFile) -> "pa.ChunkedArray[Any]":
        return identities(stored_rows(self._bucket, file, _IDS))

    def _change(self, application: str, digest: str, one: _Slice, rows: pa.Table) -> Change[int | None]:
        """Files of the rows, and with them the slice's transaction. Its result is the number of rows."""
        uploads, name = Uploads(self._bucket, self._clock), self._new_id()
        for day, part in days(rows):
            body = parquet(_sorted(part), {"backfill": application, "batch_id": digest})
            uploads.add(backfill_file(day, one.number, name), day, part.num_rows, body)
        last = SequenceNumber(str(one.first + len(one.lines) - 1))
        entry = LogEntry(n=1, epoch=0, batch_id=digest, hi=last, rows=rows.num_rows)
        self._keys.save()
        return Change(rows.num_rows, uploads, {application: entry})


def _slices(lines: Iterable[bytes], size: int) -> Iterator[_Slice]:
    remaining, number, first = iter(lines), 0, 1
    while chunk := tuple(islice(remaining, size)):
        yield _Slice(number, first, chunk)
        number, first = number + 1, first + len(chunk)


def _decoded(shard_id: str, one: _Slice, keys: CustomerKeys) -> tuple[pa.Table, list[BadLine], int]:
    """The slice's rows in the order of their lines, its bad lines, and how many are empty."""
    tables, bad, empty = [EVENT_SCHEMA.empty_table()], list[BadLine](), 0
    numbered = iter(enumerate(one.lines, one.first))
    while chunk := list(islice(numbered, _CHUNK_LINES)):
        payloads = [(number, data) for number, line in chunk if (data := line.strip(b" \t\r\n"))]
        empty += len(chunk) - len(payloads)
        decoded = decode_records(
            shard_id, [Record(str(number), "", data, _ANY_TIME) for number, data in payloads], keys
        )
        tables.append(decoded.rows)
        bad += [BadLine(*payloads[one_bad.index], one_bad.error) for one_bad in decoded.unreadable]
    rows = pa.concat_tables(tables)
    arrived = EVENT_SCHEMA.get_field_index("_arrived_at")
    return rows.set_column(arrived, EVENT_SCHEMA.field(arrived), rows.column("occurred_at")), bad, empty


def _is_first(ids: "pa.ChunkedArray[Any]") -> "pa.Array[Any]":
    """Which rows have an id that no row before them has."""
    table = pa.Table.from_arrays([ids, pa.chunked_array([pa.array(range(len(ids)), pa.int64())])], ["id", "row"])
    first = table.group_by("id").aggregate([("row", "min")]).column("row_min")
    return pc.is_in(table.column("row"), value_set=first.combine_chunks())


def _sorted(rows: pa.Table) -> pa.Table:
    """As a compaction would: files are smaller, and a query for one order reads less."""
    return rows.sort_by([("order_id", "ascending"), ("occurred_at", "ascending")])
