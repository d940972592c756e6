"""Reads the stream's shards for an overview: what came lately, and what lies behind the oldest checkpoint. Bounded.

By the shares of the list consumers poll a shard four times a second, and it gives five reads. A look takes one read of
a shard, and another one while a consumer is further behind than was read; the first look takes up to `FIRST_READS`.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from events import UnreadableEvent, header_of
from foundation.clock import Clock
from foundation.kinesis import Record, SequenceNumber, Shard, decoding, fetch, listed_shards
from foundation.kinesis.deaggregation import unpack
from takeaway.overview.facts import EventFlow, ShardFlow
from takeaway.overview.stretch import Counts, Entry, Mark, ShardRecords, Stretch
from takeaway.stack import reason

if TYPE_CHECKING:
    from mypy_boto3_kinesis import KinesisClient

# Rates are those of the last so many seconds.
WINDOW = 10.0
# Of each shard, of which it gives five a second to all who poll it.
FIRST_READS, LATER_READS = 4, 2
# Of the 2 MiB a second that a shard gives to all, a read takes about so much: by the size of the records before.
_READ_BYTES = 256 * 1024
_FIRST_LIMIT, _MOST_LIMIT = 250, 5_000
# However many shards there are; those that are left come first at the next look.
_LOOK_SECONDS = 2.0
# One that is so far behind the tip does not catch up with what a look may read.
_MOST_BEHIND = 5
_SAMPLE = timedelta(seconds=2)


@dataclass
class _Shard:
    """A shard as far as it was read, and the iterators to go on with."""

    records: ShardRecords
    next: str | None = None
    next_older: str | None = None
    limit: int = _FIRST_LIMIT
    looked: int = 0
    ended: bool = False
    falls_behind: bool = False
    trouble: str | None = None


@dataclass
class StreamWatch:
    """Keeps what it read from look to look. For one thread. `kinesis` answers soon, or raises."""

    kinesis: "KinesisClient"
    stream: str
    clock: Clock
    since: datetime
    _shards: dict[str, _Shard] = field(default_factory=dict)
    _listed: dict[str, Shard] = field(default_factory=dict)
    _counts: Counts = field(default_factory=Counts)
    _looks: int = 0

    def __post_init__(self) -> None:
        self.kinesis = decoding(self.kinesis)

    @property
    def shards(self) -> Mapping[str, ShardRecords]:
        """By id; those that could not be read are missing."""
        return {name: one.records for name, one in self._shards.items() if one.trouble is None}

    def look(self, marks: Mapping[str, Iterable[Mark]], now: datetime) -> int:
        """One look at every shard; `marks` are the checkpoints of those who are not through with it. `now` is Kinesis'.

        Answers how many reads of a shard it took at most. Raises what ListShards answers.
        """
        self._listed = {shard.shard_id: shard for shard in listed_shards(self.kinesis, self.stream)}
        wanted = [name for name, shard in self._listed.items() if not shard.closed or name in marks]
        self._shards = {name: one for name, one in self._shards.items() if name in wanted}
        until = self.clock.monotonic() + _LOOK_SECONDS
        self._looks += 1
        most = 0
        for name in sorted(wanted, key=self._last_looked):
            if self.clock.monotonic() > until:
                # guarantee: what a look had no time for is unknown, and comes first at the next one
                self._not_read(name, now, "no time was left for it")
                continue
            try:
                most = max(most, self._look_at(name, list(marks.get(name, ())), now))
            except (BotoCoreError, ClientError) as error:
                self._not_read(name, now, reason(error))
        return most

    def flows(self, now: datetime) -> tuple[ShardFlow, ...]:
        return tuple(self._flow(name, shard, now) for name, shard in sorted(self._listed.items()) if not shard.closed)

    def events(self, now: datetime) -> tuple[EventFlow, ...]:
        rates = self._counts.per_second(now.timestamp(), WINDOW)
        counts = self._counts.of_types
        return tuple(
            EventFlow(name, counts[name], rates.get(name, 0.0)) for name in sorted(counts.keys() | rates.keys())
        )

    def _last_looked(self, name: str) -> tuple[int, str]:
        return (self._shards[name].looked if name in self._shards else 0), name

    def _not_read(self, name: str, now: datetime, why: str) -> None:
        """An iterator that failed is not used again: the shard is begun anew."""
        looked = self._shards[name].looked if name in self._shards else 0
        self._shards[name] = _Shard(ShardRecords(Stretch(_window(now))), looked=looked, trouble=why)

    def _look_at(self, name: str, marks: list[Mark], now: datetime) -> int:
        shard = self._shards.get(name)
        if shard is None or shard.trouble is not None:
            shard = self._shards[name] = _Shard(ShardRecords(Stretch(_window(now))))
        if shard.falls_behind:
            # It fills faster than a look may read: what comes now tells its rate, and what is between stays uncounted.
            shard.records, shard.next, shard.next_older = ShardRecords(Stretch(now - _SAMPLE)), None, None
        reads = LATER_READS if shard.looked else FIRST_READS
        took = self._read_recent(name, shard, reads - 1)
        oldest = _oldest(marks) if marks else now
        if marks and took < reads:
            took += self._read_older(name, shard, oldest, reads - took)
        shard.records.recent.forget(oldest, now.timestamp() - WINDOW)
        shard.looked = self._looks
        return took

    def _read_recent(self, name: str, shard: _Shard, reads: int) -> int:
        if shard.ended:
            return 0
        if shard.next is None:
            shard.next = self._iterator(name, shard.records.recent.begin)
        took, behind = 0, 0
        while took < reads and shard.next:
            answer = fetch(self.kinesis, shard.next, shard.limit)
            took, behind = took + 1, answer.millis_behind_latest
            new = shard.records.recent.add(self._entries(name, answer.records), at_tip=not behind)
            self._counts.add(new, self.since.timestamp())
            shard.next, shard.limit = answer.next_shard_iterator, _limit(shard.limit, answer.records)
            shard.ended = not shard.next
            if not behind:
                break
        shard.falls_behind = bool(shard.looked) and behind > _MOST_BEHIND * 1000
        return took

    def _read_older(self, name: str, shard: _Shard, mark: Mark, reads: int) -> int:
        records = shard.records
        if records.recent.covers(mark):
            records.older, shard.next_older = None, None
            return 0
        if records.older is None or not records.older.covers(mark):
            records.older = Stretch(mark)
            shard.next_older = self._iterator(name, mark)
        records.older.forget(mark, float("inf"))
        took = 0
        while took < reads and shard.next_older and not records.is_full:
            answer = fetch(self.kinesis, shard.next_older, shard.limit)
            took += 1
            entries = [one for one in self._entries(name, answer.records) if _is_behind(one, mark)]
            records.older.add(entries, at_tip=not answer.millis_behind_latest)
            shard.next_older, shard.limit = answer.next_shard_iterator, _limit(shard.limit, answer.records)
            if records.met():
                shard.next_older = None
                break
        return took

    def _iterator(self, name: str, mark: Mark) -> str:
        where: dict[str, Any] = {"ShardIteratorType": "TRIM_HORIZON"}
        if isinstance(mark, datetime):
            where = {"ShardIteratorType": "AT_TIMESTAMP", "Timestamp": mark}
        elif mark is not None:
            # At it, not behind it: an aggregate may be half done. Some services pad a number, and want it back so.
            where = {"ShardIteratorType": "AT_SEQUENCE_NUMBER", "StartingSequenceNumber": mark.number}
        return self.kinesis.get_shard_iterator(StreamName=self.stream, ShardId=name, **where)["ShardIterator"]

    def _entries(self, name: str, records: Iterable[Record]) -> list[Entry]:
        return [entry for record in records for entry in _unpacked(record, self._listed[name])]

    def _flow(self, name: str, shard: Shard, now: datetime) -> ShardFlow:
        seen = self._shards.get(name)
        if seen is None or seen.trouble is not None:
            return ShardFlow(name, not shard.closed, trouble=seen.trouble if seen else "it was not read yet")
        records, size, over = seen.records.rate(now.timestamp(), WINDOW)
        return ShardFlow(name, not shard.closed, records, size, over)


def _window(now: datetime) -> datetime:
    return now - timedelta(seconds=WINDOW)


def _oldest(marks: list[Mark]) -> Mark:
    """The one that has most behind it. A moment counts before every place, since it may lie before any."""
    if not marks or None in marks:
        return None
    moments = [one for one in marks if isinstance(one, datetime)]
    places = [one for one in marks if isinstance(one, SequenceNumber)]
    return min(moments) if moments else min(places)


def _is_behind(entry: Entry, mark: Mark) -> bool:
    return not isinstance(mark, SequenceNumber) or entry.key > mark.key


def _limit(limit: int, read: Sequence[Record]) -> int:
    if not read:
        return limit
    average = sum(len(record.data) for record in read) / len(read)
    return max(1, min(_MOST_LIMIT, int(_READ_BYTES / max(1.0, average))))


def _unpacked(record: Record, shard: Shard) -> Iterator[Entry]:
    """As consumers count them: an aggregate is its records, and one of another shard is none."""
    aggregate = unpack(record)
    if aggregate is not None and aggregate.is_stray(shard.hash_keys):
        return
    for one in [record] if aggregate is None else aggregate.records:
        try:
            header = header_of(one.data)
        except UnreadableEvent:
            event_type, order_id = "", ""
        else:
            event_type, order_id = header.event_type, header.order_id
        size = len(one.data) + len(one.partition_key or "")
        yield Entry(one.sequence_number.key, one.arrived, size, event_type, order_id)
