"""Reads one shard by polling GetRecords."""

from collections.abc import Iterator
from random import Random
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from consumers.diagnostics import ReadThrottled
from consumers.engines.worker.reading.cursor import NOT_THERE, EndOfShard, ShardCursor
from consumers.engines.worker.reading.pacing import Pace
from consumers.engines.worker.settings import WorkerSettings
from foundation.backoff import pause_after
from foundation.clock import Clock, Moment, Wait
from foundation.diagnostics import Emit
from foundation.error_codes import error_code
from foundation.kinesis import Batch, Position, children_of, fetch

if TYPE_CHECKING:
    from mypy_boto3_kinesis import KinesisClient

_THROTTLED = frozenset({"ProvisionedThroughputExceededException", "LimitExceededException", "KMSThrottlingException"})
_EXPIRED = "ExpiredIteratorException"


class ShardReader:
    """A `BatchReader` that keeps to the application's share of what all who poll the shard have together.

    `kinesis` is a `decoding` client.
    """

    def __init__(
        self,
        kinesis: "KinesisClient",
        settings: WorkerSettings,
        cursor: ShardCursor,
        *,
        clock: Clock,
        wait: Wait,
        emit: Emit,
    ) -> None:
        self._kinesis = kinesis
        self._settings = settings
        self._shard_id = cursor.shard_id
        self._cursor = cursor
        self._pace = Pace(settings.reads_per_second, settings.read_bytes_per_second)
        # Each application and shard has its own sequence, the same one every time.
        self._chance = Random(f"{settings.application} {cursor.shard_id}")
        self._clock = clock
        self._wait = wait
        self._emit = emit
        self.end: EndOfShard | None = None

    @property
    def position(self) -> Position:
        return self._cursor.position

    @property
    def gap(self) -> Position | None:
        return self._cursor.gap

    def batches(self, after: Position) -> Iterator[Batch]:
        """Every record behind `after`, then new ones as they come; an empty batch when a read finds none."""
        self._cursor.begin(after)
        self.end = None
        iterator: str | None = None
        failures = 0
        while True:
            began = self._clock.monotonic()
            asked = Moment(self._clock.now(), began)
            try:
                iterator = iterator or self._iterator(asked)
                answer = fetch(self._kinesis, iterator, min(self._pace.limit, self._settings.read_records))
            except (ClientError, BotoCoreError) as error:
                code = error_code(error)
                if code == NOT_THERE and (end := self._cursor.end_of_gone(self._kinesis)):
                    self.end = end
                    return
                failures += 1
                # A bad iterator may show as an error of the server: only a throttled one is known to be good.
                iterator = iterator if code in _THROTTLED else None
                # guarantee: a bad iterator is not asked with again and again
                if not (code == _EXPIRED and failures == 1) and self._pause(code, error, failures):
                    return
                continue
            failures = 0
            size = sum([len(record.data) for record in answer.records])
            self._pace = self._pace.answered(len(answer.records), size)
            yield self._cursor.batch(answer.records, answer.millis_behind_latest, asked)
            iterator = answer.next_shard_iterator
            if iterator is None:
                self.end = EndOfShard(children_of(self._shard_id, answer.child_shards or ()))
                return
            next_at = began + self._pace.until_next(self._chance.random(), size)
            if self._wait(max(0.0, next_at - self._clock.monotonic())):
                return

    def _iterator(self, asked: Moment) -> str:
        where = self._cursor.start().parameters(kind="ShardIteratorType", number="StartingSequenceNumber")
        answer = self._kinesis.get_shard_iterator(StreamName=self._settings.stream, ShardId=self._shard_id, **where)
        self._cursor.started(asked)
        return answer["ShardIterator"]

    def _pause(self, code: str | None, error: Exception, failures: int) -> bool:
        if code in _THROTTLED:
            self._pace = self._pace.refused()
            pause = self._pace.until_next(self._chance.random())
            self._emit(ReadThrottled(self._shard_id, pause))
        else:
            pause = pause_after(failures)
            self._emit(self._cursor.failure(error, pause))
        return self._wait(pause)
