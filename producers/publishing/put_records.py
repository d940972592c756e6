"""What a publisher asks of Kinesis. PutRecords is written by us, at a fraction of what botocore's serialising takes.

Credentials, signing, retries, endpoints and errors stay botocore's: only the body of the request is put in its hands.
"""

from typing import TYPE_CHECKING, Any, TypeVar, cast

import msgspec

from foundation.kinesis import MAX_RECORD_BYTES, listed_shards
from producers.publishing.lanes import Limits, Parcel
from producers.publishing.shard_map import ShardMap

if TYPE_CHECKING:
    from mypy_boto3_kinesis import KinesisClient
    from mypy_boto3_kinesis.type_defs import PutRecordsResultEntryTypeDef

    ClientT = TypeVar("ClientT", bound=KinesisClient)

# https://boto3.amazonaws.com/v1/documentation/api/latest/guide/events.html
_PARAMETERS = "provide-client-params.kinesis.PutRecords"
_BEFORE_CALL = "before-call.kinesis.PutRecords"
_WRITTEN = "producers.publishing.put_records"


class _Entry(msgspec.Struct, rename="pascal", gc=False):
    data: bytes
    partition_key: str
    explicit_hash_key: str | msgspec.UnsetType = msgspec.UNSET


class _Request(msgspec.Struct, rename="pascal", gc=False):
    stream_name: str
    records: list[_Entry]


class _Written(list[dict[str, Any]]):
    """Stands for the records in botocore's hands: one that it validates in no time. `body` is the request."""

    def __init__(self, body: bytes) -> None:
        # Should it ever go out as it stands, Kinesis refuses it: this is no hash key.
        super().__init__([{"Data": b"", "PartitionKey": "-", "ExplicitHashKey": "-"}])
        self.body = body


_encoder = msgspec.json.Encoder()


def writing(kinesis: "ClientT") -> "ClientT":
    """The same client, whose PutRecords `put_records` of this module can use; for others it stays what it was."""
    kinesis.meta.events.register(_PARAMETERS, _keep_body, unique_id=_WRITTEN + ".keep")
    kinesis.meta.events.register(_BEFORE_CALL, _give_body, unique_id=_WRITTEN + ".give")
    return kinesis


def put_records(
    kinesis: "KinesisClient", stream: str, parcels: list[Parcel]
) -> "list[PutRecordsResultEntryTypeDef | None]":
    """One PutRecords by a `writing` client, and its results in the order of the parcels. Raises what the client does.

    A result that is missing, or none, tells nothing about its record.
    """
    entries = [_Entry(each.data, each.partition_key, each.explicit_hash_key or msgspec.UNSET) for each in parcels]
    written: Any = _Written(_encoder.encode(_Request(stream, entries)))
    answer = kinesis.put_records(StreamName=stream, Records=written)
    told: list[Any] = list(answer.get("Records") or [])[: len(parcels)]
    results = [one if isinstance(one, dict) else None for one in told]
    # guarantee: what is acknowledged was acknowledged by Kinesis
    return cast("list[PutRecordsResultEntryTypeDef | None]", results + [None] * (len(parcels) - len(results)))


def shard_map(kinesis: "KinesisClient", stream: str) -> ShardMap:
    """Raises what the client does, and `BrokenShardMap` while a reshard is being told of."""
    return ShardMap.of(listed_shards(kinesis, stream))


def limits(kinesis: "KinesisClient", stream: str) -> Limits:
    """Raises what the client does. A service that does not tell takes a mebibyte."""
    summary = kinesis.describe_stream_summary(StreamName=stream)["StreamDescriptionSummary"]
    return Limits(max(MAX_RECORD_BYTES, 1024 * summary.get("MaxRecordSizeInKiB", 0)))


def _keep_body(params: dict[str, Any], context: dict[str, Any], **_: Any) -> None:
    if isinstance(params.get("Records"), _Written):
        context[_WRITTEN] = params["Records"].body


def _give_body(params: dict[str, Any], context: dict[str, Any], **_: Any) -> None:
    if _WRITTEN in context:
        params["body"] = context[_WRITTEN]
