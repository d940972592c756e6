"""The stream, read by a person looking on: no lease, no checkpoint, every shard from its horizon."""

from collections.abc import Iterator, Mapping

from botocore.exceptions import ClientError

from consumers.diagnostics import ReadFailed
from consumers.engines.worker.reading import ShardCursor, ShardReader
from consumers.engines.worker.settings import WorkerSettings
from foundation import aws
from foundation.clock import SYSTEM_CLOCK, Wait, uninterrupted_wait
from foundation.diagnostics import Diagnostic
from foundation.kinesis import READS_PER_SECOND, Record, Sentinel, decoding, listed_shards
from foundation.settings import variable
from takeaway.errors import UserError


class StreamAway(UserError):
    """The stream could not be read. A consumer waits it out; a person looking on wants to know."""

    def __init__(self, failed: ReadFailed) -> None:
        super().__init__(
            f"{failed.shard_id} cannot be read: {failed.error}", "is AWS up? `takeaway doctor` says what is wrong"
        )


def shard_readers(environ: Mapping[str, str], *, wait: Wait) -> dict[str, ShardReader]:
    """A reader for every shard; `wait` passes between two reads. What cannot be read is raised as `StreamAway`."""
    kinesis = decoding(aws.client("kinesis", environ))
    stream = environ[variable("stream")]
    settings = WorkerSettings("looking-on", stream, worker_id="looking-on", reads_per_second=READS_PER_SECOND)
    try:
        shards = listed_shards(kinesis, stream)
    except ClientError as error:
        raise UserError(
            f"cannot list the shards of stream {stream}: {error}",
            "`takeaway deploy`, or name another in TAKEAWAY_STREAM",
        ) from error
    readers = {}
    for shard in shards:
        cursor = ShardCursor(settings, shard.shard_id, shard.hash_keys, clock=SYSTEM_CLOCK, emit=_raise_what_failed)
        readers[shard.shard_id] = ShardReader(
            kinesis, settings, cursor, clock=SYSTEM_CLOCK, wait=wait, emit=_raise_what_failed
        )
    return readers


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
