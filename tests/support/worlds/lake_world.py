"""A lake in memory: a bucket, a log, a clock, and holders that come, crash and come back."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from analytics.archiving.decode import decode_records
from analytics.archiving.shard_sink import ShardSink
from analytics.archiving.sink import LakeSink
from analytics.privacy.customer_keys import CustomerKeys
from analytics.privacy.pages import KeyObjects
from analytics.rotation import RotationPolicy
from analytics.table.layout import ShardPaths, object_key
from analytics.table.offsets import Held, OffsetsObject
from events.wire import encode
from foundation.bucket import Bucket
from foundation.clock import Moment
from foundation.diagnostics import Diagnostic
from foundation.ids import random_id
from foundation.kinesis.records import Record, SequenceNumber
from tests.support.builders import NOON, an_envelope
from tests.support.fakes.bucket import FakeBucket, Gate
from tests.support.fakes.clock import FakeClock
from tests.support.fakes.commit_log import MemoryLog

STREAM = "orders"
SHARD = "shardId-000000000000"
OTHER_SHARD = "shardId-000000000001"
NEVER = RotationPolicy(size=1 << 40, rows=1 << 40, age=timedelta(days=9999))


class Crash(BaseException):
    """The process is gone: nothing that handles errors sees it."""


def some_keys(bucket: FakeBucket | None = None) -> CustomerKeys:
    """A process' own, in a bucket of their own."""
    bucket = bucket or FakeBucket("customer-keys")
    return CustomerKeys(KeyObjects(Bucket(bucket.client, bucket.name)))


# Those of the rows below: saved by nobody, so that a sink's calls are those of the protocol.
KEYS = some_keys()


@lru_cache
def rows(*numbers: int, shard_id: str = SHARD, occurred_at: datetime = NOON) -> pa.Table:
    """A row per sequence number."""
    payloads = [
        Record(
            str(number),
            f"order-of-{shard_id}",
            encode(an_envelope(order_id=f"order-of-{shard_id}", cause=f"key-{number}", occurred_at=occurred_at)),
            NOON.timestamp(),
        )
        for number in numbers
    ]
    decoded = decode_records(shard_id, payloads, KEYS)
    assert not decoded.unreadable
    return decoded.rows


_BUCKET = FakeBucket()


@dataclass
class World:
    bucket: FakeBucket = field(default_factory=_BUCKET.another)
    log: MemoryLog = field(default_factory=MemoryLog)
    clock: FakeClock = field(default_factory=FakeClock)
    diagnostics: list[Diagnostic] = field(default_factory=list)
    tips: dict[datetime, SequenceNumber | None] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.bucket.now = self.log.now = self.clock.now

    def sink(self, gate: Gate | None = None, policy: RotationPolicy = NEVER, **changes: Any) -> LakeSink:
        """A new process."""
        gate = gate or Gate()
        bucket = Bucket(self.bucket.through(gate), self.bucket.name)
        return LakeSink(
            STREAM,
            bucket,
            self.log.through(gate),
            policy,
            self.clock.clock,
            self.diagnostics.append,
            **{"keys": KEYS, **changes},
        )

    def stored(self, shard_id: str = SHARD) -> Held | None:
        """The shard's offsets object."""
        key = ShardPaths(STREAM, shard_id).offsets_key
        return OffsetsObject(Bucket(self.bucket.client, self.bucket.name), key, random_id).read()

    def idle(self, shard: ShardSink, seconds: float = 3600) -> None:
        """Time passes, and then a read finds the stream's tip. Each such moment is remembered with its place."""
        self.clock.advance(seconds)
        shard.ready()
        moment = Moment.now(self.clock.clock)
        self.tips[moment.at] = shard.taken
        shard.at_tip(moment)
        shard.advance()

    def archived(self, shard_id: str = SHARD) -> list[int]:
        """The sequence numbers that a reader of the log sees, in the order of the commits."""
        return [int(row["_sequence_number"]) for row in self.visible() if row["_shard"] == shard_id]

    def visible(self) -> list[dict[str, Any]]:
        """Every row that a reader of the log sees."""
        found: list[dict[str, Any]] = []
        for added in self.log.snapshot().all_files():
            body = self.bucket.objects[object_key(added.path)]
            assert len(body) == added.size, "the log tells another size than the object has"
            table = pq.read_table(pa.BufferReader(body))
            assert table.num_rows == added.rows
            found += table.to_pylist()
        return found

    def seen(self, kind: type[Diagnostic]) -> list[Any]:
        return [diagnostic for diagnostic in self.diagnostics if type(diagnostic) is kind]


def feed(shard: ShardSink, numbers: Iterable[int]) -> None:
    """Hands over the records that the shard has not taken, as an engine does after a failure."""
    shard.ready()
    new = [number for number in numbers if shard.taken is None or SequenceNumber(str(number)) > shard.taken]
    if new:
        after = SequenceNumber(str(new[0] - 1)) if new[0] > 1 else None
        shard.append(rows(*new, shard_id=shard.holder.paths.shard_id), after=after, upto=SequenceNumber(str(new[-1])))
