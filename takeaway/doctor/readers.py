"""Looks at how far each consumer has read the stream, whether it still reads, and how fast the stream fills."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from consumers.engines.worker.leases import Lease, LeaseTable, position_text
from consumers.engines.worker.settings import WorkerSettings
from foundation.clock import Clock, Wait
from foundation.error_codes import error_code
from foundation.kinesis import Record, Sentinel, SequenceNumber, listed_shards
from foundation.kinesis.deaggregation import unpack
from takeaway.doctor.facts import Consumer, ShardRate, ShardReading
from takeaway.stack import reason

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_kinesis import KinesisClient

# A look takes one of a shard's five reads a second from those who work: it asks for no more than it needs.
_ENOUGH_RECORDS = 2
# What came in this long ago is measured: at the most a shard can take, that is as much as one second can read.
_MEASURED = timedelta(seconds=2)
_MEASURED_RECORDS = 2000
# However many shards there are.
SHARDS_SECONDS = 3.0
_LOOK_SECONDS = 1.0
# A holder that has let one and a half renewals pass is late, and no longer only busy.
_RENEWALS = 1.5
_LONGEST_WATCH_SECONDS = 8.0
CONSUMER_SECONDS = SHARDS_SECONDS + _LONGEST_WATCH_SECONDS + 2


class ReadingProbe:
    """Looks at one stream. `now` is the back end's time, which need not be ours."""

    def __init__(self, kinesis: "KinesisClient", stream: str, now: datetime, clock: Clock) -> None:
        self._kinesis = kinesis
        self._stream = stream
        self._now = now
        self._clock = clock

    def consumer(self, name: str, dynamodb: "DynamoDBClient", settings: WorkerSettings, wait: Wait) -> Consumer:
        """How far it is, shard by shard; looks at its leases until all were renewed, or should have been."""
        table = LeaseTable(dynamodb, settings.application, settings.worker_id)
        started = self._clock.monotonic()
        try:
            leases = table.list()
        except ClientError as error:
            if error_code(error) != "ResourceNotFoundException":
                raise
            return Consumer(name, settings.application, settings.reads_per_second, ran=False, shards=self._never_read())
        readings = self._readings(leases)
        renewed = self._renewed(table, leases, settings.renewal_seconds * _RENEWALS, started, wait)
        shards = tuple(replace(reading, renewed=renewed.get(reading.shard_id)) for reading in readings)
        return Consumer(name, settings.application, settings.reads_per_second, shards=shards)

    def rates(self) -> tuple[ShardRate, ...]:
        """What each open shard took in lately."""
        until = self._clock.monotonic() + SHARDS_SECONDS
        shards = [shard.shard_id for shard in listed_shards(self._kinesis, self._stream) if not shard.closed]
        return tuple(
            self._rate(shard) if self._clock.monotonic() < until else ShardRate(shard, None, "out of time")
            for shard in shards
        )

    def _never_read(self) -> tuple[ShardReading, ...]:
        shards = listed_shards(self._kinesis, self._stream)
        readings = self._readings({shard.shard_id: Lease(shard.shard_id, Sentinel.TRIM_HORIZON) for shard in shards})
        return tuple(replace(reading, renewed=False) for reading in readings)

    def _readings(self, leases: Mapping[str, Lease]) -> tuple[ShardReading, ...]:
        until = self._clock.monotonic() + SHARDS_SECONDS
        readings = []
        for shard_id, lease in sorted(leases.items()):
            reading = ShardReading(shard_id, position_text(lease.checkpoint), lease.holder, finished=lease.finished)
            if lease.trouble is not None:
                readings.append(replace(reading, trouble=f"its lease: {lease.trouble}"))
            elif lease.finished or lease.checkpoint in {Sentinel.LATEST, Sentinel.AT_TIMESTAMP}:
                readings.append(reading)
            elif self._clock.monotonic() > until:
                readings.append(replace(reading, trouble="out of time"))
            else:
                readings.append(self._ahead_of(reading, lease))
        return tuple(readings)

    def _ahead_of(self, reading: ShardReading, lease: Lease) -> ShardReading:
        """What lies behind the checkpoint. A shard that trimmed it answers with what it still has, all of it unread."""
        where: dict[str, Any] = {"ShardIteratorType": Sentinel.TRIM_HORIZON.value}
        if isinstance(lease.checkpoint, SequenceNumber):
            where = {"ShardIteratorType": "AT_SEQUENCE_NUMBER", "StartingSequenceNumber": lease.checkpoint.number}
        try:
            answer = self._records(reading.shard_id, where, _ENOUGH_RECORDS)
        except ClientError as error:
            return replace(reading, trouble=reason(error))
        for record in answer["Records"]:
            arrived = record["ApproximateArrivalTimestamp"].timestamp()
            read = Record(record["SequenceNumber"], record.get("PartitionKey"), record["Data"], arrived)
            aggregate = unpack(read)
            last = aggregate.records[-1] if aggregate else read
            if _is_unread(last.sequence_number, lease):
                waited = (self._now - record["ApproximateArrivalTimestamp"]).total_seconds()
                return replace(reading, unread=True, waiting_seconds=max(0.0, waited))
        # Kinesis may find nothing in one read although more is to come: then only its own word tells how much.
        behind = answer["MillisBehindLatest"] / 1000
        return replace(reading, unread=behind > 0, waiting_seconds=behind)

    def _renewed(
        self, table: LeaseTable, before: Mapping[str, Lease], patience: float, started: float, wait: Wait
    ) -> dict[str, bool | None]:
        """By shard id: whether somebody holds the lease and moves its counter; None when we had to stop looking."""
        watched = {shard_id for shard_id, lease in before.items() if not lease.finished}
        renewed: set[str] = set()
        until = started + min(patience + _LOOK_SECONDS, _LONGEST_WATCH_SECONDS)
        while watched - renewed and self._clock.monotonic() < until:
            wait(_LOOK_SECONDS)
            renewed |= {
                shard_id
                for shard_id, lease in table.list().items()
                if shard_id in watched and lease.holder and lease.counter != before[shard_id].counter
            }
        looked_long_enough = patience + _LOOK_SECONDS <= _LONGEST_WATCH_SECONDS
        otherwise = False if looked_long_enough else None
        return {shard_id: True if shard_id in renewed else otherwise for shard_id in watched}

    def _rate(self, shard_id: str) -> ShardRate:
        since = self._now - _MEASURED
        try:
            answer = self._records(
                shard_id, {"ShardIteratorType": "AT_TIMESTAMP", "Timestamp": since}, _MEASURED_RECORDS
            )
        except ClientError as error:
            return ShardRate(shard_id, None, reason(error))
        records = answer["Records"]
        if not records:
            return ShardRate(shard_id, 0.0)
        took = records[-1]["ApproximateArrivalTimestamp"] - records[0]["ApproximateArrivalTimestamp"]
        size = sum(len(record["Data"]) + len(record.get("PartitionKey") or "") for record in records)
        return ShardRate(shard_id, size / max(1.0, took.total_seconds()))

    def _records(self, shard_id: str, where: Mapping[str, Any], limit: int) -> Any:
        iterator = self._kinesis.get_shard_iterator(StreamName=self._stream, ShardId=shard_id, **where)
        return self._kinesis.get_records(ShardIterator=iterator["ShardIterator"], Limit=limit)


def _is_unread(last: SequenceNumber, lease: Lease) -> bool:
    return not isinstance(lease.checkpoint, SequenceNumber) or last > lease.checkpoint
