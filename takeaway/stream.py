"""The stream, read by a person looking on: no lease, no checkpoint, every shard from its horizon."""

from collections.abc import Iterator, Mapping

from botocore.exceptions import ClientError

from consumers.engines.worker.lease import HashKeyRange
from consumers.engines.worker.settings import READS_PER_SECOND, WorkerSettings
from consumers.engines.worker.shard_reader import ShardReader
from consumers.records import Batch, Record, Sentinel
from foundation.clock import SYSTEM_CLOCK, Wait, uninterrupted_wait
from foundation.diagnostics import json_lines
from foundation.settings import variable
from takeaway import local_aws
from takeaway.errors import UserError


def shard_batches(environ: Mapping[str, str], *, wait: Wait) -> dict[str, Iterator[Batch]]:
    """For every shard its batches, which never end while the shard is open; `wait` passes between two reads."""
    kinesis = local_aws.client("kinesis", environ)
    stream = environ[variable("stream")]
    settings = WorkerSettings(
        application="looking-on", stream=stream, worker_id="looking-on", reads_per_second=READS_PER_SECOND
    )
    try:
        pages = kinesis.get_paginator("list_shards").paginate(StreamName=stream)
        shards = [shard for page in pages for shard in page["Shards"]]
    except ClientError as error:
        raise UserError(
            f"cannot list the shards of stream {stream}: {error}",
            "`takeaway deploy`, or name another in TAKEAWAY_STREAM",
        ) from error
    readers: dict[str, Iterator[Batch]] = {}
    for shard in shards:
        hash_keys = shard["HashKeyRange"]
        reader = ShardReader(
            kinesis,
            settings,
            shard["ShardId"],
            HashKeyRange(int(hash_keys["StartingHashKey"]), int(hash_keys["EndingHashKey"])),
            clock=SYSTEM_CLOCK,
            wait=wait,
            emit=json_lines("looking-on"),
        )
        readers[shard["ShardId"]] = reader.batches(Sentinel.TRIM_HORIZON)
    return readers


def retained_records(environ: Mapping[str, str]) -> Iterator[tuple[str, Record]]:
    """Every user record that the stream holds at this moment, shard by shard, with its shard's id."""
    for shard_id, batches in shard_batches(environ, wait=uninterrupted_wait()).items():
        for batch in batches:
            for record in batch.records:
                yield shard_id, record
            if not batch.records and not batch.millis_behind_latest:
                break
