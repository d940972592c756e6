"""Looks on while the flow runs: reads the stream as one more application and counts what passes."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from consumers.engines.worker.reading import ShardReader
from events import Header, UnreadableEvent, header_of
from foundation.kinesis import Batch, Position
from takeaway.audit.stream import StreamAway, shard_readers

# Only the latest journeys are kept in mind, for the screen.
_REMEMBERED = 8


@dataclass
class StreamObserver:
    """`look()` reads what is new on every shard; `counts` are distinct events by type since the stream began.

    `seen` are their ids, `records` counts every readable record, repeats included.
    """

    environ: Mapping[str, str]
    counts: Counter[str] = field(default_factory=Counter)
    records: int = 0
    unreadable: int = 0
    seen: set[str] = field(default_factory=set)
    latest: list[Header] = field(default_factory=list)
    _readers: dict[str, ShardReader] = field(default_factory=dict)
    _batches: dict[str, Iterator[Batch]] = field(default_factory=dict)
    _ended: set[str] = field(default_factory=set)
    _listed: bool = False

    @property
    def events(self) -> int:
        return len(self.seen)

    @property
    def positions(self) -> dict[str, Position]:
        """The last record that was read of each shard, or where reading began."""
        return {shard_id: reader.position for shard_id, reader in self._readers.items()}

    def look(self) -> None:
        """One read of every shard; whoever looks sets the pace. Raises `StreamAway` when that is not possible now.

        After that the next look goes on where this one was.
        """
        if not self._listed:
            self._readers = {**shard_readers(self.environ, wait=lambda _seconds: False), **self._readers}
            self._listed = True
        for shard_id, reader in self._readers.items():
            if shard_id in self._ended:
                continue
            if shard_id not in self._batches:
                self._batches[shard_id] = reader.batches(reader.position)
            try:
                batch = next(self._batches[shard_id], None)
            except StreamAway:
                # An iterator that raised is over.
                del self._batches[shard_id]
                raise
            if batch is None:
                self._ended.add(shard_id)
                self._listed = False  # its children are new
                continue
            for record in batch.records:
                self._count(record.data)

    def _count(self, data: bytes) -> None:
        try:
            header = header_of(data)
        except UnreadableEvent:
            self.unreadable += 1
            return
        self.records += 1
        if header.event_id not in self.seen:
            self.seen.add(header.event_id)
            self.counts[header.event_type] += 1
            self.latest = [header, *self.latest][:_REMEMBERED]
