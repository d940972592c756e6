"""An order of the tracker as an item of its table: what was seen of it, and what it is looked up by."""

import zlib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING

import msgspec

from events import FINAL, TRACKER, OrderTimeline, SeenEvents, order_timeline
from producers.tracking.deadlines import Deadline, open_deadlines

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mypy_boto3_dynamodb.type_defs import AttributeValueTypeDef, UniversalAttributeValueTypeDef

    Item = Mapping[str, AttributeValueTypeDef]

# An item has at most 400 KB (AWS DynamoDB API reference); the rest is for the attributes beside.
MOST_BYTES = 350_000
# The parts of all orders, and of those that are due: no single key takes all writes.
PARTS = 16
# After its last event.
KEPT = timedelta(days=90)

_EPOCH = NEVER_SEEN = datetime(1970, 1, 1, tzinfo=UTC)
NOTHING = SeenEvents()
_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(SeenEvents)


class TimelineFull(Exception):
    """What was seen of an order does not fit into an item: its events have ids of a size that only garbage has."""


class OrderUnreadable(Exception):
    """An item of the table is no order, as far as this release can read."""


@dataclass(frozen=True)
class TrackedOrder:
    """What is known of an order, as the `version`th write of its item left it; none has been for 0.

    `speed` is that of simulated people, by which deadlines go. The item goes at `expires_at`. `settled` holds the marks
    of deadlines that something was done about.
    """

    order_id: str
    known: SeenEvents = NOTHING
    version: int = 0
    speed: float = 1.0
    expires_at: datetime = NEVER_SEEN
    settled: bytes = b""

    @cached_property
    def timeline(self) -> OrderTimeline:
        return order_timeline(self.order_id, self.known, speed=self.speed)

    @cached_property
    def deadlines(self) -> tuple[Deadline, ...]:
        """What has to happen by when, the soonest first, as far as nothing was done about it yet."""
        return open_deadlines(self.timeline, self.settled)


def part_of(order_id: str) -> int:
    """Which of the `PARTS` of all orders this one is in."""
    return zlib.crc32(order_id.encode()) % PARTS


def micros(moment: datetime) -> str:
    """Since the epoch: DynamoDB compares numbers, and knows no times."""
    return str((moment - _EPOCH) // timedelta(microseconds=1))


def moment(since_epoch: str) -> datetime:
    return _EPOCH + timedelta(microseconds=int(since_epoch))


def position(placed_at: datetime, order_id: str) -> str:
    """Sorts orders by when they were placed, and no two alike. What a clock says before 1970 is 1970."""
    return f"{max(0, int(micros(placed_at))):018d}/{order_id}"


def placed_of(at: str) -> datetime:
    return moment(at.partition("/")[0])


def to_item(order: TrackedOrder) -> "dict[str, UniversalAttributeValueTypeDef]":
    """Raises `TimelineFull`."""
    known = zlib.compress(_encoder.encode(order.known))
    if len(known) > MOST_BYTES:
        raise TimelineFull(
            f"{order.known.count} events of one order take {len(known):,} bytes, and an item has room for "
            f"{MOST_BYTES:,}. fix: find out which producer writes ids of that size"
        )
    timeline = order.timeline
    # An order that nobody placed, as far as was seen, begins with what was seen first.
    placed_at = timeline.placed_at or timeline.events[0].arrived_at
    item: dict[str, UniversalAttributeValueTypeDef] = {
        "order_id": {"S": order.order_id},
        "version": {"N": str(order.version)},
        "known": {"B": known},
        "state": {"S": timeline.order_state},
        "listed_as": {"S": position(placed_at, order.order_id)},
        "all_key": {"N": str(part_of(order.order_id))},
        "expires_at": {"N": str(int(order.expires_at.timestamp()))},
    }
    for name, value in (("customer_id", timeline.customer_id), ("restaurant_id", timeline.restaurant_id)):
        if value:
            item[name] = {"S": value}
    if order.settled:
        item["settled"] = {"B": order.settled}
    # guarantee: an order is open until it has its end and waits for nothing
    if timeline.order_state not in FINAL or timeline.waits_for:
        item["open_key"] = {"N": str(part_of(order.order_id))}
    # guarantee: an order is due while it waits for something by a deadline
    if order.deadlines:
        item |= {"due_key": {"N": str(part_of(order.order_id))}, "due_at": {"N": micros(order.deadlines[0].due)}}
    return item


def from_item(item: "Item", speed: float) -> TrackedOrder:
    """Raises `OrderUnreadable`."""
    try:
        return TrackedOrder(
            item["order_id"]["S"],
            _decoder.decode(zlib.decompress(bytes(item["known"]["B"]))),
            int(item["version"]["N"]),
            speed,
            datetime.fromtimestamp(int(item["expires_at"]["N"]), UTC),
            bytes(item["settled"]["B"]) if "settled" in item else b"",
        )
    except (LookupError, ValueError, OverflowError, OSError, zlib.error, msgspec.MsgspecError) as error:
        raise OrderUnreadable(
            f"the tracker's item of order {item['order_id']['S']} cannot be read: {type(error).__name__}. fix: "
            f"`takeaway replay {TRACKER}` makes it anew; then `takeaway dlq redrive --consumer {TRACKER}`"
        ) from error
