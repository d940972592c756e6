"""The stream, read by a person looking on: no lease, no checkpoint, every shard from its horizon."""

from collections.abc import Iterator, Mapping
from datetime import datetime

from botocore.exceptions import ClientError

from consumers.diagnostics import ReadFailed
from consumers.engines.worker.reading import ShardCursor, ShardReader
from consumers.engines.worker.settings import WorkerSettings
from foundation import aws
from foundation.clock import SYSTEM_CLOCK, Wait, uninterrupted_wait
from foundation.diagnostics import Diagnostic
from foundation.kinesis import READS_PER_SECOND, Record, Sentinel, Shard, decoding, listed_shards
from foundation.settings import variable
from takeaway.errors import UserError


class StreamAway(UserError):
    """The stream could not be read. A consumer waits it out; a person looking on wants to know."""

    def __init__(self, failed: ReadFailed) -> None:
        super().__init__(
            f"{failed.shard_id} cannot be read: {failed.error}", "is AWS up? `takeaway doctor` says what is wrong"
        )


def stream_shards(environ: Mapping[str, str]) -> list[Shard]:
    """Every shard that is listed. Raises `UserError` where that is not possible."""
    stream = environ[variable("stream")]
    try:
        return listed_shards(aws.client("kinesis", environ), stream)
    except ClientError as error:
        raise UserError(
            f"cannot list the shards of stream {stream}: {error}",
            "`takeaway deploy`, or name another in TAKEAWAY_STREAM",
        ) from error


def shard_reader(
    environ: Mapping[str, str],
    shard: Shard,
    *,
    wait: Wait,
    reads_per_second: float = READS_PER_SECOND,
    start_at: datetime | None = None,
) -> ShardReader:
    """A reader of one shard; `wait` passes between two reads. What cannot be read is raised as `StreamAway`.

    Where it begins `batches` is told; AT_TIMESTAMP is at `start_at`.
    """
    start = Sentinel.TRIM_HORIZON if start_at is None else Sentinel.AT_TIMESTAMP
    settings = WorkerSettings(
        "looking-on",
        environ[variable("stream")],
        worker_id="looking-on",
        start=start,
        start_at=start_at,
        reads_per_second=reads_per_second,
    )
    cursor = ShardCursor(settings, shard.shard_id, shard.hash_keys, clock=SYSTEM_CLOCK, emit=_raise_what_failed)
    kinesis = decoding(aws.client("kinesis", environ))
    return ShardReader(kinesis, settings, cursor, clock=SYSTEM_CLOCK, wait=wait, emit=_raise_what_failed)


def shard_readers(environ: Mapping[str, str], *, wait: Wait) -> dict[str, ShardReader]:
    """A reader for every shard, by its id."""
    return {shard.shard_id: shard_reader(environ, shard, wait=wait) for shard in stream_shards(environ)}


def retained_records(environ: Mapping[str, str]) -> Iterator[tuple[str, Record]]:
    """Every user record that the stream holds at this moment, shard by shard, with its shard's id."""
    for shard_id, reader in shard_readers(environ, wait=uninterrupted_wait()).items():
        for batch in reader.batches(Sentinel.TRIM_HORIZON):
            for record in batch.records:
                yield shard_id, record
            if not batch.records and not batch.millis_behind_latest:
                break


def _raise_what_failed(happened: Diagnostic) -> None:
    if isinstance(happened, ReadFailed):
        raise StreamAway(happened)
