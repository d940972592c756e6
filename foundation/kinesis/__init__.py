"""What Kinesis is, for all that write, read, archive and audit: records, shards, limits, the aggregated format.

`deaggregation` is imported by its own name, since it loads protobuf, which producers do without."""

from foundation.kinesis.aggregation import AGGREGATE_BYTES, AGGREGATE_KEY, pack
from foundation.kinesis.creation import creation_of, name_anew
from foundation.kinesis.get_records import decoding, fetch, pushed
from foundation.kinesis.hash_keys import HASH_KEY_BYTES, HASH_KEYS, HashKeyRange, hash_key, md5
from foundation.kinesis.limits import (
    MAX_KEY_CHARACTERS,
    MAX_LARGE_REQUEST_BYTES,
    MAX_READ_RECORDS,
    MAX_RECORD_BYTES,
    MAX_REQUEST_BYTES,
    MAX_REQUEST_RECORDS,
    READ_BYTES_PER_SECOND,
    READS_PER_SECOND,
    SURELY_RETAINED,
    WRITE_BYTES_PER_SECOND,
    WRITE_RECORDS_PER_SECOND,
)
from foundation.kinesis.records import Batch, Position, Record, Sentinel, SequenceNumber, StreamPosition, position_key
from foundation.kinesis.shards import Shard, children_of, is_closed, is_gone, listed_shards

__all__ = [
    "AGGREGATE_BYTES",
    "AGGREGATE_KEY",
    "HASH_KEYS",
    "HASH_KEY_BYTES",
    "MAX_KEY_CHARACTERS",
    "MAX_LARGE_REQUEST_BYTES",
    "MAX_READ_RECORDS",
    "MAX_RECORD_BYTES",
    "MAX_REQUEST_BYTES",
    "MAX_REQUEST_RECORDS",
    "READS_PER_SECOND",
    "READ_BYTES_PER_SECOND",
    "SURELY_RETAINED",
    "WRITE_BYTES_PER_SECOND",
    "WRITE_RECORDS_PER_SECOND",
    "Batch",
    "HashKeyRange",
    "Position",
    "Record",
    "Sentinel",
    "SequenceNumber",
    "Shard",
    "StreamPosition",
    "children_of",
    "creation_of",
    "decoding",
    "fetch",
    "hash_key",
    "is_closed",
    "is_gone",
    "listed_shards",
    "md5",
    "name_anew",
    "pack",
    "position_key",
    "pushed",
]
