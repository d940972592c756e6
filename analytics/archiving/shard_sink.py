"""One shard's way into the lake: what waits, what the lake has, and what went wrong last."""

import threading
from collections.abc import Callable, Collection, Sequence
from datetime import datetime, timedelta
from typing import Protocol

import pyarrow as pa

from analytics.archiving.diagnostics import LakeGapAccepted, LakeGapIsEmpty
from analytics.archiving.holder import Holder
from analytics.archiving.recent_ids import Window
from analytics.archiving.waiting import Portion, Waiting, places
from analytics.rotation import Backlog
from analytics.table import place_text
from foundation.clock import Clock, Moment
from foundation.diagnostics import Emit
from foundation.kinesis import SURELY_RETAINED, Sentinel, SequenceNumber
from foundation.settings import variable

# How often the offsets of a shard that brings nothing are told that it is still read to its tip.
REFRESH_EVERY = timedelta(hours=1)


class LakeGap(Exception):
    """Records between what the lake has and what was read are missing. Names both places."""


class CommitFailed(Exception):
    """A shard's part of a commit did not end well; whether it is in the lake shows when the shard is opened again."""

    def __init__(self, application: str, error: Exception) -> None:
        super().__init__(f"{application}: {error}. fix: none needed while it passes; the rows wait and are tried again")
        self.__cause__ = error


class Committer(Protocol):
    """What a shard asks of the one committer it shares with the others."""

    def commit_if_due(self) -> None: ...

    def commit_unless(self, enough: Callable[[], bool]) -> None: ...

    def has_room(self, size: int) -> bool: ...

    def refresh(self, shard: "ShardSink") -> None: ...


class ShardSink:
    """For the one thread that reads the shard; the committing thread has its own part, below.

    `committed` is the last place in the lake, `taken` the last one handed over, or gone on from. A call may raise
    `CommitFailed` or what S3 answers: the rows stay, call again later. The shard's offsets belong to the committing
    thread while `is_open`.
    """

    def __init__(
        self, committer: Committer, holder: Holder, clock: Clock, emit: Emit, accepted_gaps: Collection[str] = ()
    ) -> None:
        self.holder = holder
        self.committed: SequenceNumber | None = None
        self.taken: SequenceNumber | None = None
        self.is_open = False
        self._committer = committer
        self._clock = clock
        self._emit = emit
        self._accepted_gaps = accepted_gaps
        self._lock = threading.Lock()
        self._waiting = Waiting()
        # Empty until the shard is open.
        self._window = Window()
        self._is_recalled = False
        self._failure: CommitFailed | None = None
        # Nothing that came until the first lies behind `taken`, and nothing that came until the second behind the lake.
        self._tip: Moment | None = None
        self._caught_up: Moment | None = None
        # The tip as it was when the commit under way took what waited.
        self._leaving_tip: Moment | None = None

    @property
    def shard_id(self) -> str:
        """As the lake names it: not as the stream does, where an earlier stream of its name had such a shard."""
        return self.holder.paths.shard_id

    def ready(self) -> None:
        """Raises what went wrong since the last call; after that, opens the shard unless it is open."""
        with self._lock:
            failure, self._failure = self._failure, None
        if failure is not None:
            raise failure
        if not self.is_open:
            hi = self.holder.open()
            stored = self.holder.held.offsets.caught_up_at
            # guarantee: an archiver that takes a shard over knows the events before
            if not self._is_recalled or (hi is not None and (self.taken is None or hi > self.taken)):
                # Behind what this process took: the window knows only what it took itself.
                self._window, self._is_recalled = self.holder.recall(), True
            self._settle(hi, self._caught_up or (Moment(stored) if stored else None))
            self.is_open = True

    def append(
        self,
        rows: pa.Table,
        *,
        after: SequenceNumber | None,
        upto: SequenceNumber,
        set_apart: Sequence[SequenceNumber] = (),
    ) -> None:
        """Takes the rows of what lies behind `taken` in (after, upto]; `after` None is the stream's beginning.

        A row whose event came before is dropped, and counted; at the places `set_apart` are records that are no rows.

        Waits for a commit when too much waits already. Raises `LakeGap` when `after` lies behind `taken`.
        """
        self.check_gap(after)
        if self.taken is not None and upto <= self.taken:
            raise ValueError(
                f"{self.holder.paths.application}: {place_text(upto)} was taken before, up to {place_text(self.taken)}"
            )
        if not self._committer.has_room(rows.nbytes):
            self._committer.commit_unless(lambda: self._committer.has_room(rows.nbytes))
        self.ready()
        fresh, dropped = self._without_duplicates(rows)
        with self._lock:
            self._waiting.add(Portion(fresh, upto, self._clock.monotonic(), dropped, set_apart))
            self._window.add(fresh)
            self.taken = upto

    def check_gap(self, after: SequenceNumber | None) -> None:
        """Goes on from `after` when nothing can be missing before it, or when the loss behind `taken` was accepted.

        The stream trims on meanwhile, so a loss is named by where it begins. Whatever came since the shard was last
        caught up is younger than the stream's retention: still there to be read.
        """
        if after is None or (self.taken is not None and after <= self.taken):
            return
        self._put_up_with_loss(
            place_text(after),
            f"reading began after {place_text(after)}",
            "the stream may have trimmed records between the two before they were read. "
            "fix: replay the span between the two from another copy",
        )
        with self._lock:
            self.taken = after

    def check_gone(self) -> None:
        """As `check_gap`, for all that the shard held behind `taken`: retention has removed the shard itself.

        What was taken is committed first, so that the tip of the last read counts.
        """
        self.flush()
        # guarantee: a shard that is gone is a gap as well
        self._put_up_with_loss(
            str(Sentinel.SHARD_END),
            "the shard is gone from the stream",
            "it may have gone with records that were never read. fix: replay what it held from another copy",
        )

    def _put_up_with_loss(self, upto: str, found: str, may_be_lost: str) -> None:
        paths, hi = self.holder.paths, place_text(self.taken) if self.taken else "nothing"
        gap = f"{paths.shard_id}:{hi}"
        if self._caught_up is not None and self._caught_up.is_within(SURELY_RETAINED, self._clock):
            self._emit(LakeGapIsEmpty(paths.stream, paths.shard_id, hi, upto, self._caught_up.at))
        elif gap in self._accepted_gaps:
            self._emit(LakeGapAccepted(paths.stream, paths.shard_id, hi, upto, self._unread()))
        else:
            raise LakeGap(
                f"{paths.application}: the lake has everything up to {hi}, but {found}. "
                f"{self._unread()}, so {may_be_lost}; to accept the loss, set "
                f'{variable("lake_accept_gap")}="{gap}" and restart'
            )

    def at_tip(self, read: Moment) -> None:
        """The shard was read to its tip, at `read` or later, and all of it was handed over."""
        with self._lock:
            self._tip = read
            self._catch_up()

    def advance(self) -> SequenceNumber | None:
        """Commits when a file is due. Answers the last place in the lake."""
        self.ready()
        self._committer.commit_if_due()
        if self.refresh_due is not None:
            self._committer.refresh(self)
        return self._answer()

    def flush(self) -> SequenceNumber | None:
        """Commits what waits. Answers the last place in the lake."""
        self.ready()
        self._committer.commit_unless(lambda: self.backlog == Backlog())
        return self._answer()

    def _without_duplicates(self, rows: pa.Table) -> tuple[pa.Table, list[SequenceNumber]]:
        """The rows whose events are new, and the places of the others."""
        known = self._window.known(rows)
        if not known:
            return rows, []
        repeated = rows.take(known)
        keep = pa.array(sorted(set(range(rows.num_rows)).difference(known)), pa.int64())
        return rows.take(keep), places(repeated)

    def _answer(self) -> SequenceNumber | None:
        if not self.is_open:
            self.ready()
        return self.committed

    def _unread(self) -> str:
        if self._caught_up is None:
            return "When the shard was last read to its tip is not known"
        at, hours = self._caught_up.at, self._caught_up.age(self._clock).total_seconds() / 3600
        ago = f"{hours:.1f} hours ago" if hours >= 0 else "which this machine's clock has not reached yet"
        return f"The shard was last read to its tip, with all of it in the lake, at {at.isoformat()}, {ago}"

    def _catch_up(self) -> None:
        if self._tip is not None and self._waiting.backlog == Backlog():
            self._caught_up = self._tip

    # The committing thread's part.

    @property
    def backlog(self) -> Backlog:
        with self._lock:
            return self._waiting.backlog

    def leaving(self) -> Portion | None:
        """All that waits, for a commit; None when nothing does. Once it is in the lake: `landed`."""
        with self._lock:
            self._leaving_tip = self._tip
            return self._waiting.whole()

    def landed(self) -> None:
        """What was leaving is in the lake, and the shard is caught up as it was then."""
        caught_up = self._leaving_tip
        self._settle(self.holder.finalise(caught_up.at if caught_up else None), caught_up)

    @property
    def refresh_due(self) -> datetime | None:
        """What the offsets have to be told. A clock that was set back makes news, too."""
        if not self.is_open or self._caught_up is None:
            return None
        stored, now = self.holder.held.offsets.caught_up_at, self._caught_up.at
        return now if stored is None or abs(now - stored) >= REFRESH_EVERY else None

    def _settle(self, hi: SequenceNumber | None, caught_up: Moment | None = None) -> None:
        """The lake has everything up to `hi`, and with it all that had come until `caught_up`."""
        with self._lock:
            self.committed = hi
            self._caught_up = caught_up or self._caught_up
            if hi is not None:
                self._waiting.drop(hi)
                self.taken = max(hi, self.taken or hi)
            self._catch_up()

    def fail(self, failure: CommitFailed) -> None:
        """Hands the offsets back to the shard's own thread, which opens the shard again."""
        with self._lock:
            self._failure = failure
            self.is_open = False
