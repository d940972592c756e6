"""The user records inside a Kinesis record that the Kinesis Producer Library (KPL) or a likeness of it has packed.

https://github.com/awslabs/amazon-kinesis-producer/blob/master/aggregation-format.md
"""

import hashlib
from dataclasses import dataclass

from aws_kinesis_agg import DIGEST_SIZE, MAGIC
from aws_kinesis_agg.deaggregator import messages_pb2
from google.protobuf.message import DecodeError

from consumers.engines.worker.lease import HashKeyRange

# The KPL puts every aggregate under this partition key and routes it by explicit hash key.
KPL_PARTITION_KEY = "a"


@dataclass(frozen=True)
class UserRecord:
    """What the producer put in: its own partition key, the hash key that routes it, and its bytes."""

    partition_key: str
    hash_key: int
    data: bytes


def unpack(data: bytes) -> tuple[UserRecord, ...]:
    """The user records of an aggregate, in order; empty when `data` is not one, or is damaged and so stays as it is.

    The message is read here rather than by `iter_deaggregate_records`, which prints an error and drops the records
    behind a bad index, and lends a record without a hash key of its own the first one of the table.
    """
    message = data[len(MAGIC) : -DIGEST_SIZE]
    if not data.startswith(MAGIC) or _digest(message) != data[-DIGEST_SIZE:]:
        return ()
    try:
        aggregate = messages_pb2.AggregatedRecord()
        aggregate.ParseFromString(message)
        keys = list(aggregate.partition_key_table)
        hash_keys = [int(key) for key in aggregate.explicit_hash_key_table]
        return tuple(_user_record(record, keys, hash_keys) for record in aggregate.records)
    except (DecodeError, ValueError, IndexError):
        return ()


def is_stray(partition_key: str, unpacked: tuple[UserRecord, ...], hash_keys: HashKeyRange) -> bool:
    """A KPL aggregate that holds a record of another shard: the shard was split while it was under way.

    The KPL sees where it landed and sends all of it again, so that delivering it would double it. Other writers of
    this format never send it again: theirs is delivered.
    """
    return partition_key == KPL_PARTITION_KEY and any(record.hash_key not in hash_keys for record in unpacked)


def _user_record(record: messages_pb2.Record, keys: list[str], hash_keys: list[int]) -> UserRecord:
    key = keys[record.partition_key_index]
    explicit = record.HasField("explicit_hash_key_index")
    hash_key = hash_keys[record.explicit_hash_key_index] if explicit else int.from_bytes(_digest(key.encode()))
    return UserRecord(key, hash_key, record.data)


def _digest(data: bytes) -> bytes:
    return hashlib.md5(data, usedforsecurity=False).digest()
