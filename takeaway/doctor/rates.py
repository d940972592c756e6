"""Measures how fast each shard of the stream fills."""

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from foundation.clock import Clock
from foundation.kinesis import decoding, fetch, listed_shards
from takeaway.doctor.facts import ShardRate
from takeaway.stack import reason

if TYPE_CHECKING:
    from mypy_boto3_kinesis import KinesisClient

# What came in this long ago is measured: at the most a shard can take, that is as much as one second can read.
_MEASURED = timedelta(seconds=2)
_MEASURED_RECORDS = 2000
# However many shards there are.
RATES_SECONDS = 3.0


def rates(kinesis: "KinesisClient", stream: str, now: datetime, clock: Clock) -> tuple[ShardRate, ...]:
    """What each open shard took in lately; `now` is the back end's time."""
    kinesis = decoding(kinesis)
    until = clock.monotonic() + RATES_SECONDS
    shards = [shard.shard_id for shard in listed_shards(kinesis, stream) if not shard.closed]
    return tuple(
        _rate(kinesis, stream, shard, now - _MEASURED)
        if clock.monotonic() < until
        else ShardRate(shard, None, "out of time")
        for shard in shards
    )


def _rate(kinesis: "KinesisClient", stream: str, shard_id: str, since: datetime) -> ShardRate:
    try:
        iterator = kinesis.get_shard_iterator(
            StreamName=stream, ShardId=shard_id, ShardIteratorType="AT_TIMESTAMP", Timestamp=since
        )["ShardIterator"]
        records = fetch(kinesis, iterator, _MEASURED_RECORDS).records
    except (BotoCoreError, ClientError) as error:
        return ShardRate(shard_id, None, reason(error))
    if not records:
        return ShardRate(shard_id, 0.0)
    took = records[-1].arrived - records[0].arrived
    size = sum(len(record.data) + len(record.partition_key or "") for record in records)
    return ShardRate(shard_id, size / max(1.0, took))
