"""The order tracker: notes each event of a shard with its order, so that an order can be seen as a whole.

An observer: it tells no event, and no order waits for it. It also notes how far it has read the shard, for those that
judge by what is not there.
"""

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from botocore.exceptions import BotoCoreError, ClientError

from consumers.batching import BatchProcessor, BatchRules, Experience
from consumers.dead_letters import DeadLetters, SetsApart
from consumers.diagnostics import ReadUntilNotNoted
from consumers.processing import (
    ProcessorFactory,
    Progress,
    RecordProcessor,
    ShardAssignment,
    Unavailable,
    Unprocessable,
)
from consumers.settings import ConsumerSettings
from events import TRACKER, SeenEvent, SeenEvents, UnreadableEvent, read, seen, seen_event
from foundation.clock import SYSTEM_CLOCK, Clock
from foundation.diagnostics import Emit
from foundation.dynamodb import LeftUnread
from foundation.kinesis import Batch, Position, Record, position_key
from foundation.threads import StartThread
from producers.assembly import read_shards, tracked_orders
from producers.tracking import Contested, OrderUnreadable, ReadShards, TimelineFull, TrackedOrder, TrackedOrders

# How far a shard is read is noted that often at most, in seconds.
NOTED_EVERY = 2.0
# A batch with so many orders is stored by transactions. Single writes are some hundreds a second in one process: they
# would keep the tracker from what came in meanwhile, and its host with it.
MANY_ORDERS = 200


def trackers(
    settings: ConsumerSettings, environ: Mapping[str, str], emit: Emit, _keys: object, letters: DeadLetters
) -> ProcessorFactory:
    """One for each shard; all of them share the table."""
    apart = SetsApart(TRACKER, letters, clock=SYSTEM_CLOCK, emit=emit)
    orders, shards = tracked_orders(environ), read_shards(environ)
    return tracking(orders, settings.rules, apart=apart, clock=SYSTEM_CLOCK, shards=shards, emit=emit)


def tracking(
    orders: TrackedOrders,
    rules: BatchRules,
    *,
    apart: SetsApart,
    clock: Clock,
    shards: ReadShards,
    emit: Emit,
    thread: StartThread = threading.Thread,
) -> ProcessorFactory:
    # Whatever the age of an event, its order has it.
    rules, experience = replace(rules, max_record_age=None), Experience()

    def factory(assignment: ShardAssignment) -> RecordProcessor:
        handler = OrderEvents(orders, assignment.shard_name)
        processor = BatchProcessor(
            handler, assignment, rules, apart=apart, clock=clock, experience=experience, thread=thread
        )
        return NotesHowFar(processor, assignment.shard_id, shards, clock=clock, emit=emit)

    return factory


class NotesHowFar:
    """The `RecordProcessor` of one shard, which notes up to when all that came into the shard is done.

    That is when the last record came; at the tip, when the read began that found nothing behind it. Where an engine
    does not tell when it read, as the KCL and Lambda, it is known by the records alone.
    """

    def __init__(
        self, processor: RecordProcessor, shard_id: str, shards: ReadShards, *, clock: Clock, emit: Emit
    ) -> None:
        self._processor = processor
        self._shard_id = shard_id
        self._shards = shards
        self._clock = clock
        self._emit = emit
        self._given: Position = processor.resume_after
        self._until: datetime | None = None
        self._not_before = 0.0

    @property
    def resume_after(self) -> Position:
        return self._processor.resume_after

    def process(self, batch: Batch) -> Progress:
        progress = self._processor.process(batch)
        if batch.records:
            self._given = max(self._given, batch.records[-1].sequence_number, key=position_key)
            self._reached(batch.records[-1].arrived_at)
        if batch.asked_at is not None and batch.millis_behind_latest == 0:
            self._reached(batch.asked_at)
        return self._noted(progress)

    def flush(self) -> Progress:
        return self._noted(self._processor.flush())

    def _reached(self, until: datetime) -> None:
        self._until = max(self._until or until, until)

    def _noted(self, progress: Progress) -> Progress:
        """Progress is the same whether or not the note could be written: orders do not wait for it."""
        # guarantee: a shard is read no further than what of it is stored
        if position_key(progress.resume_after) < position_key(self._given):
            return progress
        if self._until is not None and self._clock.monotonic() >= self._not_before:
            self._not_before = self._clock.monotonic() + NOTED_EVERY
            try:
                self._shards.note(self._shard_id, self._until)
            except (BotoCoreError, ClientError) as error:
                self._emit(ReadUntilNotNoted(self._shard_id, error))
        return progress


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
        by_order = _by_order(heard)
        if len(by_order) >= MANY_ORDERS:
            self._there |= self._orders.join_many(by_order, self._there)

    def handle(self, heard: Sequence[SeenOfOrder]) -> None:
        """Writes what is not stored yet. All of them again is harmless, so none is named that failed."""
        for order_id, events in _by_order(heard).items():
            try:
                # guarantee: what is tracked is stored before the tracker's checkpoint
                self._orders.join(order_id, events, self._there.get(order_id))
            # guarantee: an order whose item cannot be read is set apart and holds up no other
            except (TimelineFull, OrderUnreadable) as error:
                raise Unprocessable(str(error)) from error
            except Contested as error:
                raise Unavailable(str(error)) from error


def _by_order(heard: Sequence[SeenOfOrder]) -> dict[str, SeenEvents]:
    events: dict[str, list[SeenEvent]] = {}
    for one in heard:
        events.setdefault(one.order_id, []).append(one.event)
    return {order_id: seen(of_it) for order_id, of_it in events.items()}
