"""What a Kinesis event source mapping hands to a Lambda function: the records of one shard, as JSON.

https://docs.aws.amazon.com/lambda/latest/dg/with-kinesis.html
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from foundation.kinesis import Record


class NotFromKinesis(ValueError):
    """The function was invoked with something else than a mapping's batch. Says what, and what to do."""


@dataclass(frozen=True)
class Delivery:
    """Records as the stream holds them, aggregates unopened, in order, of one shard."""

    stream: str
    shard_id: str
    records: tuple[Record, ...]


class _Kinesis(msgspec.Struct, rename="camel", kw_only=True):
    sequence_number: str
    partition_key: str | None = None
    data: bytes
    approximate_arrival_timestamp: float


class _Entry(msgspec.Struct):
    kinesis: _Kinesis
    event_id: str = msgspec.field(name="eventID")
    source: str = msgspec.field(name="eventSourceARN")


class _Event(msgspec.Struct):
    entries: list[_Entry] = msgspec.field(name="Records")
    window: Mapping[str, Any] | None = None


def delivery(event: Any) -> Delivery:
    """The batch in an event. Raises `NotFromKinesis` for anything else."""
    try:
        read = msgspec.convert(event, _Event)
    except msgspec.ValidationError as error:
        raise NotFromKinesis(
            f"this is no batch of a Kinesis event source mapping: {error}. "
            "fix: let nothing but such a mapping invoke the function"
        ) from error
    if read.window is not None:
        raise NotFromKinesis(
            "the event source mapping has a tumbling window, whose state this function does not keep. "
            "fix: set TumblingWindowInSeconds to 0"
        )
    places = {(entry.source, entry.event_id.rpartition(":")[0]) for entry in read.entries}
    if len(places) != 1:
        raise NotFromKinesis(
            f"the event has records of {len(places)} shards, and a mapping delivers those of one. "
            "fix: let nothing but a Kinesis event source mapping invoke the function"
        )
    ((source, shard_id),) = places
    return Delivery(_stream(source), shard_id, _records([entry.kinesis for entry in read.entries]))


def _stream(source: str) -> str:
    """From the stream's ARN, or that of one of its fan-out consumers, which goes on behind it."""
    resource = source.rpartition(":stream/")[2]
    return resource.partition("/")[0]


def _records(entries: Sequence[_Kinesis]) -> tuple[Record, ...]:
    """Where Lambda has opened an aggregate, as it does to filter for a fan-out consumer, several have one number."""
    seen: Counter[str] = Counter()
    records = []
    for entry in entries:
        number = entry.sequence_number
        arrived = entry.approximate_arrival_timestamp
        records.append(Record(number, entry.partition_key, entry.data, arrived, seen[number]))
        seen[number] += 1
    return tuple(records)
