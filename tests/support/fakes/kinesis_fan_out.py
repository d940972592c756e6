"""Enhanced fan-out of the Kinesis in memory: registered consumers, and subscriptions that are pushed to."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from botocore.exceptions import EventStreamError
from urllib3.exceptions import ProtocolError

from tests.support.fakes.kinesis_stream import MEBIBYTE, Shard

if TYPE_CHECKING:
    from tests.support.fakes.kinesis import FakeKinesis

Answer = dict[str, Any]

# https://docs.aws.amazon.com/kinesis/latest/APIReference/API_SubscribeToShard.html
SUBSCRIPTION_SECONDS = 300.0
TAKE_OVER_SECONDS = 5.0
CREATING_SECONDS = 3.0
EVENT_BYTES = MEBIBYTE


@dataclass
class _Consumer:
    stream: str
    name: str
    arn: str
    created_at: datetime
    active_at: float
    subscriptions: dict[str, "FakeSubscription"] = field(default_factory=dict)

    def described(self, now: float) -> Answer:
        return {
            "ConsumerName": self.name,
            "ConsumerARN": self.arn,
            "ConsumerStatus": "ACTIVE" if now >= self.active_at else "CREATING",
            "ConsumerCreationTimestamp": self.created_at,
        }


class FanOut:
    """What FakeKinesis answers to the operations of fan-out. The ends and `break_all` are for tests."""

    def __init__(self, kinesis: "FakeKinesis") -> None:
        self._kinesis = kinesis
        self._consumers: dict[str, _Consumer] = {}
        # As some emulators do: the subscription breaks at the shard's end, and no child is named.
        self.silent_ends = False
        # And as others do: it ends in good order, and no child is named.
        self.polite_ends = False
        self.subscriptions: list[FakeSubscription] = []

    def break_all(self, error: Exception) -> None:
        """Every connection breaks when its next event is waited for."""
        for subscription in self.subscriptions:
            subscription.broken = error

    def register(self, StreamARN: str, ConsumerName: str) -> Answer:  # noqa: N803
        operation = "register_stream_consumer"
        stream = self._kinesis.stream_named(operation, _name(StreamARN))
        if self._find(stream.name, ConsumerName):
            raise self._kinesis.error(operation, "ResourceInUseException", f"Consumer {ConsumerName} exists.")
        now, clock = self._kinesis.clock.now(), self._kinesis.clock
        arn = f"{StreamARN}/consumer/{ConsumerName}:{int(now.timestamp())}"
        active_at = clock.monotonic() + CREATING_SECONDS
        self._consumers[arn] = _Consumer(stream.name, ConsumerName, arn, now, active_at)
        return {"Consumer": self._consumers[arn].described(clock.monotonic())}

    def describe(self, StreamARN: str, ConsumerName: str) -> Answer:  # noqa: N803
        consumer = self._find(_name(StreamARN), ConsumerName)
        if consumer is None:
            message = f"Consumer {ConsumerName} not found."
            raise self._kinesis.error("describe_stream_consumer", "ResourceNotFoundException", message)
        described = consumer.described(self._kinesis.clock.monotonic())
        return {"ConsumerDescription": described | {"StreamARN": StreamARN}}

    def deregister(self, StreamARN: str, ConsumerName: str) -> Answer:  # noqa: N803
        self.describe(StreamARN, ConsumerName)
        self._consumers = {
            arn: each
            for arn, each in self._consumers.items()
            if (each.stream, each.name) != (_name(StreamARN), ConsumerName)
        }
        return {}

    def subscribe(self, ConsumerARN: str, ShardId: str, StartingPosition: Answer) -> Answer:  # noqa: N803
        operation = "subscribe_to_shard"
        now = self._kinesis.clock.monotonic()
        if ConsumerARN not in self._consumers:
            raise self._kinesis.error(operation, "ResourceNotFoundException", f"Consumer {ConsumerARN} not found.")
        consumer = self._consumers[ConsumerARN]
        stream = self._kinesis.stream_named(operation, consumer.stream)
        shard = self._kinesis.shard_named(operation, stream, ShardId)
        if now < consumer.active_at:
            raise self._kinesis.error(operation, "ResourceInUseException", f"Consumer {ConsumerARN} is not ACTIVE.")
        other = consumer.subscriptions.get(ShardId)
        if other is not None and now - other.started_at < TAKE_OVER_SECONDS:
            message = f"Another active subscription exists for {ConsumerARN} and {ShardId}."
            raise self._kinesis.error(operation, "ResourceInUseException", message)
        if other is not None:
            other.broken = EventStreamError({"Error": {"Code": "ResourceInUseException"}}, "SubscribeToShard")
        kind, number = StartingPosition["Type"], StartingPosition.get("SequenceNumber")
        offset = self._kinesis.offset_of(operation, shard, kind, number, StartingPosition.get("Timestamp"))
        subscription = FakeSubscription(self._kinesis, self, shard, offset, now)
        consumer.subscriptions[ShardId] = subscription
        self.subscriptions.append(subscription)
        return {"EventStream": subscription}

    def _find(self, stream: str, name: str) -> _Consumer | None:
        return next((each for each in self._consumers.values() if (each.stream, each.name) == (stream, name)), None)


class FakeSubscription:
    """botocore's EventStream of one subscription. Where Kinesis keeps silent, it says at once that nothing came."""

    def __init__(self, kinesis: "FakeKinesis", fan_out: FanOut, shard: Shard, offset: int, started_at: float) -> None:
        self.started_at = started_at
        self.broken: Exception | None = None
        self.closed = False
        self._kinesis = kinesis
        self._fan_out = fan_out
        self._shard = shard
        self._offset = offset
        self._last = shard.records[offset - 1]["SequenceNumber"] if offset else shard.first_number

    def close(self) -> None:
        self.closed = True

    def __iter__(self) -> Iterator[Answer]:
        while self._kinesis.clock.monotonic() - self.started_at < SUBSCRIPTION_SECONDS:
            if self.broken is not None:
                raise self.broken
            with self._kinesis.lock:
                event, ended = self._next(), self._has_ended()
            if ended and self._fan_out.silent_ends and not event["Records"]:
                raise ProtocolError("Response ended prematurely")
            if ended and self._fan_out.polite_ends and not event["Records"]:
                return
            if ended and not (self._fan_out.silent_ends or self._fan_out.polite_ends):
                event["ChildShards"] = [child.described_as_child() for child in self._shard.children]
            yield {"SubscribeToShardEvent": event}
            if "ChildShards" in event:
                return

    def _next(self) -> Answer:
        records: list[Answer] = []
        size = 0
        self._offset = max(self._offset, self._shard.trimmed)
        for record in self._shard.records[self._offset :]:
            size += len(record["Data"])
            if records and size > EVENT_BYTES:
                break
            records.append(dict(record))
        self._offset += len(records)
        if records:
            self._last = records[-1]["SequenceNumber"]
        left = len(self._shard.records) - self._offset
        return {"Records": records, "ContinuationSequenceNumber": self._last, "MillisBehindLatest": 1000 if left else 0}

    def _has_ended(self) -> bool:
        return self._shard.closed_at is not None and self._offset >= len(self._shard.records)


def arn_of(stream: str) -> str:
    return f"arn:aws:kinesis:us-east-1:000000000000:stream/{stream}"


def _name(stream_arn: str) -> str:
    return stream_arn.rpartition("/")[2]
