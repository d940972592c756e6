"""What the archive benchmarks read: GetRecords' answers, as bytes, with the flow of simulated orders in them."""

import base64
import heapq
import json
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path

from events.envelope import EventEnvelope, first, following
from events.orders import Event, OrderAccepted, OrderCompleted, OrderPlaced, RestaurantNotified, UserNotified
from events.wire import encode
from producers.load.scenario import IntendedOrder, orders

RECORDS_AN_ANSWER = 10_000
BEGIN = datetime(2026, 3, 1, tzinfo=UTC)
_NAMESPACE = uuid.UUID(int=1)


def events(rate: float, seed: int = 7) -> Iterator[tuple[datetime, bytes]]:
    """Events without end, in the order of their time, of `rate` orders a second: five for each order."""
    waiting: list[tuple[datetime, int, bytes]] = []
    number = 0
    for order in orders(seed, rate):
        placed_at = BEGIN + order.offset
        while waiting and waiting[0][0] <= placed_at:
            happened_at, _, body = heapq.heappop(waiting)
            yield happened_at, body
        for envelope in _flow(order, placed_at):
            number += 1
            heapq.heappush(waiting, (envelope.occurred_at, number, encode(envelope)))


def write_answers(folder: Path, count: int, rate: float) -> list[Path]:
    """GetRecords' answers of one shard with so many records."""
    source = enumerate(islice(events(rate), count))
    files: list[Path] = []
    while records := list(islice(source, RECORDS_AN_ANSWER)):
        entries = [
            {
                "SequenceNumber": f"{49_600_000_000_000_000_000_000_000_000_000_000_000_000_000_000_000_000_000 + at}",
                "ApproximateArrivalTimestamp": happened_at.timestamp(),
                "Data": base64.b64encode(body).decode(),
                "PartitionKey": "order",
            }
            for at, (happened_at, body) in records
        ]
        answer = {"Records": entries, "MillisBehindLatest": 1, "NextShardIterator": "next"}
        files.append(folder / f"{len(files):06d}.json")
        files[-1].write_text(json.dumps(answer))
    return files


def _flow(order: IntendedOrder, placed_at: datetime) -> Iterator[EventEnvelope[Event]]:
    body = order.body
    total = sum(item.quantity * item.unit_price for item in body.items)
    placed = first(
        OrderPlaced(
            customer_id=order.customer_id,
            customer_name=body.customer_name,
            customer_email=body.customer_email,
            restaurant_id=body.restaurant_id,
            items=tuple(body.items),
            total=total,
            currency=body.currency,
            city=body.city,
        ),
        order_id=order.order_id,
        cause=str(uuid.uuid5(_NAMESPACE, order.idempotency_key)),
        occurred_at=placed_at,
        producer="orders-api",
    )
    yield placed
    ticket = RestaurantNotified(restaurant_id=body.restaurant_id, channel="sns", message_id=_message(placed))
    notified = following(placed, ticket, occurred_at=placed_at + timedelta(seconds=1.3), producer="restaurant_notifier")
    yield notified
    accepted_at = placed_at + order.kitchen.answer_after
    accepted = following(
        notified,
        OrderAccepted(
            restaurant_id=body.restaurant_id,
            customer_id=order.customer_id,
            customer_name=body.customer_name,
            customer_email=body.customer_email,
            ready_at=accepted_at + timedelta(minutes=25),
        ),
        occurred_at=accepted_at,
        producer="restaurant",
    )
    yield accepted
    mail = UserNotified(customer_id=order.customer_id, channel="ses", message_id=_message(accepted))
    yield following(accepted, mail, occurred_at=accepted_at + timedelta(seconds=0.7), producer="user_notifier")
    completed = OrderCompleted(
        restaurant_id=body.restaurant_id, customer_id=order.customer_id, total=total, currency=body.currency
    )
    yield following(
        accepted, completed, occurred_at=accepted_at + timedelta(minutes=27, seconds=3), producer="restaurant"
    )


def _message(heard: EventEnvelope[Event]) -> str:
    return str(uuid.uuid5(_NAMESPACE, heard.event_id))
