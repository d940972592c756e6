"""The order tracker: notes each event of a shard with its order, so that an order can be seen as a whole.

An observer: it tells no event, and no order waits for it.
"""

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from consumers.batching import BatchProcessor, BatchRules, Experience
from consumers.dead_letters import DeadLetters, SetsApart
from consumers.processing import ProcessorFactory, RecordProcessor, ShardAssignment, Unavailable, Unprocessable
from consumers.settings import ConsumerSettings
from events import TRACKER, SeenEvent, UnreadableEvent, read, seen, seen_event
from foundation.clock import SYSTEM_CLOCK, Clock
from foundation.diagnostics import Emit
from foundation.dynamodb import LeftUnread
from foundation.kinesis import Record
from foundation.threads import StartThread
from producers.assembly import tracked_orders
from producers.tracking import Contested, TimelineFull, TrackedOrder, TrackedOrders


def trackers(
    settings: ConsumerSettings, environ: Mapping[str, str], emit: Emit, _keys: object, letters: DeadLetters
) -> ProcessorFactory:
    """One for each shard; all of them share the table."""
    apart = SetsApart(TRACKER, letters, clock=SYSTEM_CLOCK, emit=emit)
    return tracking(tracked_orders(environ), settings.rules, apart=apart, clock=SYSTEM_CLOCK)


def tracking(
    orders: TrackedOrders,
    rules: BatchRules,
    *,
    apart: SetsApart,
    clock: Clock,
    thread: StartThread = threading.Thread,
) -> ProcessorFactory:
    # Whatever the age of an event, its order has it.
    rules, experience = replace(rules, max_record_age=None), Experience()

    def factory(assignment: ShardAssignment) -> RecordProcessor:
        handler = OrderEvents(orders, assignment.shard_name)
        return BatchProcessor(
            handler, assignment, rules, apart=apart, clock=clock, experience=experience, thread=thread
        )

    return factory


@dataclass(frozen=True)
class SeenOfOrder:
    """An event on the stream, and the order that it is of."""

    order_id: str
    event: SeenEvent


class OrderEvents:
    """The `RecordHandler` of one shard: joins what a batch tells of an order to what is known of it, by one write."""

    def __init__(self, orders: TrackedOrders, shard_name: str) -> None:
        self._orders = orders
        self._shard_name = shard_name
        self._there: dict[str, TrackedOrder] = {}

    def hear(self, record: Record) -> SeenOfOrder | None:
        try:
            header, event = read(record.data)
        # guarantee: the tracker leaves what is no event to those that set it apart
        except UnreadableEvent:
            return None
        noted = seen_event(
            header,
            event,
            arrived_at=record.arrived_at,
            shard=self._shard_name,
            sequence=record.number,
            sub=record.sub,
        )
        return SeenOfOrder(header.order_id, noted)

    def order_of(self, heard: SeenOfOrder) -> str:
        return heard.order_id

    def recall(self, heard: Sequence[SeenOfOrder]) -> None:
        try:
            self._there = self._orders.get_many([one.order_id for one in heard])
        except LeftUnread as error:
            raise Unavailable(str(error)) from error

    def handle(self, heard: Sequence[SeenOfOrder]) -> None:
        """All of them again is harmless, so none is named that failed."""
        by_order: dict[str, list[SeenEvent]] = {}
        for one in heard:
            by_order.setdefault(one.order_id, []).append(one.event)
        for order_id, events in by_order.items():
            try:
                # guarantee: what is tracked is stored before the tracker's checkpoint
                self._orders.join(order_id, seen(events), self._there.get(order_id))
            except TimelineFull as error:
                raise Unprocessable(str(error)) from error
            except Contested as error:
                raise Unavailable(str(error)) from error
