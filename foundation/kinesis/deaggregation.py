"""The user records inside an aggregated record, as the KPL or a likeness of it has packed them.

The format is told in `foundation.kinesis.aggregation`; this is apart from it, so that a producer loads no protobuf.
"""

import hashlib
from collections.abc import Iterable

from aws_kinesis_agg import DIGEST_SIZE, MAGIC
from aws_kinesis_agg.deaggregator import messages_pb2
from google.protobuf.message import DecodeError

from foundation.kinesis.aggregation import AGGREGATE_KEY
from foundation.kinesis.hash_keys import HashKeyRange, hash_key
from foundation.kinesis.records import Record


class Aggregate:
    """An aggregated record, opened: `records` are its user records in order, each with its own partition key."""

    def __init__(self, outer: Record, message: messages_pb2.AggregatedRecord) -> None:
        keys = _texts(message.partition_key_table)
        number, arrived = outer.number, outer.arrived
        self.records = [
            Record(number, keys[inner.partition_key_index], inner.data, arrived, sub)
            for sub, inner in enumerate(message.records)
        ]
        # What routes each of them matters for the KPL's own aggregates only.
        self._hash_keys = _hash_keys(message, keys) if outer.partition_key == AGGREGATE_KEY else []

    def is_stray(self, hash_keys: HashKeyRange) -> bool:
        """A KPL aggregate that holds a record of another shard: the shard was split while it was under way.

        The KPL sees where it landed and sends all of it again, so that delivering it would double it. Other writers of
        this format never send it again: theirs is delivered.
        """
        return any(routed_by not in hash_keys for routed_by in self._hash_keys)


def any_packed(records: Iterable[Record]) -> bool:
    """Whether any of them may be an aggregate; where none is, nothing more is done for each record."""
    return bool([True for record in records if record.data.startswith(MAGIC)])


def unpack(record: Record) -> Aggregate | None:
    """The aggregate that a record is; None when it is none, or is damaged and so stays as it is.

    The message is read here rather than by `iter_deaggregate_records`, which prints an error and drops the records
    behind a bad index, and lends a record without a hash key of its own the first one of the table.
    """
    data = record.data
    if not data.startswith(MAGIC):
        return None
    message = data[len(MAGIC) : -DIGEST_SIZE]
    # guarantee: an aggregate's checksum is checked
    if _digest(message) != data[-DIGEST_SIZE:]:
        return None
    try:
        parsed = messages_pb2.AggregatedRecord()
        parsed.ParseFromString(message)
        aggregate = Aggregate(record, parsed)
    except (DecodeError, ValueError, IndexError):
        return None
    return aggregate if aggregate.records else None


def _hash_keys(message: messages_pb2.AggregatedRecord, keys: list[str]) -> list[int]:
    """Each record's own explicit hash key, or else its partition key's."""
    explicit = [int(key) for key in _texts(message.explicit_hash_key_table)]
    return [
        explicit[inner.explicit_hash_key_index]
        if inner.HasField("explicit_hash_key_index")
        else hash_key(keys[inner.partition_key_index])
        for inner in message.records
    ]


def _texts(table: Iterable[str]) -> list[str]:
    """Raises ValueError for what is no UTF-8: protobuf hands that out as bytes."""
    texts = list(table)
    # guarantee: an aggregate whose keys are no text stays whole
    if not all(isinstance(text, str) for text in texts):
        raise ValueError("a key of an aggregate is no UTF-8")
    return texts


def _digest(data: bytes) -> bytes:
    return hashlib.md5(data, usedforsecurity=False).digest()
