"""The peers' side of the reading race, in a venv of their own: `python -m ...peers_consume PEER STREAM COUNT`.

The endpoint is boto3's own AWS_ENDPOINT_URL. Their own rate limits are lifted. Prints one line of JSON.
"""

import asyncio
import base64
import gc
import importlib
import json
import sys
import time
from typing import Any

import boto3
import botocore.session
from botocore.config import Config

from tests.benchmarks.order_events import differences, order_events

# The peers live in another venv than the one that mypy looks at.
aws_kinesis_agg: Any = importlib.import_module("aws_kinesis_agg.deaggregator")

_IDLE_SECONDS = 8.0


def boto3_client(*, plain_timestamps: bool) -> Any:
    session = botocore.session.Session()
    if plain_timestamps:
        session.get_component("response_parser_factory").set_parser_defaults(timestamp_parser=lambda value: value)
    return boto3.Session(botocore_session=session).client("kinesis", config=Config(max_pool_connections=16))


def boto3_loop(kinesis: Any, stream: str, *, aggregated: bool) -> list[bytes]:
    got: list[bytes] = []
    for shard in kinesis.list_shards(StreamName=stream)["Shards"]:
        iterator = kinesis.get_shard_iterator(
            StreamName=stream, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON"
        )["ShardIterator"]
        while True:
            answer = kinesis.get_records(ShardIterator=iterator, Limit=10_000)
            got += _deaggregated(answer["Records"]) if aggregated else [one["Data"] for one in answer["Records"]]
            if not answer["Records"] and not answer["MillisBehindLatest"]:
                break
            iterator = answer["NextShardIterator"]
    return got


def _deaggregated(records: list[Any]) -> list[bytes]:
    """The library leaves the base64 of what was inside an aggregate to its user."""
    return [
        base64.b64decode(one["kinesis"]["data"]) if one["kinesis"].get("aggregated") else one["kinesis"]["data"]
        for one in aws_kinesis_agg.iter_deaggregate_records(records, data_format="Boto3")
    ]


async def async_kinesis(stream: str, count: int, *, aggregated: bool) -> list[bytes]:
    kinesis: Any = importlib.import_module("kinesis")
    aggregators: Any = importlib.import_module("kinesis.aggregators")
    kind: Any = aggregators.KPLAggregator if aggregated else aggregators.SimpleAggregator

    class Bytes(kind):  # type: ignore[misc]  # what it is, only their venv knows
        def deserialize(self, data: bytes) -> bytes:
            return data

    got: list[bytes] = []
    async with kinesis.Consumer(
        stream_name=stream,
        region_name="us-east-1",
        processor=Bytes(),
        shard_fetch_rate=5,
        sleep_time_no_records=0.2,
        idle_timeout=2.0,
        max_queue_size=100_000,
    ) as consumer:
        last = time.monotonic()  # noqa: TID251 - a race is timed by the machine's clock
        while len(got) < count and time.monotonic() - last < _IDLE_SECONDS:  # noqa: TID251
            async for data in consumer:
                got.append(data)
                last = time.monotonic()  # noqa: TID251
    return got


def main() -> None:
    peer, stream, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
    # Neither imports nor the making of a client are timed: they are nobody's reading.
    if peer.startswith("async_kinesis"):
        importlib.import_module("kinesis.aggregators")
    else:
        kinesis = boto3_client(plain_timestamps=peer == "boto3_timestamp_hook")
    gc.collect()
    before = time.process_time()
    if peer.startswith("async_kinesis"):
        got = asyncio.run(async_kinesis(stream, count, aggregated=peer == "async_kinesis_kpl"))
    else:
        got = boto3_loop(kinesis, stream, aggregated=peer == "boto3_deaggregated")
    cpu = time.process_time() - before
    missing, extra = differences((data for _, data in order_events(count)), got)
    print(json.dumps({"cpu": cpu, "records": len(got), "missing": missing, "extra": extra}))  # noqa: T201


if __name__ == "__main__":
    main()
