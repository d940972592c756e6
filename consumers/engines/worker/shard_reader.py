"""Reads one shard by polling GetRecords: every record behind a position, in order, as batches."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from consumers.diagnostics import AggregateDropped, ReadFailed, ReadThrottled, RecordsTrimmed, ShardGone
from consumers.engines.worker.lease import HashKeyRange, position_text
from consumers.engines.worker.lease_plan import Shard
from consumers.engines.worker.settings import WorkerSettings, pause_after
from consumers.engines.worker.shard_list import children_of, listed_shards
from consumers.engines.worker.user_records import is_stray, unpack
from consumers.records import Batch, Position, Record, Sentinel, SequenceNumber, position_key
from foundation.clock import Clock, Wait
from foundation.diagnostics import Emit

if TYPE_CHECKING:
    from mypy_boto3_kinesis import KinesisClient
    from mypy_boto3_kinesis.type_defs import GetRecordsOutputTypeDef, RecordTypeDef

_THROTTLED = frozenset({"ProvisionedThroughputExceededException", "LimitExceededException", "KMSThrottlingException"})
_EXPIRED = "ExpiredIteratorException"
_GONE = "ResourceNotFoundException"

# Kinesis keeps a record for 24 hours at least: https://docs.aws.amazon.com/streams/latest/dev/kinesis-extended-retention
# One hour of it is margin.
SURELY_RETAINED = timedelta(hours=23)


@dataclass(frozen=True)
class _Tip:
    """Nothing that came until this moment, told by both clocks, lies behind `position`."""

    position: Position
    at: datetime
    monotonic: float


@dataclass(frozen=True)
class EndOfShard:
    """Everything was delivered. `children` as GetRecords names them, since some services name none; `gone` when the
    shard vanished before its end.
    """

    children: tuple[Shard, ...] = ()
    gone: bool = False


class ShardReader:
    """Hands out a shard's batches; `position` is the last record handed out, or where reading began.

    Errors of Kinesis are waited out, however long they last, and never skip a record. A `wait` that is cut short ends
    the batches; `end` is set when the shard itself has ended. `gap` is the last position that is no record's own.
    """

    def __init__(
        self,
        kinesis: "KinesisClient",
        settings: WorkerSettings,
        shard_id: str,
        hash_keys: HashKeyRange | None,
        *,
        clock: Clock,
        wait: Wait,
        emit: Emit,
    ) -> None:
        self._kinesis = kinesis
        self._settings = settings
        self._shard_id = shard_id
        self._hash_keys = hash_keys
        self._clock = clock
        self._wait = wait
        self._emit = emit
        self._latest_since: datetime | None = None
        self._read_from: Position = settings.start
        self._tip: _Tip | None = None
        self.position: Position = settings.start
        self.gap: Position | None = None
        self.end: EndOfShard | None = None

    def batches(self, after: Position) -> Iterator[Batch]:
        """Every record behind `after`, then new ones as they come; an empty batch when a read finds none."""
        self._begin(after)
        iterator: str | None = None
        resumes = False
        failures = 0
        while True:
            started, started_at = self._clock.monotonic(), self._clock.now()
            try:
                if iterator is None:
                    iterator = self._iterator()
                    resumes = isinstance(self._read_from, SequenceNumber)
                answer = self._kinesis.get_records(ShardIterator=iterator, Limit=self._settings.read_records)
            except (ClientError, BotoCoreError) as error:
                code = error.response["Error"]["Code"] if isinstance(error, ClientError) else None
                if code == _GONE and self._is_gone():
                    self._emit(ShardGone(self._shard_id, position_text(self.position)))
                    self.end = EndOfShard(gone=True)
                    return
                failures += 1
                # A bad iterator may show as an error of the server: only a throttled one is known to be good.
                iterator = iterator if code in _THROTTLED else None
                if not (code == _EXPIRED and failures == 1) and self._pause(code, error, failures):
                    return
                continue
            failures = 0
            if answer["Records"]:
                if resumes:
                    self._watch_for_a_gap(SequenceNumber(answer["Records"][0]["SequenceNumber"]))
                    resumes = False
                self._read_from = SequenceNumber(answer["Records"][-1]["SequenceNumber"])
            yield self._batch(answer, started, started_at)
            iterator = answer.get("NextShardIterator")
            if iterator is None:
                self.end = EndOfShard(children=children_of(self._shard_id, answer))
                return
            if self._wait(self._until_next_read(started)):
                return

    def _begin(self, after: Position) -> None:
        if self._tip is not None and position_key(after) < position_key(self._tip.position):
            self._tip = None  # some of what was read up to then is to be read again
        self.position = after
        self.end = None
        self._read_from = after

    def _iterator(self) -> str:
        """AT the last record read, and not AFTER it: the rest of a half processed aggregate is still to come."""
        where: dict[str, Any]
        place = self._read_from
        if isinstance(place, SequenceNumber):
            where = {"ShardIteratorType": "AT_SEQUENCE_NUMBER", "StartingSequenceNumber": place.number}
        elif place is Sentinel.AT_TIMESTAMP:
            where = {"ShardIteratorType": "AT_TIMESTAMP", "Timestamp": self._settings.start_at}
        elif place is Sentinel.LATEST and self._latest_since is not None:
            # The tip has moved since we first asked for it; the records in between are ours.
            where = {"ShardIteratorType": "AT_TIMESTAMP", "Timestamp": self._latest_since}
        else:
            where = {"ShardIteratorType": place.value}
        now = self._clock.now()
        iterator = self._kinesis.get_shard_iterator(StreamName=self._settings.stream, ShardId=self._shard_id, **where)[
            "ShardIterator"
        ]
        if place is Sentinel.LATEST and self._latest_since is None:
            self._latest_since = now
        return iterator

    def _is_gone(self) -> bool:
        """True when the stream is there and the shard is not; without the stream there is nothing to conclude."""
        try:
            shards = listed_shards(self._kinesis, self._settings.stream)
        except (ClientError, BotoCoreError):
            return False
        return all(shard.shard_id != self._shard_id for shard in shards)

    def _pause(self, code: str | None, error: Exception, failures: int) -> bool:
        if code in _THROTTLED:
            pause = pause_after(failures, first=max(self._settings.read_seconds, 0.5))
            self._emit(ReadThrottled(self._shard_id, pause))
        else:
            pause = pause_after(failures)
            self._emit(ReadFailed(self._shard_id, error, pause))
        return self._wait(pause)

    def _until_next_read(self, started: float) -> float:
        return max(0.0, started + self._settings.read_seconds - self._clock.monotonic())

    def _watch_for_a_gap(self, first: SequenceNumber) -> None:
        """The record to resume after comes first, unless the stream has trimmed it, and maybe more behind it.

        Then the next batch comes after the place just before its first record. That is no record's own place, so it is
        none that Kinesis could be asked for. When the tip was seen lately, nothing behind it can have been trimmed yet.
        """
        if int(first.number) > position_key(self._read_from)[0] and not self._saw_the_tip_lately():
            self._emit(RecordsTrimmed(self._shard_id, position_text(self.position), first.number))
            self.gap = self.position = SequenceNumber(str(int(first.number) - 1))

    def _saw_the_tip_lately(self) -> bool:
        """By both clocks, so that neither a wall clock that is set back nor a machine that slept makes it later."""
        if self._tip is None:
            return False
        by_wall = self._clock.now() - self._tip.at
        by_monotonic = timedelta(seconds=self._clock.monotonic() - self._tip.monotonic)
        return timedelta(0) <= by_wall <= SURELY_RETAINED and by_monotonic <= SURELY_RETAINED

    def _batch(self, answer: "GetRecordsOutputTypeDef", started: float, started_at: datetime) -> Batch:
        after = self.position
        read = (record for raw in answer["Records"] for record in self._user_records(raw))
        records = tuple(
            record for record in read if not isinstance(after, SequenceNumber) or record.sequence_number > after
        )
        if records:
            self.position = records[-1].sequence_number
        if answer["MillisBehindLatest"] == 0:
            self._tip = _Tip(self.position, started_at, started)
        return Batch(self._settings.stream, self._shard_id, after, records, answer["MillisBehindLatest"])

    def _user_records(self, raw: "RecordTypeDef") -> Iterator[Record]:
        number, data, arrived_at = raw["SequenceNumber"], raw["Data"], raw["ApproximateArrivalTimestamp"]
        unpacked = unpack(data)
        if not unpacked:
            yield Record(SequenceNumber(number), raw["PartitionKey"], arrived_at, data)
        elif self._hash_keys is not None and is_stray(raw["PartitionKey"], unpacked, self._hash_keys):
            self._emit(AggregateDropped(self._shard_id, number, len(unpacked)))
        else:
            for sub, record in enumerate(unpacked):
                yield Record(SequenceNumber(number, sub), record.partition_key, arrived_at, record.data)
