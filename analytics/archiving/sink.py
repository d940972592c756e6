"""The lake's writing side: rows of many shards come in, and leave together in one commit of the log.

Every shard has its own thread; all share one `LakeSink`. Exactly once rests on `holder.Holder` and the log alone.
"""

import threading
import weakref
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import IO, Any, cast

import pyarrow as pa

from analytics.archiving.diagnostics import LakeCommitted, LakeShardFailed
from analytics.archiving.holder import Holder
from analytics.archiving.shard_sink import CommitFailed, ShardSink
from analytics.files import ObjectWriter, days, days_of, write_parquet
from analytics.privacy import CustomerKeys
from analytics.rotation import RotationPolicy, total
from analytics.table import (
    AddedFile,
    CommitLog,
    CommitRejected,
    LogEntry,
    Pending,
    ShardPaths,
    Snapshot,
    object_key,
    place_text,
)
from foundation.bucket import Bucket
from foundation.clock import Clock
from foundation.diagnostics import Emit
from foundation.ids import NewId, random_id

# So many files' rows may be in memory: one that is being written, and the next one that fills meanwhile.
MOST_FILES = 2


class LakeSink:
    """The one committer of a process. While one thread commits, the others go on buffering.

    At most `most_waiting` bytes of rows wait, twice the policy's size unless told, plus what shards hold whose last
    commit failed; those take no more.
    `first` is the policy until the first commit, and `policy` from then on. `keys` are those that the rows' tokens were
    made with. `accepted_gaps` are those that `LakeGap` named and somebody has put up with.
    """

    def __init__(
        self,
        stream: str,
        bucket: Bucket,
        log: CommitLog,
        policy: RotationPolicy,
        clock: Clock,
        emit: Emit,
        *,
        keys: CustomerKeys,
        first: RotationPolicy | None = None,
        most_waiting: int | None = None,
        new_id: NewId = random_id,
        accepted_gaps: Collection[str] = (),
    ) -> None:
        self._stream = stream
        self._bucket = bucket
        self._log = log
        self._keys = keys
        self._policy = policy
        self._first = first
        self._clock = clock
        self._emit = emit
        self._most_waiting = MOST_FILES * policy.size if most_waiting is None else most_waiting
        self._new_id = new_id
        self._accepted_gaps = accepted_gaps
        # A shard whose processor is gone is forgotten, with its rows: whoever reads it next reads them again.
        self._shards: weakref.WeakSet[ShardSink] = weakref.WeakSet()
        self._registering = threading.Lock()
        self._committing = threading.Lock()

    def open(self, shard_id: str, creation: str | None = None) -> ShardSink:
        """Claims a shard of the stream for this process; from now on no earlier holder can add to it.

        `creation` is the stream's, where it is known: one that was made anew has places of its own.
        """
        holder = Holder(ShardPaths(self._stream, shard_id), self._bucket, self._log, self._emit, self._new_id, creation)
        shard = ShardSink(self, holder, self._clock, self._emit, self._accepted_gaps)
        shard.ready()
        with self._registering:
            self._shards.add(shard)
        return shard

    def commit_if_due(self) -> None:
        """Leaves the work to the thread that is at it, if one is."""
        backlog = total(shard.backlog for shard in self._open_shards())
        # guarantee: processes that start together do not commit together
        policy = self._first or self._policy
        if policy.is_due(backlog, self._clock.monotonic()) and self._committing.acquire(blocking=False):
            try:
                self._commit()
            finally:
                self._committing.release()

    def commit_unless(self, enough: Callable[[], bool]) -> None:
        """Waits for the commit under way, and commits if that was not enough."""
        with self._committing:
            if not enough():
                self._commit()

    def has_room(self, size: int) -> bool:
        """Whether `size` more bytes of rows may wait."""
        return total(shard.backlog for shard in self._open_shards()).size + size <= self._most_waiting

    def refresh(self, shard: ShardSink) -> None:
        """Tells the shard's offsets that it is caught up. Left for later while somebody commits."""
        if self._committing.acquire(blocking=False):
            try:
                with self._left_to_their_threads(shard):
                    caught_up_at = shard.refresh_due
                    if caught_up_at is not None:
                        shard.holder.refresh(caught_up_at)
            finally:
                self._committing.release()

    def _open_shards(self) -> list[ShardSink]:
        with self._registering:
            return sorted(
                (shard for shard in self._shards if shard.is_open), key=lambda shard: shard.holder.paths.shard_id
            )

    def _commit(self) -> None:
        """Each shard's intent and files, one commit of the log, each shard's offsets. Who fails leaves the group."""
        self._first = None
        started = self._clock.monotonic()
        written: dict[ShardSink, list[AddedFile]] = {}
        for shard in self._open_shards():
            with self._left_to_their_threads(shard):
                uploaded = self._written(shard)
                if uploaded is not None:
                    written[shard] = uploaded
        logged = self._logged(written)
        entries = [shard.holder.entry for shard in logged]
        for shard in logged:
            with self._left_to_their_threads(shard):
                shard.landed()
        if logged:
            files = [file for shard in logged for file in written[shard]]
            self._emit(_committed(entries, files, self._clock.monotonic() - started))
        # What the rows and their encoding took goes back to the machine, not to the next file's.
        pa.default_memory_pool().release_unused()

    def _written(self, shard: ShardSink) -> list[AddedFile] | None:
        """The intent, and then the files it names. None when nothing waits."""
        portion = shard.leaving()
        if portion is None:
            return None
        paths, number = shard.holder.paths, shard.holder.next_number
        daily = {paths.data_file(day, number, k): day for k, day in enumerate(days_of(portion.rows))}
        pending = shard.holder.intend(
            portion.upto,
            tuple(daily),
            portion.rows.num_rows,
            dropped=len(portion.dropped),
            set_apart=len(portion.set_apart),
        )
        files = []
        for path, (day, part) in zip(daily, days(portion.rows), strict=True):
            with ObjectWriter(self._bucket, object_key(path)) as out:
                write_parquet(part, _footer(paths, number.epoch, pending), cast("IO[Any]", out))
            files.append(AddedFile(path=path, size=out.size, day=day, rows=part.num_rows))
        return files

    def _logged(self, written: Mapping[ShardSink, Sequence[AddedFile]]) -> list[ShardSink]:
        """One commit for all that still follow the log; those it took."""
        if not written:
            return []
        with self._left_to_their_threads(*written):
            # guarantee: keys are safe before rows with their tokens are seen
            self._keys.save()
            snapshot = self._log.snapshot()
            # The same snapshot for check and commit: the log rejects whatever came in between.
            following = [shard for shard in written if self._follows(snapshot, shard)]
            if following:
                snapshot.commit(
                    [file for shard in following for file in written[shard]],
                    {shard.holder.paths.application: shard.holder.entry for shard in following},
                )
            return following
        return []

    def _follows(self, snapshot: Snapshot, shard: ShardSink) -> bool:
        application, n = shard.holder.paths.application, shard.holder.entry.n
        version = snapshot.version_of(application)
        # guarantee: the log is compared before a commit
        if version != n - 1:
            with self._left_to_their_threads(shard):
                raise CommitRejected(f"the log has batch {version}, so {n} cannot be next")
        return shard.is_open

    @contextmanager
    def _left_to_their_threads(self, *shards: ShardSink) -> Iterator[None]:
        """Whatever breaks in here is raised by these shards' own threads, not by the one that happens to commit."""
        try:
            yield
        except Exception as error:  # noqa: BLE001 - every error is handed on, none is judged here
            for shard in shards:
                if shard.is_open:
                    paths = shard.holder.paths
                    self._emit(LakeShardFailed(paths.stream, paths.shard_id, error))
                    shard.fail(CommitFailed(paths.application, error))


def _footer(paths: ShardPaths, epoch: int, pending: Pending) -> dict[str, str]:
    return {
        "stream": paths.stream,
        "shard": paths.shard_id,
        "n": str(pending.n),
        "epoch": str(epoch),
        "batch_id": pending.batch_id,
        "lo": place_text(pending.lo),
        "hi": place_text(pending.hi),
        "dropped": str(pending.dropped),
        "set_apart": str(pending.set_apart),
    }


def _committed(entries: Sequence[LogEntry], files: Sequence[AddedFile], seconds: float) -> LakeCommitted:
    return LakeCommitted(
        shards=len(entries),
        rows=sum(file.rows for file in files),
        files=len(files),
        size=sum(file.size for file in files),
        seconds=seconds,
        dropped=sum(entry.dropped for entry in entries),
        set_apart=sum(entry.set_apart for entry in entries),
    )
