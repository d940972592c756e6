"""Puts events on the stream: batched, in order per partition key, answered only with what Kinesis acknowledged.

One thread sends, one request is in flight, with one record a key: what is refused is sent again before its successors.
"""

import os
import random
import threading
from collections.abc import Iterable
from concurrent import futures
from concurrent.futures import Future
from datetime import timedelta
from itertools import zip_longest
from typing import TYPE_CHECKING, Self

from botocore.exceptions import BotoCoreError, ClientError

from events.envelope import EventEnvelope, partition_key
from events.orders import Event
from events.wire import encode
from foundation.clock import Clock, Wait
from foundation.diagnostics import Emit
from producers.diagnostics import EntriesRejected, PutRecordsFailed, RecordsGivenUp
from producers.lanes import MAX_REQUEST_ENTRIES, Lanes, Published, Waiting, unsendable

if TYPE_CHECKING:
    from mypy_boto3_kinesis import KinesisClient
    from mypy_boto3_kinesis.type_defs import PutRecordsResultEntryTypeDef

MAX_QUEUED_RECORDS = 10_000
MAX_QUEUED_BYTES = 64 * 1024 * 1024

FIRST_BACKOFF = 0.05
LONGEST_BACKOFF = 2.0
# While some lanes back off, how soon records of other lanes are noticed. Seconds.
LONGEST_PAUSE = 0.05


class PublishFailed(Exception):
    """This event was not acknowledged. It may be on the stream all the same; publishing it again is harmless."""


class PublisherClosed(RuntimeError):
    """Published after `close`, or after the sending thread died."""


class PublisherForked(RuntimeError):
    """Used in a child of the process that made it: the sending thread stayed behind."""


class EventPublisher:
    """Publishes events from any thread. A context manager: leaving it waits until every event is answered.

    Callbacks of the futures run on the sending thread: they must be quick and must not publish.
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
        jitter: random.Random | None = None,
    ) -> None:
        self._client = client
        self._stream = stream
        self._clock = clock
        self._wait = wait
        self._emit = emit
        self._linger = linger.total_seconds()
        self._deliver_within = deliver_within.total_seconds()
        self._jitter = jitter or random.Random()
        self._failed_requests = 0
        self._lanes = Lanes()
        self._changed = threading.Condition()
        self._closing = False
        self._died_of: BaseException | None = None
        self._process = os.getpid()
        self._thread = threading.Thread(target=self._run, name=f"publisher-{stream}", daemon=True)
        self._thread.start()

    def publish(self, envelope: EventEnvelope[Event]) -> Future[Published]:
        """Queues an event; blocks while the queue is full. The future fails with `PublishFailed`."""
        record = Waiting(
            subject=f"{envelope.event_type} {envelope.event_id}",
            partition_key=partition_key(envelope),
            data=encode(envelope),
            give_up_at=self._clock.monotonic() + self._deliver_within,
        )
        # Nobody can cancel it: the record may be on its way.
        record.answer.set_running_or_notify_cancel()
        self._check_process()
        if reason := unsendable(record):
            record.answer.set_exception(PublishFailed(f"{record.subject} cannot be published: {reason}"))
            return record.answer
        with self._changed:
            self._changed.wait_for(lambda: self._closing or self._has_room())
            self._check_open()
            self._lanes.add(record)
            self._changed.notify_all()
        return record.answer

    def publish_all(self, envelopes: Iterable[EventEnvelope[Event]]) -> list[Future[Published]]:
        """Queues events in order; one future each."""
        return [self.publish(envelope) for envelope in envelopes]

    def flush(self, timeout: timedelta) -> None:
        """Waits until everything queued so far is answered, well or badly; raises TimeoutError when it is not."""
        self._check_process()
        with self._changed:
            waiting = [record.answer for record in self._lanes.all()]
        unanswered = futures.wait(waiting, timeout.total_seconds()).not_done
        if unanswered:
            raise TimeoutError(
                f"{len(unanswered)} of {len(waiting)} events for stream {self._stream} are unanswered after {timeout}. "
                "fix: see why Kinesis does not answer; their futures still will, by the delivery deadline"
            )

    def close(self) -> None:
        """Takes no more events, waits until all are answered, and ends the thread. Again is harmless."""
        self._check_process()
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self._thread.join()

    @property
    def alive(self) -> bool:
        """Whether events published now have a chance."""
        return self._thread.is_alive() and not self._closing

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _has_room(self) -> bool:
        return self._lanes.count < MAX_QUEUED_RECORDS and self._lanes.size < MAX_QUEUED_BYTES

    def _check_process(self) -> None:
        if os.getpid() != self._process:
            raise PublisherForked(
                f"made in process {self._process}, used in {os.getpid()}. fix: make one after the fork"
            )

    def _check_open(self) -> None:
        if self._closing:
            reason = f"its thread died of {self._died_of!r}" if self._died_of else "it was closed"
            raise PublisherClosed(
                f"the publisher of stream {self._stream} takes no events: {reason}. fix: make a new one"
            )

    # The sending thread.

    def _run(self) -> None:
        try:
            while self._gather():
                self._give_up_expired()
                self._send_due()
        except BaseException as error:
            self._died(error)
            raise

    def _gather(self) -> bool:
        """Waits for something to send, and a little longer for company; False when closed and all is answered."""
        with self._changed:
            was_idle = not self._lanes.count
            self._changed.wait_for(lambda: self._lanes.count or self._closing)
            if not self._lanes.count:
                return False
            lingers = was_idle and self._lanes.count < MAX_REQUEST_ENTRIES and not self._closing
        if lingers:
            self._wait(self._linger)
        return True

    def _give_up_expired(self) -> None:
        with self._changed:
            expired = self._lanes.expired(self._clock.monotonic())
        if not expired:
            return
        for record in expired:
            record.answer.set_exception(
                PublishFailed(
                    f"{record.subject} was not acknowledged by stream {self._stream} within {self._deliver_within:g} s "
                    f"and {record.attempts} attempts: {record.last_error}. It may be on the stream all the same. "
                    "fix: publish the same event again, its event_id makes a repeat harmless"
                )
            )
        self._remove(expired)
        self._emit(RecordsGivenUp(self._stream, len(expired), expired[0].last_error))

    def _send_due(self) -> None:
        now = self._clock.monotonic()
        with self._changed:
            records = self._lanes.due(now)
            pause = 0.0 if records or not self._lanes.count else min(self._lanes.next_due() - now, LONGEST_PAUSE)
        if pause:
            self._wait(pause)
        if not records:
            return
        for record in records:
            record.attempts += 1
        try:
            response = self._client.put_records(
                StreamName=self._stream,
                Records=[{"Data": record.data, "PartitionKey": record.partition_key} for record in records],
            )
        except (BotoCoreError, ClientError) as error:
            self._request_failed(records, error)
        else:
            self._failed_requests = 0
            # An answer without any is no KeyError that ends the thread, but one that acknowledges nothing.
            self._settle(records, response.get("Records") or [])

    def _request_failed(self, records: list[Waiting], error: Exception) -> None:
        """Nothing is known of any record; all stay where they are, and nothing else is tried meanwhile."""
        self._failed_requests += 1
        retry_in = self._backoff(self._failed_requests)
        for record in records:
            record.last_error = f"{type(error).__name__}: {error}"
        self._emit(PutRecordsFailed(self._stream, len(records), records[0].last_error, retry_in))
        self._wait(retry_in)

    def _settle(self, records: list[Waiting], results: "list[PutRecordsResultEntryTypeDef]") -> None:
        now = self._clock.monotonic()
        acknowledged: list[Waiting] = []
        rejected: list[Waiting] = []
        # Results come in the order of the entries; one that is missing tells nothing about its record.
        for record, result in zip_longest(records, results[: len(records)]):
            if result and "ErrorCode" not in result and "SequenceNumber" in result and "ShardId" in result:
                record.answer.set_result(Published(result["ShardId"], result["SequenceNumber"], record.attempts))
                acknowledged.append(record)
            else:
                record.last_error = _reason(result)
                record.not_before = now + self._backoff(record.attempts)
                rejected.append(record)
        self._remove(acknowledged)
        if rejected:
            codes = ", ".join(sorted({record.last_error.partition(":")[0] for record in rejected}))
            self._emit(EntriesRejected(self._stream, len(rejected), len(records), codes))

    def _remove(self, answered: list[Waiting]) -> None:
        """After the answer: what has left the lanes is answered, and `flush` relies on it."""
        with self._changed:
            for record in answered:
                self._lanes.settle(record)
            self._changed.notify_all()

    def _backoff(self, attempts: int) -> float:
        longest = min(FIRST_BACKOFF * 2.0 ** min(attempts - 1, 16), LONGEST_BACKOFF)
        return longest * self._jitter.uniform(0.5, 1)

    def _died(self, error: BaseException) -> None:
        """A defect of ours, or of the injected functions: nobody may wait for an answer that cannot come."""
        with self._changed:
            self._died_of = error
            self._closing = True
            waiting = self._lanes.all()
            self._lanes = Lanes()
            self._changed.notify_all()
        for record in waiting:
            if record.answer.done():
                continue
            failed = PublishFailed(f"{record.subject}: the publisher's thread died of {error!r}")
            record.answer.set_exception(failed)


def _reason(result: "PutRecordsResultEntryTypeDef | None") -> str:
    if not result:
        return "Unanswered: Kinesis answered fewer records than were sent"
    return f"{result.get('ErrorCode', 'Unanswered')}: {result.get('ErrorMessage', 'no sequence number or shard')}"
