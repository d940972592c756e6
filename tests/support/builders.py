"""Events, records and batches with good defaults: a test names only what it is about."""

import hashlib
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

import msgspec
from aws_kinesis_agg import MAGIC
from aws_kinesis_agg.aggregator import RecordAggregator

from events.envelope import EventEnvelope, first, following
from events.orders import Event, Item, OrderAccepted, OrderCompleted, OrderPlaced, RestaurantNotified
from events.wire import encode
from foundation.kinesis.records import Batch, Position, Record, Sentinel
from producers.orders.requests import OrderItem

NOON = datetime(2026, 3, 14, 12, 0, tzinfo=UTC)


def an_item(**changes: Any) -> Item:
    return msgspec.structs.replace(Item(sku="sku-1", name="Margherita", quantity=2, unit_price=950), **changes)


def an_order_item(**changes: Any) -> OrderItem:
    return msgspec.structs.replace(OrderItem(sku="sku-1", name="Margherita", quantity=2, unit_price=950), **changes)


def an_order_placed(**changes: Any) -> OrderPlaced:
    placed = OrderPlaced(
        customer_id="customer-1",
        customer_name="Ada Lovelace",
        customer_email="ada@example.com",
        restaurant_id="restaurant-1",
        items=(an_item(),),
        total=1900,
        currency="EUR",
        city="Utrecht",
    )
    return msgspec.structs.replace(placed, **changes)


def an_order_accepted(**changes: Any) -> OrderAccepted:
    accepted = OrderAccepted(
        restaurant_id="restaurant-1",
        customer_id="customer-1",
        customer_name="Ada Lovelace",
        customer_email="ada@example.com",
        ready_at=datetime(2026, 3, 14, 12, 20, tzinfo=UTC),
    )
    return msgspec.structs.replace(accepted, **changes)


def an_order_completed(**changes: Any) -> OrderCompleted:
    completed = OrderCompleted(restaurant_id="restaurant-1", customer_id="customer-1", total=1900, currency="EUR")
    return msgspec.structs.replace(completed, **changes)


def an_envelope(
    event: Event | None = None, *, order_id: str = "order-1", cause: str = "key-1", occurred_at: datetime = NOON
) -> EventEnvelope[Event]:
    return first(
        event or an_order_placed(), order_id=order_id, cause=cause, occurred_at=occurred_at, producer="orders-api"
    )


def a_restaurant_notified(heard: EventEnvelope[Event]) -> EventEnvelope[RestaurantNotified]:
    notified = RestaurantNotified(restaurant_id="restaurant-1", channel="sns", message_id="message-1")
    return following(heard, notified, occurred_at=NOON, producer="restaurant_notifier")


def a_record(number: int | str = 1, *, data: bytes | None = None, sub: int = 0, order_id: str = "order-1") -> Record:
    return Record(
        number=str(number),
        sub=sub,
        partition_key=order_id,
        arrived=NOON.timestamp(),
        data=encode(an_envelope(order_id=order_id, cause=f"key-{number}-{sub}")) if data is None else data,
    )


def a_batch(*records: Record, after: Position = Sentinel.TRIM_HORIZON, shard_id: str = "shardId-000000000000") -> Batch:
    return Batch(stream="orders", shard_id=shard_id, after=after, records=records, millis_behind_latest=0)


def packed(data: Iterable[bytes], key: str) -> bytes:
    """One aggregated record's bytes."""
    return packed_by_key((key, each) for each in data)


def packed_by_key(records: Iterable[tuple[str, bytes]]) -> bytes:
    """One aggregated record's bytes, of records with keys of their own."""
    aggregator = RecordAggregator()
    for key, data in records:
        aggregator.add_user_record(key, data)
    _, _, packed_data = aggregator.clear_and_get().get_contents()
    return bytes(packed_data)


def with_field(name: str, raw: bytes) -> bytes:
    """An event's bytes with one more field, whose value is these bytes as they are."""
    return encode(an_envelope())[:-1] + f',"{name}":'.encode() + raw + b"}"


def nested(depth: int, opening: bytes = b"[", closing: bytes = b"]") -> bytes:
    """JSON that deep: lists, or objects that open with `{"a":`."""
    return opening * depth + (b"" if opening == b"[" else b"1") + closing * depth


def an_aggregate_of(message: bytes) -> bytes:
    """These bytes between the magic and their digest."""
    return MAGIC + message + hashlib.md5(message, usedforsecurity=False).digest()


def a_field(number: int, content: bytes) -> bytes:
    """A protobuf field of short bytes: its number and kind, their length, and they."""
    return bytes([number << 3 | 2, len(content)]) + content


def a_message(key: bytes = b"k1", hash_key: bytes = b"17", data: bytes = b"hi") -> bytes:
    """One key, one hash key and one record of theirs, of any bytes, as writers in other languages may pack them."""
    inner = bytes([1 << 3, 0, 2 << 3, 0]) + a_field(3, data)
    return a_field(1, key) + a_field(2, hash_key) + a_field(3, inner)
