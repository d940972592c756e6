"""The peers' side of the publishing race, in a venv of their own: `... peers_publish PEER WORKLOAD STREAM COUNT`.

The endpoint is boto3's own AWS_ENDPOINT_URL. Their own rate limits are lifted. Prints one line of JSON.
"""

import asyncio
import gc
import importlib
import json
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

import boto3
from botocore.config import Config

from tests.benchmarks.order_events import workload

# The peers live in another venv than the one that mypy looks at.
_library: Callable[[str], Any] = importlib.import_module

SHARDS = 4
HASH_KEYS = 2**128
AGGREGATE_BYTES = 51_200
AGGREGATES_A_REQUEST = 40
ENTRIES_A_REQUEST = 500
_NO_LIMIT = 1e12
_RETRY_SECONDS = 0.05

Events = Sequence[tuple[str, bytes]]


def _put(kinesis: Any, stream: str, entries: list[dict[str, Any]]) -> None:
    """As the documentation of boto3 advises: what failed is sent again."""
    while entries:
        answer = kinesis.put_records(StreamName=stream, Records=entries)
        if not answer["FailedRecordCount"]:
            return
        entries = [entry for entry, result in zip(entries, answer["Records"], strict=True) if "ErrorCode" in result]
        time.sleep(_RETRY_SECONDS)  # noqa: TID251 - a peer's own way


def boto3_naive(stream: str, events: Events) -> None:
    kinesis = boto3.client("kinesis", config=Config(max_pool_connections=16))
    for first in range(0, len(events), ENTRIES_A_REQUEST):
        some = events[first : first + ENTRIES_A_REQUEST]
        _put(kinesis, stream, [{"Data": data, "PartitionKey": key} for key, data in some])


def record_aggregator(stream: str, events: Events) -> None:
    """It routes nothing: an aggregate goes where its first key belongs."""
    kinesis = boto3.client("kinesis", config=Config(max_pool_connections=16))
    aggregator = _library("aws_kinesis_agg.aggregator").RecordAggregator(AGGREGATE_BYTES)
    full: list[dict[str, Any]] = []

    def add(aggregate: Any) -> None:
        key, _, data = aggregate.get_contents()
        full.append({"Data": data, "PartitionKey": key})
        if len(full) == AGGREGATES_A_REQUEST:
            _put(kinesis, stream, full[:])
            full.clear()

    for key, data in events:
        if aggregate := aggregator.add_user_record(key, data):
            add(aggregate)
    if aggregator.get_num_user_records():
        add(aggregator.clear_and_get())
    _put(kinesis, stream, full)


async def async_kinesis(stream: str, events: Events) -> None:
    """With its keys kept, it does not aggregate."""
    kinesis, aggregators = _library("kinesis"), _library("kinesis.aggregators")
    kind: Any = aggregators.SimpleAggregator

    class Bytes(kind):  # type: ignore[misc]  # what it is, only their venv knows
        def serialize(self, item: bytes) -> bytes:
            return item

    async with kinesis.Producer(
        stream_name=stream,
        region_name="us-east-1",
        processor=Bytes(),
        put_rate_limit_per_shard=10**7,
        put_bandwidth_limit_per_shard=10**7,
        batch_size=ENTRIES_A_REQUEST - 1,
        max_queue_size=10_000,
    ) as producer:
        for key, data in events:
            await producer.put(data, partition_key=key)
        await producer.flush()


async def aiokpl(stream: str, events: Events) -> None:
    library = _library("aiokpl")
    config = library.Config(
        region="us-east-1",
        rate_limit_records_per_sec_per_shard=_NO_LIMIT,
        rate_limit_bytes_per_sec_per_shard=_NO_LIMIT,
    )
    async with library.Producer(config) as producer:
        outcomes = [await producer.put_record(stream=stream, partition_key=key, data=data) for key, data in events]
        await producer.flush()
        for outcome in outcomes:
            result = await outcome.wait()
            if not result.success:
                raise SystemExit(f"aiokpl gave up a record: {result}")


async def aiokpl_aggregation(events: Events) -> int:
    """Its aggregator alone, over four shards; how many records came out."""
    aggregator, shard_map = _library("aiokpl.aggregator"), _library("aiokpl.shard_map")
    record = _library("aiokpl.aggregation").UserRecord
    count = 0

    class Shards:
        state = shard_map.ShardMapState.READY

        def predict(self, hash_key: int) -> int:
            return hash_key * SHARDS // HASH_KEYS

    async def ready(batch: Any) -> None:
        nonlocal count
        batch.to_blob()
        count += batch.count

    async with aggregator.Aggregator(Shards(), on_batch_ready=ready) as running:
        for key, data in events:
            await running.put(record(partition_key=key, data=data))
        await running.flush()
    return count


async def record_aggregation(events: Events) -> int:
    aggregator = _library("aws_kinesis_agg.aggregator").RecordAggregator(AGGREGATE_BYTES)
    count = 0
    for key, data in events:
        if aggregate := aggregator.add_user_record(key, data):
            count += aggregate.get_num_user_records()
            aggregate.get_contents()
    if aggregator.get_num_user_records():
        rest = aggregator.clear_and_get()
        count += rest.get_num_user_records()
        rest.get_contents()
    return count


PUBLISHERS: dict[str, Any] = {
    "boto3": boto3_naive,
    "record_aggregator": record_aggregator,
    "async_kinesis": async_kinesis,
    "aiokpl": aiokpl,
}
AGGREGATORS: dict[str, Any] = {"aiokpl_aggregation": aiokpl_aggregation, "record_aggregation": record_aggregation}
IMPORTED_FIRST = {
    "boto3": "boto3",
    "record_aggregator": "aws_kinesis_agg.aggregator",
    "record_aggregation": "aws_kinesis_agg.aggregator",
    "async_kinesis": "kinesis.aggregators",
    "aiokpl": "aiokpl",
    "aiokpl_aggregation": "aiokpl.aggregator",
}


def main() -> None:
    peer, kind, stream, count = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])
    events = workload(kind, count)
    # Neither imports nor events are timed: they are nobody's publishing. The making of a client is, as it is for ours.
    _library(IMPORTED_FIRST[peer])
    gc.collect()
    before = time.process_time()
    if peer in AGGREGATORS:
        count = asyncio.run(AGGREGATORS[peer](events))
    elif asyncio.iscoroutinefunction(PUBLISHERS[peer]):
        asyncio.run(PUBLISHERS[peer](stream, events))
    else:
        PUBLISHERS[peer](stream, events)
    print(json.dumps({"cpu": time.process_time() - before, "records": count}))  # noqa: T201


if __name__ == "__main__":
    main()
