"""Rows of the lake as readers see them: events, and the events of orders."""

import random
from collections.abc import Sequence
from datetime import UTC, timedelta
from itertools import count
from typing import Any

import pyarrow as pa

from analytics.table.schema import EVENT_SCHEMA, PARTITION_COLUMN
from tests.support.builders import NOON

_numbers = count(10**55)


def an_event(event_type: str, *, order_id: str = "order-1", after: float = 0.0, **changes: Any) -> dict[str, Any]:
    """A row of the lake: an event `after` seconds past noon, that arrived at once and behind all made before it."""
    occurred_at = changes.pop("occurred_at", NOON + timedelta(seconds=after))
    number = str(next(_numbers))
    row: dict[str, Any] = dict.fromkeys([*EVENT_SCHEMA.names, PARTITION_COLUMN.name])
    row |= {
        "event_id": f"{order_id}/{event_type}/{number}",
        "event_type": event_type,
        "schema_version": 1,
        "order_id": order_id,
        "occurred_at": occurred_at,
        "event_date": occurred_at.astimezone(UTC).date(),
        "cause": "cause",
        "traceparent": "00-0-0-01",
        "producer": "test",
        "_shard": "shardId-000000000000",
        "_sequence_number": number,
        "_sub_sequence_number": 0,
        "_arrived_at": occurred_at,
    }
    if event_type != "user_notified":
        row["restaurant_id"] = "restaurant-1"
    if event_type != "restaurant_notified":
        row["customer_id"] = "customer-1"
    if event_type == "order_placed":
        row |= {"total": 1900, "currency": "EUR", "city": "Utrecht"}
    if event_type == "order_completed":
        row |= {"total": 1900, "currency": "EUR"}
    if event_type == "order_rejected":
        row["reason"] = "too_busy"
    return row | changes


def an_order(*steps: str, order_id: str = "order-1", after: float = 0.0, **placed: Any) -> list[dict[str, Any]]:
    """The events of an order, ten seconds apart: `order_placed` with `placed` changed, then `steps`."""
    rows = [an_event("order_placed", order_id=order_id, after=after, **placed)]
    where = {"restaurant_id": placed["restaurant_id"]} if "restaurant_id" in placed else {}
    for position, step in enumerate(steps, start=1):
        changes = {} if step == "user_notified" else where
        rows.append(an_event(step, order_id=order_id, after=after + 10 * position, **changes))
    return rows


GOOD = ("restaurant_notified", "order_accepted", "user_notified", "order_completed")


def a_table(rows: Sequence[dict[str, Any]]) -> pa.Table:
    return pa.Table.from_pylist(list(rows), schema=EVENT_SCHEMA.append(PARTITION_COLUMN))


CITIES = (("Utrecht", "EUR"), ("Berlin", "EUR"), ("London", "GBP"), ("Kyoto", "JPY"))


def some_orders(orders: int = 300, seed: int = 7) -> list[dict[str, Any]]:
    """Orders over three hours that stop anywhere, with made-up waiting times; in no order."""
    chance = random.Random(seed)
    rows: list[dict[str, Any]] = []
    for number in range(orders):
        city, currency = chance.choice(CITIES)
        order_id, after = f"order-{number:03}", chance.uniform(0, 3 * 3600)
        where = {"restaurant_id": f"restaurant-{chance.randrange(20)}"}
        placed = {"city": city, "currency": currency, "total": chance.randrange(1, 9999)} | where
        rows.append(an_event("order_placed", order_id=order_id, after=after, **placed))
        for step in GOOD:
            after += chance.expovariate(1 / 300)
            if chance.random() < 0.1:
                break
            if step == "order_accepted" and chance.random() < 0.2:
                reason = chance.choice(["closed", "too_busy", "other"])
                rows.append(an_event("order_rejected", order_id=order_id, after=after, reason=reason, **where))
                break
            changes = {} if step == "user_notified" else where
            rows.append(an_event(step, order_id=order_id, after=after, **changes))
    chance.shuffle(rows)
    return rows
