"""What waits to be published: one ordered lane per shard. No IO here; the sender brings thread, clock and Kinesis.

A lane has one record in flight, and what is in it stays at the lane's head until Kinesis has acknowledged it: nothing
behind can overtake it, however often it is refused.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice

import msgspec

from foundation.kinesis import (
    AGGREGATE_BYTES,
    MAX_KEY_CHARACTERS,
    MAX_LARGE_REQUEST_BYTES,
    MAX_RECORD_BYTES,
    MAX_REQUEST_BYTES,
    MAX_REQUEST_RECORDS,
    Shard,
    pack,
)
from producers.publishing.publication import Publication
from producers.publishing.quota import Quota, ShardBudget
from producers.publishing.shard_map import ShardMap

# A lane whose records Kinesis refused is one as any other again once so many went together.
_MANY_RECORDS = 256


@dataclass(frozen=True)
class Limits:
    """What Kinesis takes at once; `record_bytes` is the stream's own."""

    record_bytes: int = MAX_RECORD_BYTES

    @property
    def request_bytes(self) -> int:
        return MAX_REQUEST_BYTES if self.record_bytes <= MAX_RECORD_BYTES else MAX_LARGE_REQUEST_BYTES

    @property
    def surely_fits(self) -> int:
        """Bytes of data, whatever the key."""
        return self.record_bytes - 4 * MAX_KEY_CHARACTERS

    def may_be_too_large(self, record: Publication) -> bool:
        return len(record.data) > self.surely_fits

    def doubtful(self, records: Iterable[Publication]) -> list[Publication]:
        """Those that may be refused, at a glance: most records are far from any limit."""
        surely_fits = self.surely_fits
        return [
            record
            for record in records
            if len(record.data) > surely_fits
            or not record.partition_key.isascii()
            or not 0 < len(record.partition_key) <= MAX_KEY_CHARACTERS
        ]

    def refusal(self, record: Publication) -> str | None:
        """Why Kinesis would never take this record, and the fix."""
        if not 1 <= len(record.partition_key) <= MAX_KEY_CHARACTERS:
            length = len(record.partition_key)
            return f"its partition key has {length} characters. fix: use 1 to {MAX_KEY_CHARACTERS} of them"
        try:
            size = record.size
        except UnicodeEncodeError:
            return "its partition key has half a character, a lone surrogate. fix: use whole ones"
        if size > self.record_bytes:
            return f"it has {size} bytes, key included. fix: stay below {self.record_bytes}, or send a reference"
        return None


@dataclass(eq=False)
class Lane:
    """A shard's way out. `in_doubt` is what another shard has answered for: nothing goes until that is judged."""

    shard: Shard
    budget: ShardBudget
    waiting: deque[Publication] = field(default_factory=deque)
    not_before: float = 0.0
    failures: int = 0
    # How large the next aggregate may be; it grows while more waits than that.
    aim: int = AGGREGATE_BYTES
    # While Kinesis refuses the whole request of this lane: how many records go at once, and nothing else beside them.
    at_most: int | None = None
    in_doubt: bool = False
    # On a stream that spreads records by itself: each goes alone, and lands anywhere.
    is_plain: bool = False

    def starts_at(self, now: float) -> float:
        """When its next record may go. An aggregate's worth of budget is waited for, or as much as all that waits."""
        if self.budget.left(now) >= max(AGGREGATE_BYTES, self.waiting[0].size):
            return max(self.not_before, now)
        wanted = 0
        for record in self.waiting:
            if wanted and wanted + record.size > AGGREGATE_BYTES:
                break
            wanted += record.size
        return max(self.not_before, self.budget.enough_at(wanted, now))

    def refused(self, not_before: float) -> None:
        """Kinesis did not take what is at the head. What a busy shard has no room for may fit when it is small."""
        self.failures += 1
        self.not_before = not_before
        self.aim = AGGREGATE_BYTES

    def sent(self) -> None:
        """What was at the head is answered for."""
        self.failures = 0
        self.aim = min(2 * self.aim, MAX_RECORD_BYTES) if self.waiting else AGGREGATE_BYTES
        if self.at_most is not None:
            self.at_most = 2 * self.at_most if self.at_most < _MANY_RECORDS else None


class Parcel(msgspec.Struct, frozen=True):
    """A Kinesis record to send, and the lane that it comes from. A plain one is routed by its own key."""

    lane: Lane
    records: list[Publication]
    data: bytes
    partition_key: str
    explicit_hash_key: str | None

    @property
    def size(self) -> int:
        return len(self.data) + len(self.partition_key.encode())

    @property
    def keys(self) -> Iterator[str]:
        return (record.partition_key for record in self.records)

    def taken_out(self) -> list[Publication]:
        """Its records leave the lane, but for the first ones that were given up meanwhile."""
        waiting = self.lane.waiting
        left = [waiting.popleft() for record in self.records if waiting and waiting[0] is record]
        self.lane.sent()
        return left


class Lanes:
    """The lanes of a shard map's open shards."""

    def __init__(self, shards: ShardMap, quota: Quota, *, plain: bool = False) -> None:
        self.shards = shards
        self._quota = quota
        self._lanes = [Lane(shard, ShardBudget(quota), is_plain=plain) for shard in shards.open_shards]
        self._first = 0

    def __iter__(self) -> Iterator[Lane]:
        return iter(self._lanes)

    def add(self, records: Sequence[Publication]) -> None:
        """Each behind the others of its shard."""
        append_to = [lane.waiting.append for lane in self._lanes]
        places = self.shards.places_of([record.partition_key for record in records])
        for place, record in zip(places, records, strict=True):
            append_to[place](record)

    def due(self, now: float, limits: Limits) -> list[Parcel]:
        """The next request: at most one record of each lane that may send now, within Kinesis' limits."""
        parcels: list[Parcel] = []
        left = limits.request_bytes
        count, first = len(self._lanes), self._first
        for place in range(first, first + count):
            lane = self._lanes[place % count]
            # guarantee: nothing of a lane goes while an aggregate of it is in doubt
            if not lane.waiting or lane.in_doubt or lane.starts_at(now) > now:
                continue
            # Who finds no room, or must go alone, is the first next time.
            self._first = place % count
            if len(parcels) == MAX_REQUEST_RECORDS or (parcels and lane.at_most is not None):
                break
            parcel = self._parcel(lane, min(limits.record_bytes, lane.budget.left(now)))
            # A record over all limits goes alone, for Kinesis to judge: the stream's own limit may have been lowered.
            if parcels and parcel.size > left:
                break
            parcels.append(parcel)
            left -= parcel.size
            self._first = (place + 1) % count
            if lane.at_most is not None:
                break
        return parcels

    def starts_at(self, now: float) -> float:
        """When some lane may send; infinite when none has anything that it could."""
        times = (lane.starts_at(now) for lane in self._lanes if lane.waiting and not lane.in_doubt)
        return min(times, default=float("inf"))

    def expired(self, now: float) -> list[Publication]:
        """Takes out the records whose time is over. Nobody's is over before that of what waits in front of it."""
        over: list[Publication] = []
        for lane in self._lanes:
            while lane.waiting and lane.waiting[0].give_up_at <= now:
                over.append(lane.waiting.popleft())
        return over

    def follow(self, shards: ShardMap, *, plain: bool = False) -> "Lanes":
        """Lanes for another map, with all that waits; a shard that is still open keeps its lane's state."""
        followed = Lanes(shards, self._quota, plain=plain)
        kept = {lane.shard: lane for lane in self._lanes}
        followed._lanes = [kept.pop(lane.shard, lane) for lane in followed._lanes]
        # Of two shards that become one, who waits longer comes first, as in any lane.
        followed.add(sorted((record for lane in kept.values() for record in lane.waiting), key=_give_up_at))
        return followed

    def all(self) -> list[Publication]:
        return [record for lane in self._lanes for record in lane.waiting]

    def _parcel(self, lane: Lane, limit: float) -> Parcel:
        # What little a second has left goes as a whole.
        most = limit if limit < 2 * AGGREGATE_BYTES else min(limit, lane.aim)
        packed = pack(islice(lane.waiting, 1 if lane.is_plain else lane.at_most), int(most))
        return Parcel(
            lane,
            packed.records,
            packed.data,
            packed.partition_key,
            explicit_hash_key(lane.shard) if packed.aggregated else None,
        )


def explicit_hash_key(shard: Shard) -> str:
    """One that leads to the shard. The last one: a stream made anew with more shards is noticed by every lane."""
    return str(shard.hash_keys.last)


def _give_up_at(record: Publication) -> float:
    return record.give_up_at
