"""Sends what waits in the lanes, one request at a time. For one thread; it never waits itself, and says how long to."""

import random
from collections import deque
from collections.abc import Callable, Sequence
from itertools import chain
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from foundation.backoff import pause_after
from foundation.clock import Clock
from foundation.diagnostics import Emit
from foundation.error_codes import error_code
from foundation.kinesis import MAX_REQUEST_RECORDS, hash_key
from producers.publishing import put_records
from producers.publishing.diagnostics import (
    AggregateAstray,
    EntriesRejected,
    PutRecordsFailed,
    RecordLimitUnknown,
    RecordsGivenUp,
    RequestRefused,
    ShardMapFollowed,
    ShardMapUnknown,
)
from producers.publishing.distribution import Distribution, lanes_of_no_shard
from producers.publishing.lanes import Lanes, Limits, Parcel
from producers.publishing.publication import Publication, Published, PublishFailed
from producers.publishing.quota import Quota

if TYPE_CHECKING:
    from mypy_boto3_kinesis import KinesisClient
    from mypy_boto3_kinesis.type_defs import PutRecordsResultEntryTypeDef

FIRST_BACKOFF = 0.05
LONGEST_BACKOFF = 2.0

_THROTTLED = "ProvisionedThroughputExceededException"
_STREAM_AWAY = "ResourceNotFoundException"
# A stream takes longer than that to be deleted and made anew. Who has heard nothing from it for so long asks for its
# shards first: they may have the old ones' names, and other keys.
# guarantee: nothing is sent by a map that was not asked for in a while
_STALE_AFTER = 10.0
# Of what went wrong: an error may hold a whole answer.
_TOLD_CHARACTERS = 500
# What is wrong with the request itself will be so the next time.
_REFUSALS = frozenset({"InvalidArgumentException", "SerializationException", "ValidationException"})

Answered = Callable[[Sequence[Publication]], None]


class Sender:
    """Answers each record that it is given, once; `answered` is then told of it.

    What an aggregate holds is acknowledged only when all of it belongs to the shard that took it: readers of this
    format drop it otherwise, and count on its being sent again.
    """

    def __init__(
        self,
        client: "KinesisClient",
        stream: str,
        *,
        quota: Quota,
        clock: Clock,
        emit: Emit,
        jitter: random.Random,
        answered: Answered,
        allow_unordered: bool = False,
    ) -> None:
        self._client = put_records.writing(client)
        self._stream = stream
        self._quota = quota
        self._clock = clock
        self._emit = emit
        self._jitter = jitter
        self._answered = answered
        self._distribution = Distribution(client, stream, allowed=allow_unordered, emit=emit)
        # Where records landed that was not predicted: their hash keys, and the shards.
        self._elsewhere: list[tuple[int, str]] = []
        self._limits = Limits()
        # Why they are not the stream's own: nobody has asked yet, or could not be told.
        self._limits_unknown: str | None = "nobody has asked yet"
        self._lanes: Lanes | None = None
        # What came before the shards are known.
        self._unrouted: deque[Publication] = deque()
        self._needs_map = True
        self._is_map_stale = False
        self._failed_maps = 0
        self._map_not_before = 0.0
        self._failed_requests = 0
        self._not_before = 0.0
        self._heard_at = 0.0
        # What other shards have answered than was predicted, until the map tells whose records these are.
        self._in_doubt: list[tuple[Parcel, PutRecordsResultEntryTypeDef]] = []

    def take(self, records: Sequence[Publication]) -> None:
        """Puts records behind those of their shards; those that Kinesis would never take fail."""
        self._unrouted.extend(records)
        if self._lanes is not None:
            self._route(self._lanes)

    def step(self) -> float:
        """Sends one request, if one is due. Answers for how many seconds there is nothing to do."""
        now = self._clock.monotonic()
        self._give_up_expired(now)
        if self._lanes is not None and now - self._heard_at > _STALE_AFTER and self._lanes.starts_at(now) <= now:
            self._hold_until_known()
        if self._needs_map and self._map_not_before <= now:
            self._learn_map()
            now = self._clock.monotonic()
        if refusal := self._distribution.refusal:
            # guarantee: nothing is published to a stream that spreads records unless that is allowed
            self._refuse_all(refusal)
        if self._lanes is None or self._is_map_stale:
            return max(0.0, self._map_not_before - now)
        if self._not_before <= now and (parcels := self._lanes.due(now, self._limits)):
            self._send(parcels)
            return 0.0
        starts_at = max(self._not_before, self._lanes.starts_at(now))
        return max(0.0, min(starts_at, self._map_not_before if self._needs_map else starts_at) - now)

    def waiting(self) -> list[Publication]:
        """Every record that is not answered."""
        return [*self._unrouted, *(self._lanes.all() if self._lanes else ())]

    # Where records go.

    def _route(self, lanes: Lanes) -> None:
        records = self._unrouted
        doubtful = self._limits.doubtful(records)
        if doubtful and self._limits_unknown and any(map(self._limits.may_be_too_large, doubtful)):
            self._learn_limits()
        refused = [(record, why) for record in doubtful if (why := self._limits.refusal(record))]
        out = {id(record) for record, _ in refused}
        lanes.add([record for record in records if id(record) not in out] if out else records)
        self._unrouted = deque()
        for record, why in refused:
            self._fail([record], f"cannot be published to stream {self._stream}: {why}{self._doubt(record)}")

    def _doubt(self, record: Publication) -> str:
        if self._limits_unknown and self._limits.may_be_too_large(record):
            return f". The stream may take more, its own limit is unknown: {self._limits_unknown}"
        return ""

    def _learn_map(self) -> None:
        """Follows the stream's shards, once they tell whose the records in doubt are."""
        self._leave_what_nobody_waits_for()
        self._distribution.ask()
        try:
            shards = put_records.shard_map(self._client, self._stream)
            verdicts = [shards.holds_all(result["ShardId"], parcel.keys) for parcel, result in self._in_doubt]
        except Exception as error:  # noqa: BLE001 - as in `_send`
            self._map_failed(error)
            return
        self._needs_map, self._is_map_stale, self._failed_maps = False, False, 0
        self._heard_at = self._clock.monotonic()
        for landed, shard_id in self._elsewhere:
            self._distribution.landed(landed, shards.known.get(shard_id))
        self._elsewhere = []
        self._limits_unknown = self._limits_unknown or "it was asked for before the shards changed"
        in_doubt, self._in_doubt = self._in_doubt, []
        for (parcel, result), holds_all in zip(in_doubt, verdicts, strict=True):
            parcel.lane.in_doubt = False
            if holds_all:
                self._acknowledge(parcel, result)
            else:
                self._astray(parcel, result)
        plain = self._distribution.is_plain
        lanes = lanes_of_no_shard(MAX_REQUEST_RECORDS) if plain else shards
        if self._lanes is None or self._lanes.shards != lanes:
            # What went astray stands at the heads of its lanes, and so of the children's.
            if self._lanes is None:
                self._lanes = Lanes(lanes, self._quota, plain=plain)
            else:
                self._lanes = self._lanes.follow(lanes, plain=plain)
                self._emit(ShardMapFollowed(self._stream, len(shards.open_shards)))
        self._route(self._lanes)

    def _refuse_all(self, why: str) -> None:
        """Every record fails at once. What comes later has the stream asked again, after a while."""
        refused, self._lanes, self._unrouted, self._in_doubt = self.waiting(), None, deque(), []
        for record in refused:
            self._fail([record], f"was not published: {why}")
        if not self._needs_map:
            self._needs_map, self._map_not_before = True, self._clock.monotonic() + _STALE_AFTER

    def _hold_until_known(self) -> None:
        """The stream may be made anew, with other shards of the same names: nothing is sent before these are known."""
        # guarantee: nothing is sent by the map of a stream that went away
        self._needs_map = self._is_map_stale = True

    def _leave_what_nobody_waits_for(self) -> None:
        """The shard that answered may be gone for good, and never be listed."""
        waited_for = []
        for parcel, result in self._in_doubt:
            parcel.lane.in_doubt = not all(record.done() for record in parcel.records)
            if parcel.lane.in_doubt:
                waited_for.append((parcel, result))
        self._in_doubt = waited_for

    def _learn_limits(self) -> None:
        """Asked for when a record is there that needs to know; until it is told, what was known before holds."""
        try:
            self._limits, self._limits_unknown = put_records.limits(self._client, self._stream), None
        except Exception as error:  # noqa: BLE001 - as in `_send`
            self._limits_unknown = _told(error)
            self._emit(RecordLimitUnknown(self._stream, self._limits_unknown))

    def _map_failed(self, error: Exception) -> None:
        self._failed_maps += 1
        retry_in = self._backoff(self._failed_maps)
        self._map_not_before = self._clock.monotonic() + retry_in
        in_doubt = chain.from_iterable(parcel.lane.waiting for parcel, _ in self._in_doubt)
        for record in self.waiting() if self._is_map_stale else chain(self._unrouted, in_doubt):
            record.last_error = f"the stream's shards are unknown: {_told(error)}"
        self._emit(ShardMapUnknown(self._stream, _told(error), retry_in))

    # Sending, and what becomes of it.

    def _send(self, parcels: list[Parcel]) -> None:
        sent_at = self._clock.monotonic()
        try:
            results = put_records.put_records(self._client, self._stream, parcels)
        except ClientError as error:
            # guarantee: a record that Kinesis refuses fails alone
            if error_code(error) in _REFUSALS:
                self._divide(parcels, error)
            else:
                self._request_failed(parcels, error)
        # guarantee: a proxy's page does not end the publisher
        except Exception as error:  # noqa: BLE001 - what botocore did not expect, it passes on
            self._spend(parcels, sent_at)
            self._request_failed(parcels, error)
        else:
            self._failed_requests = 0
            self._heard_at = self._clock.monotonic()
            self._spend([parcel for parcel, result in zip(parcels, results, strict=True) if _taken(result)], sent_at)
            self._settle(parcels, results)

    def _spend(self, parcels: Sequence[Parcel], sent_at: float) -> None:
        """Kinesis counted them on the way: half of the way stands for it."""
        counted_at = (sent_at + self._clock.monotonic()) / 2
        for parcel in parcels:
            parcel.lane.budget.spend(parcel.size, counted_at)

    def _settle(self, parcels: Sequence[Parcel], results: "Sequence[PutRecordsResultEntryTypeDef | None]") -> None:
        rejected: list[Parcel] = []
        for parcel, result in zip(parcels, results, strict=True):
            # guarantee: only rejected entries are sent again
            if result is None or not _taken(result):
                self._reject(parcel, result)
                rejected.append(parcel)
            elif parcel.lane.is_plain or result["ShardId"] == parcel.lane.shard.shard_id:
                self._acknowledge(parcel, result)
            else:
                self._answered_elsewhere(parcel, result)
        if rejected:
            codes = ", ".join(sorted({parcel.records[0].last_error.partition(":")[0] for parcel in rejected}))
            records = sum(len(parcel.records) for parcel in rejected)
            self._emit(EntriesRejected(self._stream, len(rejected), len(parcels), codes, records))

    def _reject(self, parcel: Parcel, result: "PutRecordsResultEntryTypeDef | None") -> None:
        lane, now = parcel.lane, self._clock.monotonic()
        lane.refused(now + self._backoff(lane.failures + 1))
        if result and result.get("ErrorCode") == _THROTTLED:
            lane.budget.throttled(now)
        # guarantee: what was refused stays before what is behind it
        _note_failure(parcel, _reason(result))

    def _answered_elsewhere(self, parcel: Parcel, result: "PutRecordsResultEntryTypeDef") -> None:
        """The stream is not what the map says. A plain record is where its key belongs all the same."""
        self._needs_map = True
        key = parcel.explicit_hash_key
        self._elsewhere.append((hash_key(parcel.partition_key) if key is None else int(key), result["ShardId"]))
        # guarantee: an aggregate that landed beside its shard is not acknowledged
        if key is None:
            self._acknowledge(parcel, result)
        else:
            parcel.lane.in_doubt = True
            self._in_doubt.append((parcel, result))

    def _acknowledge(self, parcel: Parcel, result: "PutRecordsResultEntryTypeDef") -> None:
        shard_id, number = result["ShardId"], result["SequenceNumber"]
        taken = parcel.taken_out()
        # Of what was given up meanwhile, the first records of the parcel are missing.
        first = len(parcel.records) - len(taken)
        for sub, record in enumerate(taken, first):
            record.settle(Published(shard_id, number, record.failed_attempts + 1, sub))
        self._answered(taken)

    def _astray(self, parcel: Parcel, result: "PutRecordsResultEntryTypeDef") -> None:
        _note_failure(parcel, f"{result['ShardId']} took them, and does not own them all")
        self._emit(AggregateAstray(self._stream, parcel.lane.shard.shard_id, result["ShardId"], len(parcel.records)))

    def _request_failed(self, parcels: Sequence[Parcel], error: Exception) -> None:
        """Nothing is known of any record; all stay where they are, and nothing else is tried meanwhile."""
        self._failed_requests += 1
        retry_in = self._backoff(self._failed_requests)
        self._not_before = self._clock.monotonic() + retry_in
        for parcel in parcels:
            _note_failure(parcel, _told(error))
        if error_code(error) == _STREAM_AWAY:
            self._hold_until_known()
        self._emit(PutRecordsFailed(self._stream, _records(parcels), _told(error), retry_in))

    def _divide(self, parcels: Sequence[Parcel], error: ClientError) -> None:
        """One record spoils a request for all: each lane goes alone, then in halves, until that one is found."""
        self._emit(RequestRefused(self._stream, _records(parcels), _told(error)))
        alone = len(parcels) == 1
        for parcel in parcels:
            count = len(parcel.records)
            if alone and count == 1:
                why = f"cannot be published to stream {self._stream}: Kinesis refuses it: {_told(error)}"
                self._fail(parcel.taken_out(), f"{why}. fix: what it says of the record")
            else:
                _note_failure(parcel, _told(error))
                parcel.lane.at_most = count // 2 if alone else count

    def _give_up_expired(self, now: float) -> None:
        expired = self._lanes.expired(now) if self._lanes else []
        while self._unrouted and self._unrouted[0].give_up_at <= now:
            expired.append(self._unrouted.popleft())
        if not expired:
            return
        for record in expired:
            why = (
                f"was not acknowledged by stream {self._stream} in time, after {record.failed_attempts} attempts: "
                f"{record.last_error}. It may be on the stream all the same. "
                "fix: publish the same event again, its event_id makes a repeat harmless"
            )
            self._fail([record], why)
        self._emit(RecordsGivenUp(self._stream, len(expired), expired[0].last_error))

    def _fail(self, records: Sequence[Publication], why: str) -> None:
        for record in records:
            record.settle(PublishFailed(f"{record.subject} {why}"))
        self._answered(records)

    def _backoff(self, attempts: int) -> float:
        return pause_after(attempts, first=FIRST_BACKOFF, longest=LONGEST_BACKOFF) * self._jitter.uniform(0.5, 1)


def _taken(result: "PutRecordsResultEntryTypeDef | None") -> bool:
    return result is not None and "ErrorCode" not in result and "SequenceNumber" in result and "ShardId" in result


def _reason(result: "PutRecordsResultEntryTypeDef | None") -> str:
    if not result:
        return "Unanswered: Kinesis answered fewer records than were sent"
    return f"{result.get('ErrorCode', 'Unanswered')}: {result.get('ErrorMessage', 'no sequence number or shard')}"


def _note_failure(parcel: Parcel, why: str) -> None:
    for record in parcel.records:
        record.failed_attempts += 1
        record.last_error = why


def _records(parcels: Sequence[Parcel]) -> int:
    return sum(len(parcel.records) for parcel in parcels)


def _told(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"[:_TOLD_CHARACTERS]
