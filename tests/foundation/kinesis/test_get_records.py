"""GetRecords' answers: decoded by ourselves inside a real botocore client, and whatever is no answer is an error."""

import io
import json
from datetime import UTC, datetime
from typing import Any

import botocore.session
import pytest
from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from msgspec import structs

from foundation.kinesis.get_records import Answer, UnreadableAnswer, decode, decoding, fetch, pushed
from foundation.kinesis.records import Record

RECORD = {
    "SequenceNumber": "00049",
    "PartitionKey": "order-1",
    "Data": "AAEC/w==",
    "ApproximateArrivalTimestamp": 1763900000.123,
    "EncryptionType": "NONE",
}
ANSWER = {"Records": [RECORD], "NextShardIterator": "next", "MillisBehindLatest": 7}


class _Raw(io.BytesIO):
    def stream(self, **_: Any) -> Any:
        yield self.read()


# It reads the service's description once for all clients.
SESSION = botocore.session.Session()


def a_client() -> Any:
    client: Any = SESSION.create_client(
        "kinesis",
        region_name="us-east-1",
        endpoint_url="http://127.0.0.1:9",
        aws_access_key_id="x",
        aws_secret_access_key="x",
        config=Config(retries={"mode": "standard", "total_max_attempts": 1}),
    )
    return client


def answering(client: Any, body: bytes, status: int = 200) -> Any:
    """The client, to which every request is answered so without leaving the process."""

    def answer(request: Any, **_: Any) -> AWSResponse:
        return AWSResponse(request.url, status, HTTPHeaders(), _Raw(body))

    client.meta.events.register("before-send.kinesis.*", answer)
    return client


def body(**changes: Any) -> bytes:
    return json.dumps(ANSWER | changes).encode()


def test_a_good_answer_is_decoded_into_records() -> None:
    answer = fetch(answering(decoding(a_client()), body()), "iterator", 10)
    assert answer == Answer([Record("00049", "order-1", b"\x00\x01\x02\xff", 1763900000.123)], 7, "next")
    assert answer.records[0].arrived_at == datetime(2025, 11, 23, 12, 13, 20, 123000, tzinfo=UTC)


def without_key(**changes: Any) -> dict[str, Any]:
    return {name: value for name, value in (RECORD | changes).items() if name != "PartitionKey"}


@pytest.mark.parametrize("keyless", [without_key(), RECORD | {"PartitionKey": None}], ids=["left out", "null"])
def test_a_record_without_a_partition_key_is_a_record(keyless: dict[str, Any]) -> None:
    answer = decode(body(Records=[RECORD, keyless, RECORD], ChildShards=[]))
    keyed = Record("00049", "order-1", b"\x00\x01\x02\xff", 1763900000.123)
    assert answer == Answer([keyed, structs.replace(keyed, partition_key=None), keyed], 7, "next", [])


def test_one_that_is_pushed_too() -> None:
    told = without_key(Data=b"x", ApproximateArrivalTimestamp=datetime.fromtimestamp(7, UTC))
    answer = pushed({"SubscribeToShardEvent": {"Records": [told], "MillisBehindLatest": 0}})
    assert answer.records == [Record("00049", None, b"x", 7.0)]


def test_the_last_answer_of_a_shard_has_no_next_iterator_and_names_children() -> None:
    keys = {"StartingHashKey": "0", "EndingHashKey": "9"}
    child = {"ShardId": "shardId-1", "ParentShards": ["shardId-0"], "HashKeyRange": keys}
    answer = decode(body(Records=[], NextShardIterator=None, ChildShards=[child]))
    assert answer.next_shard_iterator is None
    assert answer.child_shards == [child]


def test_an_error_stays_botocores() -> None:
    client = answering(decoding(a_client()), b'{"__type":"ExpiredIteratorException","message":"too old"}', 400)
    with pytest.raises(ClientError) as raised:
        fetch(client, "iterator", 10)
    assert raised.value.response["Error"] == {"Code": "ExpiredIteratorException", "Message": "too old"}


def test_other_operations_are_parsed_as_ever() -> None:
    client = answering(decoding(a_client()), b'{"ShardIterator":"one"}')
    where = {"StreamName": "orders", "ShardId": "shardId-0", "ShardIteratorType": "LATEST"}
    assert client.get_shard_iterator(**where)["ShardIterator"] == "one"


UNREADABLE = {
    "nothing": b"",
    "null": b"null",
    "a page of a proxy": b"<html>welcome</html>",
    "cut short": body()[:-20],
    "no records": json.dumps({"NextShardIterator": "next", "MillisBehindLatest": 0}).encode(),
    "records are null": body(Records=None),
    "no word of how far behind": json.dumps({"Records": [], "NextShardIterator": "next"}).encode(),
    "a number that is none": body(Records=[RECORD | {"SequenceNumber": "many"}]),
    "a number of the wrong type": body(Records=[RECORD | {"SequenceNumber": 49}]),
    "a record without data": body(Records=[{name: RECORD[name] for name in RECORD if name != "Data"}]),
    "a keyless record without data": body(Records=[{"SequenceNumber": "1", "ApproximateArrivalTimestamp": 1}]),
    "data that is no base64": body(Records=[RECORD | {"Data": "~~~~"}]),
    "a null in between": body(Records=[RECORD, None]),
    "bytes that are no text": body().replace(b"order-1", b"\xff\xfe"),
}


@pytest.mark.parametrize("name", UNREADABLE)
def test_anything_else_is_an_error_of_botocores_kind_that_shows_no_data(name: str) -> None:
    client = answering(decoding(a_client()), UNREADABLE[name])
    with pytest.raises(UnreadableAnswer) as raised:
        fetch(client, "iterator", 10)
    assert isinstance(raised.value, BotoCoreError)
    assert "order-1" not in str(raised.value)
    assert "AAEC" not in str(raised.value)


def test_a_client_that_does_not_decode_is_told_apart() -> None:
    with pytest.raises(TypeError, match="fix: make it one with"):
        fetch(answering(a_client(), body()), "iterator", 10)
