"""A small, fast Kinesis in memory to load clients with: `... fake_kinesis PORT [FAILING [LOSING [FASTEST SLOWEST]]]`.

It has no limits, no resharding and checks no signature. FAILING is the share of PutRecords' entries that are refused,
LOSING that of PutRecords which are applied and answered HTTP 500; they take FASTEST to SLOWEST seconds, by chance.
It listens on 127.0.0.1 alone.
"""

import asyncio
import hashlib
import random
import sys
from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import msgspec

HASH_KEYS = 2**128
# What GetRecords returns at most, base64 and all.
_ANSWER_BYTES = 13_600_000
_ARRIVED = 1763900000.123
_REFUSED = {"ErrorCode": "ProvisionedThroughputExceededException", "ErrorMessage": "Rate exceeded"}

Answer = dict[str, Any]


class AnswerLost(Exception):
    """The request was applied, and whoever sent it never hears so."""


_json = msgspec.json.Encoder()


@dataclass
class _Stream:
    """Its shards' records are kept as the JSON that GetRecords answers with."""

    name: str
    ends: list[int]
    shards: list[list[bytes]]
    numbers: int = 0

    @classmethod
    def of(cls, name: str, shards: int) -> "_Stream":
        return cls(name, [HASH_KEYS * (at + 1) // shards for at in range(shards)], [[] for _ in range(shards)])

    def listed(self) -> list[Answer]:
        starts = [0, *self.ends]
        return [
            {
                "ShardId": _shard_id(at),
                "HashKeyRange": {"StartingHashKey": str(starts[at]), "EndingHashKey": str(end - 1)},
                "SequenceNumberRange": {"StartingSequenceNumber": _number(0)},
            }
            for at, end in enumerate(self.ends)
        ]

    def put(self, entry: Answer) -> Answer:
        explicit = entry.get("ExplicitHashKey")
        key = int(explicit) if explicit else int.from_bytes(_md5(entry["PartitionKey"].encode()))
        at = bisect_right(self.ends, key)
        self.numbers += 1
        record = {
            "SequenceNumber": _number(self.numbers),
            "ApproximateArrivalTimestamp": _ARRIVED,
            "Data": entry["Data"],
            "PartitionKey": entry["PartitionKey"],
        }
        self.shards[at].append(_json.encode(record))
        return {"SequenceNumber": record["SequenceNumber"], "ShardId": _shard_id(at)}


@dataclass
class Kinesis:
    """Answers one request after another. `failing` is the share of PutRecords' entries that it refuses, `losing` that
    of PutRecords whose answers are lost."""

    failing: float = 0.0
    losing: float = 0.0
    streams: dict[str, _Stream] = field(default_factory=dict)
    chance: random.Random = field(default_factory=lambda: random.Random(1))

    def answer(self, operation: str, asked: Answer) -> bytes:
        """Raises KeyError for a stream or an operation that there is not, and AnswerLost."""
        operations: dict[str, Callable[[Answer], Any]] = {
            "CreateStream": self._create,
            "DescribeStream": lambda asked: {"StreamDescription": self._described(asked)},
            "DescribeStreamSummary": lambda asked: {"StreamDescriptionSummary": self._described(asked)},
            "ListShards": lambda asked: {"Shards": self._stream(asked).listed()},
            "PutRecord": lambda asked: self._stream(asked).put(asked),
            "PutRecords": self._put_records,
            "GetShardIterator": self._iterator,
        }
        if operation == "GetRecords":
            return self._get_records(asked)
        return _json.encode(operations[operation](asked))

    def _stream(self, asked: Answer) -> _Stream:
        return self.streams[asked.get("StreamName") or asked["StreamARN"].split("/")[-1]]

    def _create(self, asked: Answer) -> Answer:
        self.streams[asked["StreamName"]] = _Stream.of(asked["StreamName"], asked["ShardCount"])
        return {}

    def _described(self, asked: Answer) -> Answer:
        stream = self._stream(asked)
        return {
            "StreamName": stream.name,
            "StreamARN": f"arn:aws:kinesis:us-east-1:000000000000:stream/{stream.name}",
            "StreamStatus": "ACTIVE",
            "StreamModeDetails": {"StreamMode": "PROVISIONED"},
            "RetentionPeriodHours": 24,
            "StreamCreationTimestamp": _ARRIVED,
            "EnhancedMonitoring": [],
            "OpenShardCount": len(stream.shards),
            "HasMoreShards": False,
            "Shards": stream.listed(),
        }

    def _put_records(self, asked: Answer) -> Answer:
        stream = self._stream(asked)
        refuses = self.failing and self.chance.random
        results = [_REFUSED if refuses and refuses() < self.failing else stream.put(one) for one in asked["Records"]]
        if self.losing and self.chance.random() < self.losing:
            raise AnswerLost
        return {"FailedRecordCount": sum(result is _REFUSED for result in results), "Records": results}

    def _iterator(self, asked: Answer) -> Answer:
        stream, at, kind = self._stream(asked), int(asked["ShardId"][-12:]), asked["ShardIteratorType"]
        records = stream.shards[at]
        offset = len(records) if kind == "LATEST" else 0
        if number := asked.get("StartingSequenceNumber"):
            # Every record begins with its number, all of the same length.
            starts = f'{{"SequenceNumber":"{number}'.encode()
            offset = next(
                (place for place, record in enumerate(records) if record[: len(starts)] >= starts), len(records)
            )
            offset += kind == "AFTER_SEQUENCE_NUMBER"
        return {"ShardIterator": f"{stream.name}|{at}|{offset}"}

    def _get_records(self, asked: Answer) -> bytes:
        name, at, offset = asked["ShardIterator"].split("|")
        records, first = self.streams[name].shards[int(at)], int(offset)
        page: list[bytes] = []
        size = 0
        for record in records[first : first + asked.get("Limit", 10_000)]:
            size += len(record)
            if page and size > _ANSWER_BYTES:
                break
            page.append(record)
        after = first + len(page)
        behind = 1000 if after < len(records) else 0
        return b'{"MillisBehindLatest":%d,"NextShardIterator":"%b","Records":[%b]}' % (
            behind,
            f"{name}|{at}|{after}".encode(),
            b",".join(page),
        )


class _Connection(asyncio.Protocol):
    """HTTP/1.1, as much of it as boto3 and its friends speak."""

    def __init__(self, kinesis: Kinesis, latency: tuple[float, float]) -> None:
        self._kinesis = kinesis
        self._latency = latency
        self._received = bytearray()
        self._operation = ""
        self._body_bytes: int | None = None
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._received += data
        while self._has_headers() and len(self._received) >= (self._body_bytes or 0):
            body = bytes(self._received[: self._body_bytes])
            del self._received[: self._body_bytes]
            self._body_bytes = None
            answer = self._answered(body)
            if self._operation == "PutRecords" and any(self._latency):
                seconds = self._kinesis.chance.uniform(*self._latency)
                asyncio.get_running_loop().call_later(seconds, self._transport.write, answer)
            else:
                self._transport.write(answer)

    def _has_headers(self) -> bool:
        if self._body_bytes is not None:
            return True
        end = self._received.find(b"\r\n\r\n")
        if end < 0:
            return False
        lines = bytes(self._received[:end]).decode().split("\r\n")[1:]
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        del self._received[: end + 4]
        self._body_bytes = int(headers.get("content-length", "0"))
        self._operation = headers["x-amz-target"].rpartition(".")[2]
        if "expect" in headers:
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        return True

    def _answered(self, body: bytes) -> bytes:
        try:
            status, answer = b"200 OK", self._kinesis.answer(self._operation, msgspec.json.decode(body))
        except AnswerLost:
            status, answer = b"500 Internal Server Error", _json.encode({"__type": "InternalFailure"})
        except KeyError as unknown:
            status = b"400 Bad Request"
            answer = _json.encode({"__type": "ResourceNotFoundException", "message": str(unknown)})
        return (
            b"HTTP/1.1 %b\r\nContent-Type: application/x-amz-json-1.1\r\n"
            b"x-amzn-RequestId: 00000000-0000-0000-0000-000000000000\r\nContent-Length: %d\r\n\r\n%b"
        ) % (status, len(answer), answer)


def _shard_id(at: int) -> str:
    return f"shardId-{at:012d}"


def _number(count: int) -> str:
    return f"49{count:054d}"


def _md5(data: bytes) -> bytes:
    return hashlib.md5(data, usedforsecurity=False).digest()


async def _serve(
    port: int, failing: float = 0.0, losing: float = 0.0, fastest: float = 0.0, slowest: float = 0.0
) -> None:
    kinesis, latency = Kinesis(failing, losing), (fastest, slowest)
    server = await asyncio.get_running_loop().create_server(lambda: _Connection(kinesis, latency), "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1]), *map(float, sys.argv[2:])))
