"""Orders as the tracker sees them, from events that arrive so many seconds after noon."""

from datetime import datetime, timedelta
from typing import Any

from events.timeline import OrderTimeline, SeenEvent, order_timeline, seen
from tests.support.builders import NOON


def after(seconds: float, event_type: str, cause: str = "key", **facts: Any) -> SeenEvent:
    return SeenEvent(
        event_id=event_type,
        event_type=event_type,
        occurred_at=NOON,
        cause=cause,
        arrived_at=NOON + timedelta(seconds=seconds),
        shard="shardId-000000000000",
        sequence=str(int(seconds * 10) + 1),
        **facts,
    )


def an_order(*events: SeenEvent, order_id: str = "order-1", speed: float = 1.0) -> OrderTimeline:
    return order_timeline(order_id, seen(events), speed=speed)


PLACING = after(0, "order_placed", customer_id="customer-1", restaurant_id="restaurant-1")
TOLD = after(3, "restaurant_notified", "order_placed")


def now(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)
