"""All shards of a stream read at once, each by a thread of its own.

A shard's records come in its order, and its children's when it has ended; those of several shards as they are read.
"""

import queue
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from foundation.clock import Wait
from foundation.kinesis import Record, Sentinel, Shard
from takeaway.audit import shard_reader, stream_shards

# Of the five reads a second that a shard gives to all who poll it, the consumers' shares leave one.
READS_PER_SECOND = 0.5
# So many records wait to be shown. Beyond that reading waits.
_MOST_WAITING = 10_000
_LOOK_SECONDS = 0.2


@dataclass(frozen=True)
class _Read:
    """What a shard's thread tells: a record; that it is at the tip; that the shard has ended; or why it failed."""

    shard: Shard
    record: Record | None = None
    at_tip: bool = False
    ended: bool = False
    error: Exception | None = None


class StreamTail:
    """Every record that arrived since `since`, and then what comes, until `wait` is cut short."""

    def __init__(self, environ: Mapping[str, str], since: datetime, wait: Wait) -> None:
        self._environ = environ
        self._since = since
        self._wait = wait
        self._over = threading.Event()
        self._read: queue.Queue[_Read] = queue.Queue(_MOST_WAITING)
        self._reading: dict[str, Shard] = {}
        self._through: set[str] = set()

    def records(self, *, follow: bool) -> Iterator[tuple[str, Record]]:
        """With the id of its shard. Without `follow` it ends when each shard's tip was reached.

        Raises `UserError` where the stream cannot be listed, and `StreamAway` where a shard cannot be read.
        """
        try:
            for shard in _first(stream_shards(self._environ)):
                self._begin(shard)
            while self._reading and not self._wait(0):
                try:
                    read = self._read.get(timeout=_LOOK_SECONDS)
                except queue.Empty:
                    continue
                if read.error is not None:
                    raise read.error
                if read.record is not None:
                    yield read.shard.shard_id, read.record
                elif read.ended:
                    self._end(read.shard)
                elif not follow:
                    self._through.add(read.shard.shard_id)
                if not follow and self._through >= self._reading.keys():
                    return
        finally:
            self._over.set()

    def _begin(self, shard: Shard) -> None:
        self._reading[shard.shard_id] = shard
        threading.Thread(target=self._follow, args=(shard,), name=shard.shard_id, daemon=True).start()

    def _end(self, shard: Shard) -> None:
        """Its children are begun, each when all its parents have ended."""
        del self._reading[shard.shard_id]
        for child in stream_shards(self._environ):
            if shard.shard_id in child.parents and not child.parents & self._reading.keys():
                self._begin(child)

    def _follow(self, shard: Shard) -> None:
        try:
            reader = shard_reader(
                self._environ,
                shard,
                wait=self._over.wait,
                reads_per_second=READS_PER_SECOND,
                start_at=self._since,
            )
            for batch in reader.batches(Sentinel.AT_TIMESTAMP):
                for record in batch.records:
                    self._tell(_Read(shard, record))
                if not batch.millis_behind_latest:
                    self._tell(_Read(shard, at_tip=True))
                if self._over.is_set():
                    return
            if reader.end is not None:
                self._tell(_Read(shard, ended=True))
        except Exception as error:  # noqa: BLE001 - raised where the records are taken
            self._tell(_Read(shard, error=error))

    def _tell(self, read: _Read) -> None:
        while not self._over.is_set():
            try:
                self._read.put(read, timeout=_LOOK_SECONDS)
            except queue.Full:
                continue
            return


def _first(shards: list[Shard]) -> list[Shard]:
    """Those without a parent that is still listed; the others follow as their parents end."""
    listed = {shard.shard_id for shard in shards}
    return [shard for shard in shards if not shard.parents & listed]
