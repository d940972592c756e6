"""Lakes to keep in order, and what keeps them so, each a new process."""

from collections.abc import Callable
from datetime import datetime, timedelta

import pyarrow as pa

from analytics.files.writing import days, parquet
from analytics.maintenance.backfill import Backfill
from analytics.maintenance.compaction import (
    CompactionPolicy,
    Compactor,
)
from analytics.maintenance.late import LateRecord, LateRows
from analytics.maintenance.vacuum import Vacuum
from analytics.table.layout import object_key
from analytics.table.log import AddedFile, LogEntry
from events.wire import encode
from foundation.bucket import Bucket
from foundation.kinesis.records import Record, SequenceNumber
from tests.support.builders import NOON, an_envelope
from tests.support.fakes.bucket import Gate
from tests.support.worlds.lake_world import KEYS, OTHER_SHARD, SHARD, STREAM, World, feed, rows


def late(number: int, *, shard_id: str = SHARD, days: int = 0, data: bytes | None = None) -> LateRecord:
    envelope = an_envelope(cause=f"key-{number}", occurred_at=NOON + timedelta(days=days))
    record = Record(str(number), envelope.order_id, encode(envelope) if data is None else data, NOON.timestamp())
    return LateRecord(STREAM, shard_id, record)


def late_rows(world: World, gate: Gate | None = None) -> LateRows:
    """A new process."""
    gate = gate or Gate()
    bucket = Bucket(world.bucket.through(gate), world.bucket.name)
    return LateRows(bucket, world.log.through(gate), world.clock.clock, world.diagnostics.append, KEYS)


def archived_world() -> World:
    world = World()
    sink = world.sink()
    for shard_id, missing in ((SHARD, (3, 5, 7)), (OTHER_SHARD, (5,))):
        shard = sink.open(shard_id)
        feed(shard, [number for number in range(1, 10) if number not in missing])
        shard.flush()
    return world


LATE = (late(3), late(5), late(7, days=-1), late(5, shard_id=OTHER_SHARD))
DAY = NOON.date()
NEXT_DAY = DAY + timedelta(days=1)


def compactor(world: World, gate: Gate | None = None, policy: CompactionPolicy | None = None) -> Compactor:
    """A new process."""
    gate = gate or Gate()
    bucket = Bucket(world.bucket.through(gate), world.bucket.name)
    return Compactor(
        bucket, world.log.through(gate), policy or CompactionPolicy(), world.clock.clock, world.diagnostics.append
    )


def archived(world: World, *numbers: int, at: datetime = NOON, shard_id: str = SHARD) -> None:
    """One commit of these records by a new holder, gap or not."""
    shard = world.sink().open(shard_id)
    table = rows(*numbers, shard_id=shard_id, occurred_at=at)
    shard.append(table, after=None, upto=SequenceNumber(str(numbers[-1])))
    shard.flush()


def lake_of_small_files() -> World:
    """Nine events of one day in three files, and one of the next day."""
    world = World()
    for numbers in ((1, 2), (3, 4, 5), (6, 7, 8, 9)):
        archived(world, *numbers)
    archived(world, 10, at=NOON + timedelta(days=1))
    world.clock.advance(3 * 24 * 3600)
    return world


def content(world: World) -> list[str]:
    return sorted(map(repr, world.visible()))


def doubled(
    table: pa.Table, numbers: tuple[int, ...], *, arrived: datetime, at: datetime = NOON, shard_id: str = SHARD
) -> pa.Table:
    """The table's first events as they came once more."""
    listed = [
        row | {"_sequence_number": str(number), "_arrived_at": arrived, "occurred_at": at, "_shard": shard_id}
        for row, number in zip(table.to_pylist(), numbers, strict=False)
    ]
    return pa.Table.from_pylist(listed, schema=table.schema)


_appended = iter(range(1, 1_000_000))


Write = Callable[[pa.Table, dict[str, str]], bytes]


def append(world: World, table: pa.Table, write: Write = parquet) -> None:
    """By somebody of whom a shard's offsets know nothing, as late rows are."""
    number = next(_appended)
    files = []
    for day, part in days(table):
        path, body = f"event_date={day}/late-{number:032x}.parquet", write(part, {})
        world.bucket.objects[object_key(path)] = body
        files.append(AddedFile(path, len(body), day, part.num_rows))
    entry = LogEntry(n=1, epoch=0, batch_id=str(number), hi=None, rows=table.num_rows)
    world.log.snapshot().commit(files, {f"late/{number}": entry})


def backfill(world: World, gate: Gate | None = None) -> Backfill:
    """A new process."""
    gate = gate or Gate()
    bucket = Bucket(world.bucket.through(gate), world.bucket.name)
    return Backfill(bucket, world.log.through(gate), world.clock.clock, world.diagnostics.append, KEYS)


def vacuum(world: World, gate: Gate | None = None) -> Vacuum:
    gate = gate or Gate()
    return Vacuum(Bucket(world.bucket.through(gate), world.bucket.name), world.log.through(gate))
