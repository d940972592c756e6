"""Kinesis in memory, with boto3's methods, answers, errors and limits. Never kinder than the real one."""

import base64
import json
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

from botocore.hooks import HierarchicalEmitter

from foundation.clock import Clock
from foundation.kinesis.deaggregation import unpack
from foundation.kinesis.hash_keys import HashKeyRange
from foundation.kinesis.limits import MAX_READ_RECORDS
from foundation.kinesis.records import Record
from tests.support.fakes.faults import Service
from tests.support.fakes.kinesis_fan_out import FanOut, arn_of
from tests.support.fakes.kinesis_stream import HASH_KEYS, MEBIBYTE, Shard, Stream, hash_key

if TYPE_CHECKING:
    from mypy_boto3_kinesis import KinesisClient

Answer = dict[str, Any]

# https://docs.aws.amazon.com/streams/latest/dev/service-sizes-and-limits.html
ENTRIES_A_REQUEST = 500
REQUEST_BYTES = 5 * MEBIBYTE
# Where larger records than a mebibyte are allowed.
LARGE_REQUEST_BYTES = 10 * MEBIBYTE
KEY_CHARACTERS = 256
READ_BYTES = 10 * 1000 * 1000
ITERATOR_SECONDS = 300
LISTED_SHARDS = 1000
THROTTLED = "ProvisionedThroughputExceededException"


class FakeKinesis(Service):
    """One stream from the start, more by `create_stream`. `client` is itself, for code that takes boto3's client.

    Reads are limited per shard by the clock given; writes too with `write_limits`. `record_kibibytes` is how large
    the stream's records may be. `number_width` over 56 pads sequence numbers with zeros, as some emulators do;
    `shards_per_page` makes ListShards page early.
    """

    def __init__(
        self,
        clock: Clock,
        *,
        stream: str = "orders",
        shards: int = 1,
        write_limits: bool = False,
        record_kibibytes: int = 1024,
        number_width: int = 56,
        shards_per_page: int = LISTED_SHARDS,
    ) -> None:
        super().__init__("kinesis")
        self.clock = clock
        self.meta = SimpleNamespace(events=HierarchicalEmitter())
        self.stream = stream
        self.shards_per_page = shards_per_page
        self._write_limits = write_limits
        self.record_bytes = record_kibibytes * 1024
        self._number_width = number_width
        self._rejections: list[tuple[Callable[[Answer], bool], str]] = []
        self._bodies: deque[bytes] = deque()
        self.streams: dict[str, Stream] = {}
        self._create(stream, shards)
        self.fan_out = FanOut(self)

    @property
    def client(self) -> "KinesisClient":
        return cast("KinesisClient", self)

    # What only a test can do.

    def records(self, shard_id: str | None = None, stream: str | None = None) -> list[Answer]:
        """The records held, of one shard or of all by sequence number, as GetRecords shows them; counts as no read."""
        with self.lock:
            shards = self.streams[stream or self.stream].shards
            chosen = [shards[shard_id]] if shard_id else list(shards.values())
            held = [dict(record) for shard in chosen for record in shard.records[shard.trimmed :]]
            return sorted(held, key=lambda record: int(record["SequenceNumber"]))

    def user_records(self, shard_id: str | None = None) -> list[Record]:
        """What a consumer of these records is given: aggregates unpacked, and those of another shard left out."""
        with self.lock:
            shards = self.streams[self.stream].shards
            chosen = [shards[shard_id]] if shard_id else list(shards.values())
            found = [record for shard in chosen for record in self._delivered(shard)]
            return sorted(found, key=lambda record: record.sequence_number)

    @staticmethod
    def _delivered(shard: Shard) -> list[Record]:
        hash_keys = HashKeyRange(shard.first_hash_key, shard.last_hash_key)
        delivered: list[Record] = []
        for held in shard.records[shard.trimmed :]:
            arrived = held["ApproximateArrivalTimestamp"].timestamp()
            record = Record(held["SequenceNumber"], held.get("PartitionKey"), held["Data"], arrived)
            aggregate = unpack(record)
            if aggregate is None:
                delivered.append(record)
            elif not aggregate.is_stray(hash_keys):
                delivered += aggregate.records
        return delivered

    def put_without_key(self, data: bytes, *, hash_key: int = 0) -> str:
        """A record as a stream with RecordDistributionStrategy AUTO may hold it; answers its sequence number."""
        with self.lock:
            return self.streams[self.stream].append(hash_key, None, data, self.clock.now())[1]

    def shard_ids(self, stream: str | None = None) -> list[str]:
        """Every shard not yet trimmed away, closed ones too."""
        with self.lock:
            return list(self.streams[stream or self.stream].shards)

    def trim(self, shard_id: str, records: int) -> None:
        """Retention passes over the shard's oldest records."""
        with self.lock:
            shard = self.streams[self.stream].shards[shard_id]
            shard.trimmed = min(shard.trimmed + records, len(shard.records))

    def garble(self, body: bytes, times: int = 1) -> None:
        """The next `times` answers of GetRecords that somebody decodes arrive as this instead."""
        with self.lock:
            self._bodies.extend([body] * times)

    def reject_entries(self, predicate: Callable[[Answer], bool], times: int = 1, code: str = THROTTLED) -> None:
        """The next `times` PutRecords entries that match are refused, one by one, inside an answer of HTTP 200."""
        with self.lock:
            self._rejections += [(predicate, code)] * times

    # boto3's methods.

    def create_stream(self, **parameters: Any) -> Answer:
        return self.call("create_stream", self._create_stream, parameters)

    def describe_stream_summary(self, **parameters: Any) -> Answer:
        return self.call("describe_stream_summary", self._describe_stream_summary, parameters)

    def list_shards(self, **parameters: Any) -> Answer:
        return self.call("list_shards", self._list_shards, parameters)

    def put_record(self, **parameters: Any) -> Answer:
        return self.call("put_record", self._put_record, parameters)

    def put_records(self, **parameters: Any) -> Answer:
        return self.call("put_records", self._put_records, self._written("PutRecords", parameters) or parameters)

    def get_shard_iterator(self, **parameters: Any) -> Answer:
        return self.call("get_shard_iterator", self._get_shard_iterator, parameters)

    def get_records(self, **parameters: Any) -> Answer:
        answer = self.call("get_records", self._get_records, parameters)
        return self._parsed("GetRecords", answer) or answer

    def register_stream_consumer(self, **parameters: Any) -> Answer:
        return self.call("register_stream_consumer", self.fan_out.register, parameters)

    def describe_stream_consumer(self, **parameters: Any) -> Answer:
        return self.call("describe_stream_consumer", self.fan_out.describe, parameters)

    def deregister_stream_consumer(self, **parameters: Any) -> Answer:
        return self.call("deregister_stream_consumer", self.fan_out.deregister, parameters)

    def subscribe_to_shard(self, **parameters: Any) -> Answer:
        return self.call("subscribe_to_shard", self.fan_out.subscribe, parameters)

    def _written(self, operation: str, parameters: Answer) -> Answer | None:
        """What is in the body that somebody has put in the place of botocore's, as they can before it is signed."""
        model, context = self._model.operation_model(operation), dict[str, Any]()
        called = f"kinesis.{operation}"
        self.meta.events.emit(f"provide-client-params.{called}", params=parameters, model=model, context=context)
        request: Answer = {"body": None}
        self.meta.events.emit(f"before-call.{called}", params=request, model=model, context=context)
        if request["body"] is None:
            return None
        written: Answer = json.loads(request["body"])
        records = [{**entry, "Data": base64.b64decode(entry["Data"], validate=True)} for entry in written["Records"]]
        return {**written, "Records": records}

    def _parsed(self, operation: str, answer: Answer) -> Answer:
        """Shows the answer as JSON to who takes part in parsing it, as botocore does; what they make of it."""
        body = self._bodies.popleft() if self._bodies else json.dumps(answer, default=_on_the_wire).encode()
        made: Answer = {}
        self.meta.events.emit(
            f"before-parse.kinesis.{operation}",
            operation_model=self._model.operation_model(operation),
            response_dict={"headers": {}, "status_code": 200, "body": body},
            customized_response_dict=made,
        )
        return made

    def split_shard(self, **parameters: Any) -> Answer:
        return self.call("split_shard", self._split_shard, parameters)

    def merge_shards(self, **parameters: Any) -> Answer:
        return self.call("merge_shards", self._merge_shards, parameters)

    # What they do.

    def _create_stream(self, StreamName: str, ShardCount: int = 4, **_: Any) -> Answer:  # noqa: N803
        if StreamName in self.streams:
            raise self.error("create_stream", "ResourceInUseException", f"Stream {StreamName} already exists.")
        self._create(StreamName, ShardCount)
        return {}

    def _create(self, name: str, shards: int) -> None:
        self.streams[name] = Stream(name, shards, self.clock.now(), number_width=self._number_width)

    def _describe_stream_summary(self, StreamName: str) -> Answer:  # noqa: N803
        stream = self.stream_named("describe_stream_summary", StreamName)
        summary = {
            "StreamName": stream.name,
            "StreamARN": arn_of(stream.name),
            "StreamStatus": "ACTIVE",
            "StreamModeDetails": {"StreamMode": "PROVISIONED"},
            "RetentionPeriodHours": int(stream.retention.total_seconds() // 3600),
            "StreamCreationTimestamp": stream.created_at,
            "EnhancedMonitoring": [{"ShardLevelMetrics": []}],
            "EncryptionType": "NONE",
            "OpenShardCount": len(stream.open_shards),
            "ConsumerCount": 0,
            "MaxRecordSizeInKiB": self.record_bytes // 1024,
        }
        return {"StreamDescriptionSummary": summary}

    def _list_shards(
        self,
        StreamName: str | None = None,  # noqa: N803
        NextToken: str | None = None,  # noqa: N803
        MaxResults: int = LISTED_SHARDS,  # noqa: N803
        ExclusiveStartShardId: str | None = None,  # noqa: N803
        ShardFilter: Answer | None = None,  # noqa: N803
    ) -> Answer:
        if NextToken is not None:
            if StreamName is not None:
                message = "NextToken and StreamName cannot be provided together."
                raise self.error("list_shards", "InvalidArgumentException", message)
            StreamName, ExclusiveStartShardId, ShardFilter = _read_token(NextToken)  # noqa: N806
        stream = self.stream_named("list_shards", str(StreamName))
        shards = [
            shard
            for shard in stream.shards.values()
            if shard.shard_id > (ExclusiveStartShardId or "") and self._passes(shard, ShardFilter or {}, stream)
        ]
        page = shards[: min(MaxResults, self.shards_per_page)]
        answer: Answer = {"Shards": [shard.described() for shard in page]}
        if len(page) < len(shards):
            answer["NextToken"] = _token([stream.name, page[-1].shard_id, ShardFilter])
        return answer

    def _passes(self, shard: Shard, wanted: Answer, stream: Stream) -> bool:
        kind = wanted.get("Type", "FROM_TRIM_HORIZON")
        if kind == "AFTER_SHARD_ID":
            return shard.shard_id > str(wanted["ShardId"])
        if kind == "AT_LATEST":
            return shard.closed_at is None
        opened_at = max((parent.closed_at for parent in self._parents(shard, stream)), default=stream.created_at)
        # Nothing older is kept, so what was open at the horizon is what no kept shard came before.
        horizon = max(self.clock.now() - stream.retention, stream.created_at)
        moment = max(_moment(wanted["Timestamp"]), horizon) if "Timestamp" in wanted else horizon
        ends_after = shard.closed_at is None or shard.closed_at >= moment
        return ends_after and (kind.startswith("FROM_") or opened_at <= moment)

    @staticmethod
    def _parents(shard: Shard, stream: Stream) -> list[Any]:
        return [stream.shards[parent] for parent in shard.parents if parent in stream.shards]

    def _put_record(self, StreamName: str, Data: Any, PartitionKey: str, **options: Any) -> Answer:  # noqa: N803
        stream = self.stream_named("put_record", StreamName)
        entry = {"Data": _bytes(Data), "PartitionKey": PartitionKey, **options}
        self._check_entry("put_record", entry)
        answer = self._append(stream, entry)
        if "ErrorCode" in answer:
            raise self.error("put_record", THROTTLED, answer["ErrorMessage"])
        return answer | {"EncryptionType": "NONE"}

    def _put_records(self, StreamName: str, Records: list[Answer]) -> Answer:  # noqa: N803
        stream = self.stream_named("put_records", StreamName)
        entries = [{**entry, "Data": _bytes(entry["Data"])} for entry in Records]
        if len(entries) > ENTRIES_A_REQUEST:
            message = f"{len(entries)} records: Member must have length less than or equal to {ENTRIES_A_REQUEST}"
            raise self.error("put_records", "ValidationException", message)
        for entry in entries:
            self._check_entry("put_records", entry)
        limit = REQUEST_BYTES if self.record_bytes == MEBIBYTE else LARGE_REQUEST_BYTES
        if sum(_size(entry) for entry in entries) > limit:
            raise self.error("put_records", "InvalidArgumentException", f"Records size exceeds {limit} bytes")
        answers = [self._rejection(stream, entry) or self._append(stream, entry) for entry in entries]
        failed = sum("ErrorCode" in answer for answer in answers)
        return {"FailedRecordCount": failed, "Records": answers, "EncryptionType": "NONE"}

    def _rejection(self, stream: Stream, entry: Answer) -> Answer | None:
        for rejection in self._rejections:
            predicate, code = rejection
            if predicate(entry):
                self._rejections.remove(rejection)
                shard = stream.shard_of(_hash_key(entry))
                return {"ErrorCode": code, "ErrorMessage": f"scripted fault, shard {shard.shard_id}"}
        return None

    def _append(self, stream: Stream, entry: Answer) -> Answer:
        key = _hash_key(entry)
        if self._write_limits:
            shard, now, size = stream.shard_of(key), self.clock.monotonic(), _size(entry)
            if not (shard.written_records.allows(now) and shard.written_bytes.allows(now, size)):
                return {"ErrorCode": THROTTLED, "ErrorMessage": f"Rate exceeded for shard {shard.shard_id}"}
            shard.written_records.count(now)
            shard.written_bytes.count(now, size)
        shard, number = stream.append(key, entry["PartitionKey"], entry["Data"], self.clock.now())
        return {"SequenceNumber": number, "ShardId": shard.shard_id}

    def _check_entry(self, operation: str, entry: Answer) -> None:
        if len(entry["PartitionKey"]) > KEY_CHARACTERS or len(entry["Data"]) > self.record_bytes:
            raise self.error(operation, "ValidationException", "data or partition key: Member is too long")
        if _size(entry) > self.record_bytes:
            raise self.error(operation, "InvalidArgumentException", f"record and key exceed {self.record_bytes} bytes")
        explicit = entry.get("ExplicitHashKey", "0")
        if not explicit.isdecimal() or str(int(explicit)) != explicit or int(explicit) >= HASH_KEYS:
            raise self.error(operation, "InvalidArgumentException", f"ExplicitHashKey {explicit} is no hash key")

    def _get_shard_iterator(
        self,
        StreamName: str,  # noqa: N803
        ShardId: str,  # noqa: N803
        ShardIteratorType: str,  # noqa: N803
        StartingSequenceNumber: str | None = None,  # noqa: N803
        Timestamp: Any = None,  # noqa: N803
    ) -> Answer:
        operation = "get_shard_iterator"
        stream = self.stream_named(operation, StreamName)
        shard = self.shard_named(operation, stream, ShardId)
        now = self.clock.monotonic()
        if not shard.iterators.allows(now):
            raise self.error(operation, THROTTLED, f"Rate exceeded for shard {ShardId}")
        shard.iterators.count(now)
        offset = self.offset_of(operation, shard, ShardIteratorType, StartingSequenceNumber, Timestamp)
        return {"ShardIterator": self._iterator(stream, shard, offset)}

    def offset_of(self, operation: str, shard: Shard, kind: str, number: str | None, timestamp: Any) -> int:
        """Where in the shard reading begins."""
        if kind == "TRIM_HORIZON":
            offset = shard.trimmed
        elif kind == "LATEST":
            offset = len(shard.records)
        elif kind == "AT_TIMESTAMP":
            if timestamp is None:
                raise self.error(operation, "InvalidArgumentException", "AT_TIMESTAMP needs a Timestamp")
            moment = _moment(timestamp)
            if moment > self.clock.now():
                raise self.error(
                    operation, "InvalidArgumentException", "The timestampInMillis parameter is in the future"
                )
            offset = shard.offset_at(moment)
        else:
            found = shard.offset_of(number or "")
            if found is None:
                message = f"number {number} did not come from shard {shard.shard_id}"
                raise self.error(operation, "InvalidArgumentException", message)
            is_record = number != shard.first_number
            offset = found + (kind == "AFTER_SEQUENCE_NUMBER" and is_record)
        return offset

    def _get_records(self, ShardIterator: str, Limit: int = MAX_READ_RECORDS, **_: Any) -> Answer:  # noqa: N803
        operation = "get_records"
        try:
            name, shard_id, offset, issued_at = _read_token(ShardIterator)
        except ValueError as error:
            raise self.error(operation, "InvalidArgumentException", "Invalid ShardIterator.") from error
        stream = self.stream_named(operation, name)
        shard = self.shard_named(operation, stream, shard_id)
        now = self.clock.monotonic()
        if now - issued_at > ITERATOR_SECONDS:
            raise self.error(operation, "ExpiredIteratorException", f"Iterator expired: {now - issued_at:.0f} s old")
        if Limit > MAX_READ_RECORDS:
            raise self.error(operation, "InvalidArgumentException", f"Limit {Limit} exceeds {MAX_READ_RECORDS}")
        if not shard.allows_read(now):
            raise self.error(operation, THROTTLED, f"Rate exceeded for shard {shard_id}")
        return self._read(stream, shard, max(offset, shard.trimmed), Limit)

    def _read(self, stream: Stream, shard: Shard, offset: int, limit: int) -> Answer:
        records: list[Answer] = []
        size = 0
        for record in shard.records[offset : offset + limit]:
            if records and size + _size(record) > READ_BYTES:
                break
            records.append(dict(record))
            size += _size(record)
        shard.count_read(self.clock.monotonic(), size)
        after = offset + len(records)
        exhausted = after >= len(shard.records)
        behind = timedelta() if exhausted else self.clock.now() - shard.records[after]["ApproximateArrivalTimestamp"]
        answer: Answer = {
            "Records": records,
            # Never 0 while there is more to read.
            "MillisBehindLatest": 0 if exhausted else max(1, int(behind.total_seconds() * 1000)),
        }
        if exhausted and shard.closed_at is not None:
            return answer | {"ChildShards": [child.described_as_child() for child in shard.children]}
        return answer | {"NextShardIterator": self._iterator(stream, shard, after)}

    def _split_shard(self, StreamName: str, ShardToSplit: str, NewStartingHashKey: str) -> Answer:  # noqa: N803
        stream = self.stream_named("split_shard", StreamName)
        shard = self._open_shard("split_shard", stream, ShardToSplit)
        middle = int(NewStartingHashKey)
        if not shard.first_hash_key < middle <= shard.last_hash_key:
            raise self.error("split_shard", "InvalidArgumentException", f"{middle} does not split {ShardToSplit}")
        stream.reshard([shard], [shard.first_hash_key, middle, shard.last_hash_key + 1], self.clock.now())
        return {}

    def _merge_shards(self, StreamName: str, ShardToMerge: str, AdjacentShardToMerge: str) -> Answer:  # noqa: N803
        stream = self.stream_named("merge_shards", StreamName)
        shard = self._open_shard("merge_shards", stream, ShardToMerge)
        other = self._open_shard("merge_shards", stream, AdjacentShardToMerge)
        low, high = sorted((shard, other), key=lambda each: each.first_hash_key)
        if low.last_hash_key + 1 != high.first_hash_key:
            message = f"{ShardToMerge} and {AdjacentShardToMerge} are not adjacent"
            raise self.error("merge_shards", "InvalidArgumentException", message)
        stream.reshard([shard, other], [low.first_hash_key, high.last_hash_key + 1], self.clock.now())
        return {}

    def stream_named(self, operation: str, name: str) -> Stream:
        if name not in self.streams:
            raise self.error(operation, "ResourceNotFoundException", f"Stream {name} not found.")
        stream = self.streams[name]
        stream.trim(self.clock.now())
        return stream

    def shard_named(self, operation: str, stream: Stream, shard_id: str) -> Shard:
        if shard_id not in stream.shards:
            raise self.error(operation, "ResourceNotFoundException", f"Shard {shard_id} in {stream.name} not found.")
        return stream.shards[shard_id]

    def _open_shard(self, operation: str, stream: Stream, shard_id: str) -> Shard:
        shard = self.shard_named(operation, stream, shard_id)
        if shard.closed_at is not None:
            raise self.error(operation, "ResourceInUseException", f"Shard {shard_id} is closed.")
        return shard

    def _iterator(self, stream: Stream, shard: Shard, offset: int) -> str:
        return _token([stream.name, shard.shard_id, offset, self.clock.monotonic()])


def _token(parts: list[Any]) -> str:
    return base64.b64encode(json.dumps(parts, default=str).encode()).decode()


def _read_token(token: str) -> list[Any]:
    """Raises ValueError for anything that was never given out."""
    parts: list[Any] = json.loads(base64.b64decode(token, validate=True))
    return parts


def _on_the_wire(value: Any) -> Any:
    """A value as JSON 1.1 has it."""
    return value.timestamp() if isinstance(value, datetime) else base64.b64encode(value).decode()


def _bytes(data: Any) -> bytes:
    return data.encode() if isinstance(data, str) else bytes(data)


def _size(entry: Answer) -> int:
    return len(entry["Data"]) + len(entry.get("PartitionKey", "").encode())


def _hash_key(entry: Answer) -> int:
    return int(entry["ExplicitHashKey"]) if "ExplicitHashKey" in entry else hash_key(entry["PartitionKey"])


def _moment(value: Any) -> datetime:
    """botocore takes a datetime, ISO text or seconds since 1970."""
    if isinstance(value, (int, float)):
        return datetime.fromtimestamp(value, UTC)
    return value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
