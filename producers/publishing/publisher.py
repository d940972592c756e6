"""Puts events on the stream: aggregated by shard, in order per partition key, answered only with what Kinesis did.

Any thread publishes; one thread sends, and it alone touches lanes and futures: see `producers.publishing.sender`.
"""

import os
import random
import threading
from collections.abc import Iterable, Sequence
from datetime import timedelta
from itertools import islice
from typing import TYPE_CHECKING, Self

from events import EncodedEvent, Event, EventEnvelope, encode, partition_key
from foundation.clock import Clock, Wait
from foundation.diagnostics import Emit
from foundation.kinesis import AGGREGATE_BYTES
from producers.publishing.publication import Publication, Published, PublishFailed
from producers.publishing.quota import KINESIS_QUOTA, Quota
from producers.publishing.sender import Sender

if TYPE_CHECKING:
    from mypy_boto3_kinesis import KinesisClient

__all__ = ["EventPublisher", "PublishFailed", "Published", "PublisherClosed", "PublisherForked", "RecordPublisher"]

MAX_QUEUED_RECORDS = 50_000
MAX_QUEUED_BYTES = 16 * 1024 * 1024

# How much is queued at a time, so that the bounds hold, and the shortest nap of the sending thread, in seconds.
_QUEUED_AT_ONCE = 1000
_QUEUED_BYTES_AT_ONCE = 1024 * 1024
_SHORTEST_PAUSE = 0.001


class PublisherClosed(RuntimeError):
    """Published after `close`, or after the sending thread died."""


class PublisherForked(PublisherClosed):
    """Used in a child of the process that made it: the sending thread stayed behind."""


class RecordPublisher:
    """Publishes records from any thread. A context manager: leaving it waits until every record is answered.

    `linger` is how long a record waits for company when nothing else is under way, and `deliver_within` when it is
    given up. What waits is bounded: who publishes more is held back. `allow_unordered` has plain records published to a
    stream that spreads them over its shards by itself.
    """

    def __init__(
        self,
        client: "KinesisClient",
        stream: str,
        *,
        clock: Clock,
        wait: Wait,
        emit: Emit,
        linger: timedelta = timedelta(milliseconds=5),
        deliver_within: timedelta = timedelta(seconds=60),
        quota: Quota = KINESIS_QUOTA,
        jitter: random.Random | None = None,
        allow_unordered: bool = False,
    ) -> None:
        self._stream = stream
        self._clock = clock
        self._wait = wait
        self._linger = linger.total_seconds()
        self._deliver_within = deliver_within.total_seconds()
        self._sender = Sender(
            client,
            stream,
            quota=quota,
            clock=clock,
            emit=emit,
            jitter=jitter or random.Random(),
            answered=self._forget,
            allow_unordered=allow_unordered,
        )
        self._changed = threading.Condition()
        self._incoming: list[Publication] = []
        self._flushes: list[_Flush] = []
        # Of all that is not answered yet.
        self._count = 0
        self._bytes = 0
        self._closing = False
        self._died_of: BaseException | None = None
        self._process = os.getpid()
        self._thread = threading.Thread(target=self._run, name=f"publisher-{stream}", daemon=True)
        self._thread.start()

    def put(self, records: Sequence[Publication]) -> None:
        """Queues records in order; blocks while the queue is full. Each is its own future."""
        self._check_process()
        size = sum([len(record.data) for record in records])
        if len(records) > 1 and (size > _QUEUED_BYTES_AT_ONCE or len(records) > _QUEUED_AT_ONCE):
            half = len(records) // 2
            self.put(records[:half])
            self.put(records[half:])
            return
        with self._changed:
            if not self._has_room():
                self._changed.wait_for(lambda: self._closing or self._has_room())
            self._check_open()
            give_up_at = self._clock.monotonic() + self._deliver_within
            for record in records:
                record.give_up_at = give_up_at
            self._incoming += records
            self._count += len(records)
            self._bytes += size
            if len(self._incoming) == len(records):
                self._changed.notify_all()

    def flush(self, timeout: timedelta) -> None:
        """Waits until everything queued so far is answered, well or badly; raises TimeoutError when it is not."""
        self._check_process()
        until = self._clock.monotonic() + timeout.total_seconds()
        flush = _Flush()
        with self._changed:
            queued = waiting = self._count
            if not waiting:
                return
            self._flushes.append(flush)
            self._changed.notify_all()
        if flush.seen.wait(timeout.total_seconds()):
            waiting = 0
            for record in flush.waiting:
                try:
                    record.exception(max(0.0, until - self._clock.monotonic()))
                except TimeoutError:
                    waiting += 1
        if waiting:
            raise TimeoutError(
                f"{waiting} of {queued} events for stream {self._stream} are unanswered after {timeout}. "
                "fix: see why Kinesis does not answer; their futures still will, by the delivery deadline"
            )

    def close(self) -> None:
        """Takes no more records, waits until all are answered, and ends the thread. Again is harmless."""
        self._check_process()
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self._thread.join()

    @property
    def alive(self) -> bool:
        """Whether what is published now has a chance."""
        return self._thread.is_alive() and not self._closing

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _has_room(self) -> bool:
        return self._count < MAX_QUEUED_RECORDS and self._bytes < MAX_QUEUED_BYTES

    def _check_process(self) -> None:
        if os.getpid() != self._process:
            raise PublisherForked(
                f"made in process {self._process}, used in {os.getpid()}. fix: make one after the fork"
            )

    def _check_open(self) -> None:
        if self._closing:
            reason = (
                f"its thread died of {type(self._died_of).__name__}: {self._died_of}"
                if self._died_of
                else "it was closed"
            )
            raise PublisherClosed(
                f"the publisher of stream {self._stream} takes no events: {reason}. fix: make a new one"
            )

    # The sending thread.

    def _run(self) -> None:
        try:
            # The shards and a connection, before anybody waits for them.
            self._sender.step()
            while self._gather():
                pause = self._sender.step()
                if pause:
                    # Another lane's record is to be seen as soon as if nothing were held up.
                    self._wait(min(pause, max(self._linger, _SHORTEST_PAUSE)))
        except BaseException as error:
            self._died(error)
            raise

    def _gather(self) -> bool:
        """Waits for something to send, and a little longer for company; False when closed and all is answered."""
        with self._changed:
            was_idle = not self._count
            self._changed.wait_for(lambda: self._count or self._closing or self._flushes)
            if not self._count:
                # All was answered between the asking and the hearing.
                flushes, self._flushes = self._flushes, []
                for flush in flushes:
                    flush.tell([])
                return not self._closing
            lingers = was_idle and self._bytes < AGGREGATE_BYTES and not self._closing
        if lingers:
            self._wait(self._linger)
        with self._changed:
            incoming, self._incoming = self._incoming, []
            flushes, self._flushes = self._flushes, []
        self._sender.take(incoming)
        for flush in flushes:
            flush.tell(self._sender.waiting())
        return True

    def _forget(self, answered: Sequence[Publication]) -> None:
        """After the answer: what is not counted any more is answered."""
        size = sum([len(record.data) for record in answered])
        with self._changed:
            was_full = not self._has_room()
            self._count -= len(answered)
            self._bytes -= size
            if was_full:
                self._changed.notify_all()

    def _died(self, error: BaseException) -> None:
        """A defect of ours, or of the injected functions: nobody may wait for an answer that cannot come."""
        with self._changed:
            self._died_of = error
            self._closing = True
            waiting = [*self._sender.waiting(), *self._incoming]
            flushes, self._flushes = self._flushes, []
            self._count = self._bytes = 0
            self._changed.notify_all()
        for record in waiting:
            if not record.done():
                why = f"the publisher of stream {self._stream} died of {type(error).__name__}: {error}"
                record.settle(
                    PublishFailed(f"{record.subject}: {why}. fix: restart the process, and report the defect")
                )
        for flush in flushes:
            flush.tell([])


class EventPublisher(RecordPublisher):
    """Publishes events from any thread: their records, under the order's key."""

    def publish(self, event: EventEnvelope[Event] | EncodedEvent[Event]) -> Publication:
        """Queues an event; blocks while the queue is full. The future fails with `PublishFailed`.

        One that is encoded already goes out as those bytes.
        """
        if isinstance(event, EncodedEvent):
            record = _record(event.envelope, event.data)
        else:
            record = _record(event, encode(event))
        self.put([record])
        return record

    def publish_all(self, envelopes: Iterable[EventEnvelope[Event]]) -> list[Publication]:
        """Queues events in order; one future each."""
        every: list[Publication] = []
        events = iter(envelopes)
        while some := [_record(envelope, encode(envelope)) for envelope in islice(events, _QUEUED_AT_ONCE)]:
            self.put(some)
            every += some
        return every


class _Flush:
    """Somebody who waits for all that is queued; the sending thread says what that is."""

    def __init__(self) -> None:
        self.seen = threading.Event()
        self.waiting: list[Publication] = []

    def tell(self, waiting: list[Publication]) -> None:
        self.waiting = waiting
        self.seen.set()


def _record(envelope: EventEnvelope[Event], data: bytes) -> Publication:
    subject = f"{envelope.event_type} {envelope.event_id}"
    return Publication(partition_key(envelope), data, subject)
