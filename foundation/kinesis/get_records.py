"""GetRecords' answers, decoded straight into records, which costs a tenth of what botocore's own parser takes.

Signing, retries, endpoints and errors stay botocore's: only the body of a good answer is taken from its hands.
"""

from typing import TYPE_CHECKING, Any, TypedDict, TypeVar, cast

import msgspec
from botocore.exceptions import BotoCoreError

from foundation.kinesis.records import Record

if TYPE_CHECKING:
    from mypy_boto3_kinesis import KinesisClient

    ClientT = TypeVar("ClientT", bound=KinesisClient)

# https://boto3.amazonaws.com/v1/documentation/api/latest/guide/events.html
_BEFORE_PARSE = "before-parse.kinesis.GetRecords"
_DECODED = "Decoded"


class HashKeys(TypedDict):
    StartingHashKey: str
    EndingHashKey: str


class ChildShard(TypedDict):
    """A child that the last answer of a shard names."""

    ShardId: str
    ParentShards: list[str]
    HashKeyRange: HashKeys


class Answer(msgspec.Struct, frozen=True, rename="pascal"):
    """GetRecords' answer. Without a next iterator the shard has ended, and some services name its children.

    What a subscription pushes is one without an iterator of its own.
    """

    records: list[Record]
    millis_behind_latest: int
    next_shard_iterator: str | None = None
    child_shards: list[ChildShard] | None = None


class _AnyRecord(msgspec.Struct, frozen=True, rename="pascal"):
    """A record with or without a partition key. `Record` wants the member to be there, and is decoded faster."""

    sequence_number: str
    data: bytes
    approximate_arrival_timestamp: float
    partition_key: str | None = None


class _AnyAnswer(msgspec.Struct, frozen=True, rename="pascal"):
    records: list[_AnyRecord]
    millis_behind_latest: int
    next_shard_iterator: str | None = None
    child_shards: list[ChildShard] | None = None


class UnreadableAnswer(BotoCoreError):
    """Kinesis, or somebody between it and us, answered something else than records."""

    fmt = "Kinesis' answer cannot be read: {why}"


_decoder = msgspec.json.Decoder(Answer)
_any_decoder = msgspec.json.Decoder(_AnyAnswer)


def decode(body: bytes) -> Answer:
    """Raises `UnreadableAnswer` for anything but a whole answer whose records can be placed in their shard."""
    try:
        return _checked(_read(body))
    except (msgspec.MsgspecError, ValueError) as error:
        raise UnreadableAnswer(why=str(error)) from error


def pushed(event: Any) -> Answer:
    """The same of an event that botocore has parsed; its timestamps are datetimes by then."""
    try:
        told = event["SubscribeToShardEvent"]
        records = [
            Record(
                one["SequenceNumber"],
                one.get("PartitionKey"),
                one["Data"],
                one["ApproximateArrivalTimestamp"].timestamp(),
            )
            for one in told["Records"]
        ]
        return _checked(Answer(records, told["MillisBehindLatest"], child_shards=told.get("ChildShards")))
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise UnreadableAnswer(why=f"{type(error).__name__}: {error}") from error


def decoding(kinesis: "ClientT") -> "ClientT":
    """The same client, whose GetRecords is from now on for `fetch` of this module alone."""
    kinesis.meta.events.register(_BEFORE_PARSE, _decode_body, unique_id=_DECODED)
    return kinesis


def fetch(kinesis: "KinesisClient", iterator: str, limit: int) -> Answer:
    """One GetRecords by a `decoding` client. Raises botocore's errors, and `UnreadableAnswer`, which is one of them."""
    answer = cast("dict[str, Any]", kinesis.get_records(ShardIterator=iterator, Limit=limit))
    if _DECODED not in answer:
        raise TypeError("this client's GetRecords is botocore's own. fix: make it one with `decoding`")
    return cast("Answer", answer[_DECODED])


def _read(body: bytes) -> Answer:
    try:
        return _decoder.decode(body)
    except msgspec.ValidationError:
        # guarantee: a record without a partition key is read
        answer = _any_decoder.decode(body)
    records = [
        Record(one.sequence_number, one.partition_key, one.data, one.approximate_arrival_timestamp)
        for one in answer.records
    ]
    return Answer(records, answer.millis_behind_latest, answer.next_shard_iterator, answer.child_shards)


def _checked(answer: Answer) -> Answer:
    """Raises ValueError when the records cannot be placed in their shard; the first and the last one speak for all."""
    if not all(record.number.isdecimal() for record in (*answer.records[:1], *answer.records[-1:])):
        raise ValueError("a sequence number is no number")
    return answer


def _decode_body(response_dict: dict[str, Any], customized_response_dict: dict[str, Any], **_: Any) -> None:
    if response_dict["status_code"] < 300:
        customized_response_dict[_DECODED] = decode(response_dict["body"])
        response_dict["body"] = b"{}"
