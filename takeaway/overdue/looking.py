"""Asks the tracker's table which orders are open, and reads some of them as far as the tracker has come. Reads only."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from events import OrderTimeline
from foundation.clock import Wait
from foundation.kinesis import listed_shards
from foundation.settings import from_environment, variable
from producers.settings import TrackerSettings
from producers.tracking import OPEN_KEYS, OpenOrder, ReadShards, TrackedOrders

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_kinesis import KinesisClient


@dataclass(frozen=True)
class FoundOpen:
    """All orders that are open, the oldest first; whether there are `more`."""

    orders: tuple[OpenOrder, ...] = ()
    more: bool = False


@dataclass(frozen=True)
class ReadOrders:
    """Orders that were read behind `reached`: all that came onto the stream by then is in them, if it is theirs.

    It is None where an open shard is not begun.
    """

    timelines: tuple[OrderTimeline, ...]
    reached: datetime | None


@dataclass(frozen=True)
class OpenLook:
    """`open_shards` names those that take records now. `speed` is that of simulated people."""

    tracked: TrackedOrders
    read_shards: ReadShards
    open_shards: Callable[[], Collection[str]]
    speed: float

    def open(self) -> FoundOpen:
        """A query for each part of all orders. Raises what DynamoDB answers."""
        found: list[OpenOrder] = []
        more = False
        for key in OPEN_KEYS:
            orders, others = self.tracked.open(key)
            found += orders
            more = more or others
        return FoundOpen(tuple(sorted(found, key=lambda one: (one.placed_at, one.order_id))), more)

    def read(self, order_ids: Sequence[str], now: datetime) -> ReadOrders:
        """A request for each hundred of them, one more, and a listing. Nothing is said of what comes after `now`.

        Raises what DynamoDB and Kinesis answer, and `LeftUnread`.
        """
        # Before the orders: one that was read earlier would lack what the tracker has read since.
        reached = self.read_shards.until(self.open_shards())
        found = self.tracked.get_many(order_ids)
        return ReadOrders(tuple(one.timeline for one in found.values()), min(now, reached) if reached else None)


def open_look(
    environ: Mapping[str, str],
    watcher: Mapping[str, str],
    *,
    dynamodb: "DynamoDBClient",
    kinesis: "KinesisClient",
    stream: str,
    wait: Wait,
) -> OpenLook:
    """`watcher` are the variables of the deadline watcher on this machine, if one runs: it may go by another speed.

    Raises `SettingsError` where `environ` leads to no tracker's table.
    """
    settings = from_environment(TrackerSettings, environ)
    told = {**watcher, **environ}.get(variable("speed"))
    speed = float(told) if told else settings.speed

    def open_shards() -> list[str]:
        return [shard.shard_id for shard in listed_shards(kinesis, stream) if not shard.closed]

    return OpenLook(
        TrackedOrders(dynamodb, settings.tracker_table, speed=speed, wait=wait),
        ReadShards(dynamodb, settings.tracker_table, wait=wait),
        open_shards,
        speed,
    )
