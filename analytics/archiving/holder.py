"""One shard's side of the commit protocol: claim, recover, write the intent down, finalise.

After any error or unknown answer there is one way on: `open` again. Only a newer epoch makes a holder let go.
"""

from datetime import datetime
from enum import Enum

import msgspec

from analytics.archiving.diagnostics import LakeOffsetsRebuilt, LakeShardOpened
from analytics.archiving.recent_ids import Window, recalled
from analytics.table import (
    DATA_PREFIX,
    SCHEMA_FINGERPRINT,
    BatchNumber,
    CommitLog,
    CommitRejected,
    Held,
    LogEntry,
    Offsets,
    OffsetsObject,
    Pending,
    ShardPaths,
    Snapshot,
    is_anothers,
    place_text,
)
from foundation.bucket import Bucket
from foundation.diagnostics import Emit
from foundation.ids import NewId
from foundation.kinesis import SequenceNumber

# Each round either ends the recovery or finds that the log has moved, which takes another holder.
_ROUNDS = 4


class LakeHalt(Exception):
    """Log and offsets contradict each other: somebody must look. Going on could lose or double rows."""


class ShardTaken(Exception):
    """Another holder has claimed the shard since. Opening again takes it back; whoever has the lease should."""


class Verdict(Enum):
    """What the offsets and the log say, together, about the last batch."""

    CLEAN = "nothing was pending"
    LANDED = "the pending batch is in the lake"
    UNKNOWN = "the pending batch may still land"
    FENCED = "a fence stands in the pending batch's place"
    FOREIGN = "another batch stands in the pending batch's place"
    ASTRAY = "the log is neither where the offsets are nor one batch on"


def judge(offsets: Offsets, version: int, logged_batch_id: str | None) -> Verdict:
    """`version` is the shard's number in the log; `logged_batch_id` says whose commit that was, None for a fence's."""
    pending = offsets.pending
    if pending is None:
        return Verdict.CLEAN if version == offsets.n else Verdict.ASTRAY
    if version == pending.n:
        return Verdict.LANDED if logged_batch_id == pending.batch_id else Verdict.FOREIGN
    return {pending.n - 1: Verdict.UNKNOWN, pending.n + 1: Verdict.FENCED}.get(version, Verdict.ASTRAY)


def claimed(offsets: Offsets, creation: str | None) -> Offsets:
    return msgspec.structs.replace(offsets, epoch=offsets.epoch + 1, creation=offsets.creation or creation)


def landed(offsets: Offsets, pending: Pending) -> Offsets:
    return msgspec.structs.replace(offsets, n=pending.n, hi=pending.hi, pending=None)


def cleared(offsets: Offsets, pending: Pending) -> Offsets:
    """The fence took the number behind the pending batch's; nothing became visible."""
    return msgspec.structs.replace(offsets, n=pending.n + 1, pending=None)


class Holder:
    """Holds one shard of the lake for one process, as long as nobody claims it after.

    `creation` is the stream's, None where it is not known. Where the lake has another stream's shard under the same
    name, this one's `paths` are other ones, once it is open.
    """

    def __init__(
        self,
        paths: ShardPaths,
        bucket: Bucket,
        log: CommitLog,
        emit: Emit,
        new_id: NewId,
        creation: str | None = None,
    ) -> None:
        self.paths = self._first = paths
        self._creation = creation
        self._bucket = bucket
        self._log = log
        self._emit = emit
        self._new_id = new_id
        self._object = OffsetsObject(bucket, paths.offsets_key, new_id)
        self._newest_epoch: int | None = None
        self._held: Held | None = None
        self._opened_with: Snapshot | None = None

    @property
    def held(self) -> Held:
        if self._held is None:
            raise RuntimeError(f"{self.paths.application} is not open. fix: a caller's bug; `open` comes first")
        return self._held

    def open(self) -> SequenceNumber | None:
        """Claims the shard and settles what was left pending. Answers the last place that the lake has."""
        self._held = None
        found = self._object.read()
        offsets = found.offsets if found else self._rebuilt()
        if self._creation is not None and self._has_names_of_its_own(offsets, self._creation, is_lost=found is None):
            self.paths, self._newest_epoch = self._first.anew(self._creation), None
            self._object = OffsetsObject(self._bucket, self.paths.offsets_key, self._new_id)
            found = self._object.read()
            offsets = found.offsets if found else self._rebuilt()
        if found is None:
            self._emit(
                LakeOffsetsRebuilt(
                    self.paths.stream, self.paths.shard_id, offsets.epoch, offsets.n, place_text(offsets.hi)
                )
            )
            self._newest_epoch = offsets.epoch
            self._held = self._object.create(offsets)
        else:
            self._let_go_if_taken(found)
            # Known before the write: its answer may get lost, and the epoch found next time is still our own.
            self._newest_epoch = found.offsets.epoch + 1
            self._held = self._object.replace(found, claimed(found.offsets, self._creation))
        verdict = self._recover()
        offsets = self.held.offsets
        self._emit(
            LakeShardOpened(
                self.paths.stream, self.paths.shard_id, offsets.epoch, offsets.n, place_text(offsets.hi), verdict.value
            )
        )
        return offsets.hi

    def recall(self) -> Window:
        """The ids of the shard's latest events, as the lake had them when it was opened."""
        paths = [added.path for added in self._opened_with.all_files()] if self._opened_with else []
        self._opened_with = None
        return recalled(self.paths, paths, self._bucket, self._emit)

    def intend(
        self, upto: SequenceNumber, files: tuple[str, ...], rows: int, *, dropped: int = 0, set_apart: int = 0
    ) -> Pending:
        """Writes down the batch that comes next. Its files are named by `next_number`."""
        offsets = self.held.offsets
        pending = Pending(
            batch_id=self._new_id(),
            n=self.next_number.n,
            lo=offsets.hi,
            hi=upto,
            files=files,
            rows=rows,
            schema=SCHEMA_FINGERPRINT,
            dropped=dropped,
            set_apart=set_apart,
        )
        self._held = self._object.replace(self.held, msgspec.structs.replace(offsets, pending=pending))
        return pending

    @property
    def next_number(self) -> BatchNumber:
        return BatchNumber(self.held.offsets.n + 1, self.held.offsets.epoch)

    @property
    def entry(self) -> LogEntry:
        """What the log is to say of the batch that was written down."""
        pending = self._pending
        return LogEntry(
            n=pending.n,
            epoch=self.held.offsets.epoch,
            batch_id=pending.batch_id,
            hi=pending.hi,
            rows=pending.rows,
            # guarantee: a record that is dropped is accounted for
            dropped=pending.dropped,
            set_apart=pending.set_apart,
            creation=self.held.offsets.creation,
        )

    def finalise(self, caught_up_at: datetime | None = None) -> SequenceNumber:
        """To be called once the log has the batch. `caught_up_at` is news that holds with this batch in the lake."""
        pending = self._pending
        final = landed(self.held.offsets, pending)
        if caught_up_at is not None:
            final = msgspec.structs.replace(final, caught_up_at=caught_up_at)
        self._held = self._object.replace(self.held, final)
        return pending.hi

    def refresh(self, caught_up_at: datetime) -> None:
        """Writes this down and leaves all else as it is."""
        refreshed = msgspec.structs.replace(self.held.offsets, caught_up_at=caught_up_at)
        self._held = self._object.replace(self.held, refreshed)

    @property
    def _pending(self) -> Pending:
        pending = self.held.offsets.pending
        if pending is None:
            raise RuntimeError(f"{self.paths.application}: no batch is written down. fix: a caller's bug; `intend` it")
        return pending

    def _recover(self) -> Verdict:
        for _ in range(_ROUNDS):
            snapshot = self._log.snapshot()
            offsets = self.held.offsets
            pending = offsets.pending
            version = snapshot.version_of(self.paths.application)
            verdict = judge(offsets, version, self._logged_batch_id(snapshot, pending, version))
            if verdict in (Verdict.FOREIGN, Verdict.ASTRAY):
                raise self._contradiction(verdict, version)
            self._opened_with = snapshot
            if pending is None:
                return verdict
            # guarantee: a commit that may be in flight is fenced
            if verdict is Verdict.UNKNOWN:
                self._fence(snapshot, offsets, pending)
                continue
            settled = landed(offsets, pending) if verdict is Verdict.LANDED else cleared(offsets, pending)
            self._held = self._object.replace(self.held, settled)
            return verdict
        raise CommitRejected(
            f"{self.paths.application}: no fence and no batch could be committed in {_ROUNDS} rounds. "
            "fix: see whether something else changes the table all the time"
        )

    def _fence(self, snapshot: Snapshot, offsets: Offsets, pending: Pending) -> None:
        """An empty commit behind the pending one: of the two, the log takes exactly one."""
        fence = LogEntry(
            n=pending.n + 1, epoch=offsets.epoch, batch_id=None, hi=offsets.hi, rows=0, creation=offsets.creation
        )
        try:
            snapshot.commit((), {self.paths.application: fence})
        except CommitRejected:
            return  # something landed first; the next round sees what

    def _logged_batch_id(self, snapshot: Snapshot, pending: Pending | None, version: int) -> str | None:
        """Asked only where it decides: finding an entry reads the log's files."""
        if pending is None or version != pending.n:
            return None
        entry = snapshot.last_entry(self.paths.application)
        return entry.batch_id if entry and entry.n == version else None

    def _has_names_of_its_own(self, offsets: Offsets, creation: str, *, is_lost: bool) -> bool:
        """Once a stream made anew has them, it keeps them, also when the first one's object is lost."""
        if self.paths != self._first:
            return False
        own = self._first.anew(creation).application
        return is_anothers(offsets, creation) or (is_lost and self._log.snapshot().version_of(own) > 0)

    def _let_go_if_taken(self, found: Held) -> None:
        epoch = found.offsets.epoch
        if self._newest_epoch is not None and epoch > self._newest_epoch:
            ours, self._newest_epoch = self._newest_epoch, epoch
            raise ShardTaken(f"{self.paths.application}: epoch {epoch} was claimed after ours, {ours}")

    def _contradiction(self, verdict: Verdict, version: int) -> Exception:
        """A holder that was overtaken sees contradictions that are none."""
        now = self._object.read()
        if now is not None and now.offsets.epoch > self.held.offsets.epoch:
            ours, self._newest_epoch = self.held.offsets.epoch, now.offsets.epoch
            return ShardTaken(f"{self.paths.application}: epoch {now.offsets.epoch} was claimed after ours, {ours}")
        return LakeHalt(
            f"{self.paths.application}: {verdict.value}: the log has {version}, {self.paths.offsets_key} has "
            f"n={self.held.offsets.n} and pending={self.held.offsets.pending}. fix: find out who changed the log or "
            "the object by hand; once the log is known to be right, delete the object: it is made anew from the log"
        )

    def _rebuilt(self) -> Offsets:
        """The offsets as the log tells them, for a shard without an object: a new one, or one whose object was lost."""
        snapshot = self._log.snapshot()
        version = snapshot.version_of(self.paths.application)
        entry = snapshot.last_entry(self.paths.application) if version else None
        written = [number for key in self._bucket.keys(DATA_PREFIX) if (number := self.paths.batch_number(key))]
        newest = max((number.n for number in written), default=0)
        # A file is one ahead of the log when its commit never came, and no more.
        if newest > version + 1 or (version and (entry is None or entry.n != version)):
            raise LakeHalt(
                f"{self.paths.application}: {self.paths.offsets_key} is lost and cannot be rebuilt: the log has batch "
                f"{version} and tells {entry}, files go up to batch {newest}. fix: restore the object or the log "
                "from a version of the bucket, or start a new lake from the stream"
            )
        epochs = [number.epoch for number in written] + [entry.epoch if entry else 0]
        return Offsets(
            epoch=max(epochs) + 1,
            n=version,
            hi=entry.hi if entry else None,
            creation=entry.creation or self._creation if entry else self._creation,
        )
