"""What the stream has of one order: its key's hash names the shards that can hold it, and only these are read.

Reading is bounded in time, and begins with what the lake does not have yet: that is what nothing else can tell.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from events import UnreadableEvent, accept_by_of, read
from foundation.clock import Clock, Wait
from foundation.kinesis import Batch, Position, Record, Sentinel, SequenceNumber, Shard, hash_key, position_key
from foundation.settings import setting
from takeaway.audit import shard_reader
from takeaway.trace.facts import ShardRead, Sighting, Source, Unreadable
from takeaway.trace.naming import is_about

# Of the five reads a second that a shard gives, one is left for looking on.
READS_PER_SECOND = 1.0


@dataclass(frozen=True)
class OnStream:
    """What was found there, and how much was read."""

    sightings: tuple[Sighting, ...] = ()
    unreadable: tuple[Unreadable, ...] = ()
    read: tuple[ShardRead, ...] = ()


def shards_of(order_id: str, shards: Iterable[Shard], environ: Mapping[str, str]) -> list[Shard]:
    """The shards that the order's key leads to, parents before children; all where records are spread over them."""
    spread = setting("allow_unordered", bool, environ, default=False)
    key = hash_key(order_id)
    # guarantee: an order is looked for on each shard that its key led to
    return [shard for shard in shards if spread or key in shard.hash_keys]


def order_on_stream(
    reader: "StreamReader",
    shards: Sequence[Shard],
    *,
    archived: Mapping[str, SequenceNumber],
    name_of: Callable[[str], str],
) -> OnStream:
    """The order's records on `shards`, as far as the reader's time goes. Raises `StreamAway`.

    First of each shard what came behind `archived`, its last place in the lake; then, where it is known since when,
    what came up to that place: there lie repeats and unreadable records that are no rows. `name_of` is the lake's name
    of a shard.
    """
    first = Sentinel.TRIM_HORIZON if reader.since is None else Sentinel.AT_TIMESTAMP
    places = {shard.shard_id: archived.get(name_of(shard.shard_id)) for shard in shards}
    behind = {one.shard_id: reader.read(one, after=places[one.shard_id] or first) for one in shards}
    before = {
        one.shard_id: reader.read(one, after=Sentinel.AT_TIMESTAMP, last=place)
        for one in shards
        if reader.since is not None and (place := places[one.shard_id]) is not None
    }
    seen: list[Sighting | Unreadable] = []
    read: list[ShardRead] = []
    for shard_id, tip in behind.items():
        part = before.get(shard_id)
        records = {record.sequence_number: record for record in (*(part.records if part else ()), *tip.records)}
        of_order = (_seen(reader.order_id, name_of(shard_id), record) for record in records.values())
        seen += [one for one in of_order if one is not None]
        since_first = None if reader.since is None else part.whole if part else tip.whole
        read.append(ShardRead(name_of(shard_id), tip.whole, tip.last, reader.since, since_first))
    return OnStream(
        tuple(one for one in seen if isinstance(one, Sighting)),
        tuple(one for one in seen if isinstance(one, Unreadable)),
        tuple(read),
    )


@dataclass(frozen=True)
class Part:
    """What one reading of a shard found; `last` is the arrival of the last record read; `whole`: it came through."""

    records: tuple[Record, ...] = ()
    last: datetime | None = None
    whole: bool = False


class StreamReader:
    """Looks for one order's records, for `within` seconds in all. `since` is where AT_TIMESTAMP is."""

    def __init__(
        self,
        environ: Mapping[str, str],
        order_id: str,
        *,
        since: datetime | None,
        within: float,
        clock: Clock,
        wait: Wait,
    ) -> None:
        self.order_id = order_id
        self.since = since
        self._environ = environ
        self._clock = clock
        self._wait = wait
        self._until = clock.monotonic() + within

    def read(self, shard: Shard, *, after: Position, last: Position = Sentinel.SHARD_END) -> Part:
        """From `after` on to `last`, or to the tip. Raises `StreamAway`."""
        if self._is_late():
            return Part()
        reader = shard_reader(
            self._environ,
            shard,
            wait=self._cut_short,
            reads_per_second=READS_PER_SECOND,
            start_at=self.since if after is Sentinel.AT_TIMESTAMP else None,
        )
        found: list[Record] = []
        arrived = None
        for batch in reader.batches(after):
            found += [record for record in batch.records if _may_be_of(self.order_id, record)]
            arrived = batch.records[-1].arrived_at if batch.records else arrived
            if _is_through(batch, last):
                return Part(tuple(found), arrived, whole=True)
        return Part(tuple(found), arrived, whole=reader.end is not None)

    def _is_late(self) -> bool:
        return self._clock.monotonic() >= self._until

    def _cut_short(self, seconds: float) -> bool:
        left = self._until - self._clock.monotonic()
        # guarantee: a trace ends in time
        return left <= 0 or self._wait(min(seconds, left)) or self._is_late()


def _is_through(batch: Batch, last: Position) -> bool:
    if batch.records:
        return position_key(batch.records[-1].sequence_number) >= position_key(last)
    return not batch.millis_behind_latest


def _may_be_of(order_id: str, record: Record) -> bool:
    """Whether it is worth to be decoded: most records of a shard are other orders'."""
    return record.partition_key == order_id or order_id.encode() in record.data


def _seen(order_id: str, shard_name: str, record: Record) -> Sighting | Unreadable | None:
    place = shard_name, record.sequence_number
    try:
        header, event = read(record.data)
    except UnreadableEvent as error:
        of_order = is_about(order_id, record.partition_key, record.data)
        return Unreadable(place, record.arrived_at, str(error)) if of_order else None
    if header.order_id != order_id:
        return None
    return Sighting(header, Source.STREAM, place, record.arrived_at, accept_by=accept_by_of(event))
