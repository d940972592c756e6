"""Looks at what lies behind a checkpoint, up to the end of its shard. Reads little, and seldom."""

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from consumers.engines.worker.leases import Lease
from foundation.clock import Wait
from foundation.error_codes import error_code
from foundation.kinesis import Record, Sentinel, SequenceNumber, fetch
from foundation.kinesis.deaggregation import unpack
from takeaway.stack import reason

if TYPE_CHECKING:
    from mypy_boto3_kinesis import KinesisClient

# A look takes one of a shard's five reads a second from those who work: it asks for no more than it needs.
_ENOUGH_RECORDS = 2
# Kinesis may find nothing in one read although more is to come; what is left open after so many is not known.
_READS = 8
_PAUSE_SECONDS = 0.3
# Where Kinesis does not know a sequence number as one of this stream's.
_REFUSED = frozenset({"InvalidArgumentException", "ValidationException"})


@dataclass(frozen=True)
class Ahead:
    """What lies behind a checkpoint: nothing, or `records` at least, the oldest of which has waited for so long.

    `unread` is None when that could not be known, and `unseen` says why; `refused`: Kinesis knows no such place.
    """

    unread: bool | None = None
    records: int = 0
    waiting_seconds: float | None = None
    millis_behind: int | None = None
    end: str | None = None
    unseen: str | None = None
    refused: bool = False


def ahead_of(
    kinesis: "KinesisClient", stream: str, lease: Lease, *, now: datetime, start_at: datetime | None, wait: Wait
) -> Ahead:
    """What is unread of the lease's shard, asked by a `decoding` client.

    `now` is Kinesis' time; `start_at` is where AT_TIMESTAMP begins.
    A shard that has trimmed the checkpoint answers with what it still has, all of it unread.
    """
    where = _where(lease, start_at)
    if where is None:
        return Ahead(unseen="it has read nothing yet, and where it began is not noted")
    last: str | None = None
    try:
        found = kinesis.get_shard_iterator(StreamName=stream, ShardId=lease.shard_id, **where)
        iterator = found["ShardIterator"]
        for _ in range(_READS):
            answer = fetch(kinesis, iterator, _ENOUGH_RECORDS)
            millis = answer.millis_behind_latest
            unread = [record for each in answer.records for record in _user_records(each, lease)]
            last = answer.records[-1].number if answer.records else last
            end = last if millis == 0 else None
            if unread:
                waited = max(0.0, (now - unread[0].arrived_at).total_seconds())
                return Ahead(True, len(unread), waited, millis, end)
            iterator = answer.next_shard_iterator or ""
            if millis == 0 or not iterator:
                return Ahead(False, 0, 0.0, millis, end)
            if wait(_PAUSE_SECONDS):
                break
    except (BotoCoreError, ClientError) as error:
        return Ahead(unseen=reason(error), refused=error_code(error) in _REFUSED)
    return Ahead(unseen="Kinesis finds nothing there, and says that more is to come")


def _where(lease: Lease, start_at: datetime | None) -> dict[str, Any] | None:
    place = lease.checkpoint
    if isinstance(place, SequenceNumber):
        return {"ShardIteratorType": "AT_SEQUENCE_NUMBER", "StartingSequenceNumber": place.number}
    if place is Sentinel.TRIM_HORIZON:
        return {"ShardIteratorType": place.value}
    since = lease.latest_since if place is Sentinel.LATEST else start_at
    return None if since is None else {"ShardIteratorType": "AT_TIMESTAMP", "Timestamp": since}


def _user_records(read: Record, lease: Lease) -> list[Record]:
    """Those behind the checkpoint. All readers drop an aggregate of another shard: it waits for nothing."""
    aggregate = unpack(read)
    # guarantee: what all readers drop is not unread
    if aggregate is not None and lease.hash_keys is not None and aggregate.is_stray(lease.hash_keys):
        return []
    records = [read] if aggregate is None else aggregate.records
    place = lease.checkpoint
    return [one for one in records if not isinstance(place, SequenceNumber) or one.sequence_number > place]
