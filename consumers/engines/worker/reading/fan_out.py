"""Reads one shard by enhanced fan-out: Kinesis pushes what comes, 2 MB a second to each consumer of a shard."""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from botocore.eventstream import ParserError
from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError
from urllib3.exceptions import HTTPError

from consumers.engines.worker.reading.cursor import NOT_THERE, EndOfShard, ShardCursor
from consumers.engines.worker.reading.event_pump import Subscription, pumped
from consumers.engines.worker.reading.polling import ShardReader
from consumers.engines.worker.reading.stream_consumer import StreamConsumer
from consumers.engines.worker.settings import WorkerSettings
from foundation.backoff import pause_after
from foundation.clock import Clock, Moment, Wait
from foundation.diagnostics import Emit
from foundation.error_codes import error_code
from foundation.kinesis import Batch, Position, children_of, is_closed, pushed

if TYPE_CHECKING:
    from mypy_boto3_kinesis import KinesisClient

# A subscription lasts five minutes, and within five seconds of it no other one is let in.
# https://docs.aws.amazon.com/kinesis/latest/APIReference/API_SubscribeToShard.html
_AGAIN_SECONDS = 5.0

# What an event stream that breaks off raises: botocore leaves urllib3's own errors to those who listen.
_BROKEN = (ClientError, BotoCoreError, ResponseParserError, ParserError, HTTPError, OSError)

Event = dict[str, Any]
Listen = Callable[[Subscription[Event]], Iterator[Event | None]]


class FanOutReader:
    """A `BatchReader` that subscribes to its shard, and again whenever a subscription ends.

    `kinesis` is a `decoding` client, for the rest of a closed shard: some services end a subscription
    there without a word about children, and then only polling tells whether all was read.
    """

    def __init__(
        self,
        kinesis: "KinesisClient",
        settings: WorkerSettings,
        cursor: ShardCursor,
        consumer: StreamConsumer,
        *,
        clock: Clock,
        wait: Wait,
        emit: Emit,
        listen: Listen = pumped,
    ) -> None:
        self._kinesis = kinesis
        self._settings = settings
        self._cursor = cursor
        self._consumer = consumer
        self._clock = clock
        self._wait = wait
        self._emit = emit
        self._listen = listen
        self._continuation: str | None = None
        self._let_in_at = clock.monotonic()
        self.end: EndOfShard | None = None

    @property
    def position(self) -> Position:
        return self._cursor.position

    @property
    def gap(self) -> Position | None:
        return self._cursor.gap

    def batches(self, after: Position) -> Iterator[Batch]:
        """Every record behind `after`, then new ones as they come; an empty batch when Kinesis says there are none."""
        self._cursor.begin(after)
        self._continuation = None
        self.end = None
        failures = 0
        while not self._has_ended():
            asked = Moment.now(self._clock)
            heard, broken = False, None
            try:
                for batch in self._subscribed(asked):
                    if batch is not None:
                        heard = True
                        yield batch
                    if not self._has_ended() and self._wait(0):
                        return
            except _BROKEN as error:
                broken = error
            failures = (0 if heard else failures) + (broken is not None)
            pause = max(0.0, self._let_in_at - self._clock.monotonic())
            # Some services end the subscription to a closed shard in good order, again and again, and name no child.
            is_early = broken is not None or pause > 0
            if broken is not None:
                pause = max(pause, pause_after(failures))
                self._tell(broken, pause)
            if self._has_ended() or self._wait(pause):
                return
            if is_early and is_closed(self._kinesis, self._settings.stream, self._cursor.shard_id):
                yield from self._rest()
                return

    def _has_ended(self) -> bool:
        return self.end is not None

    def _tell(self, broken: Exception, pause: float) -> None:
        if error_code(broken) == NOT_THERE:
            self._consumer.forget()
            if end := self._cursor.end_of_gone(self._kinesis):
                self.end = end
                return
        self._emit(self._cursor.failure(broken, pause))

    def _subscribed(self, asked: Moment) -> Iterator[Batch | None]:
        """The batches of one subscription; None while nothing comes."""
        arn = self._consumer.arn(self._wait)
        if arn is None:
            return
        where: Any = self._cursor.start(self._continuation).parameters(kind="Type", number="SequenceNumber")
        answer: Any = self._kinesis.subscribe_to_shard(
            ConsumerARN=arn, ShardId=self._cursor.shard_id, StartingPosition=where
        )
        self._cursor.started(asked)
        self._let_in_at = self._clock.monotonic() + _AGAIN_SECONDS
        events = self._listen(answer["EventStream"])
        try:
            for event in events:
                yield None if event is None else self._batch(event, asked)
                if self._has_ended():
                    return
        finally:
            events.close()  # type: ignore[attr-defined]  # a generator

    def _batch(self, event: Event, asked: Moment) -> Batch:
        answer = pushed(event)
        batch = self._cursor.batch(answer.records, answer.millis_behind_latest, asked)
        self._continuation = event["SubscribeToShardEvent"].get("ContinuationSequenceNumber")
        if answer.child_shards:
            self.end = EndOfShard(children_of(self._cursor.shard_id, answer.child_shards))
        return batch

    def _rest(self) -> Iterator[Batch]:
        polling = ShardReader(
            self._kinesis, self._settings, self._cursor, clock=self._clock, wait=self._wait, emit=self._emit
        )
        # guarantee: a shard that only seems to have ended is read to its end
        yield from polling.batches(self.position)
        self.end = polling.end
