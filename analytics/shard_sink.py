"""One shard's way into the lake: what waits, what the lake has, and what went wrong last."""

import threading
from collections.abc import Callable
from typing import Protocol

import pyarrow as pa

from analytics.offsets import Place
from analytics.recovery import Holder
from analytics.rotation import Backlog
from analytics.waiting import Chunk, Waiting
from foundation.clock import Clock


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


class ShardSink:
    """For the one thread that reads the shard; the committing thread has its own part, below.

    `committed` is the last place in the lake, `taken` the last one handed over. A call may raise `CommitFailed` or what
    S3 answers: the rows stay, call again later. The shard's offsets belong to the committing thread while `is_open`.
    """

    def __init__(self, committer: Committer, holder: Holder, clock: Clock) -> None:
        self.holder = holder
        self.committed: Place | None = None
        self.taken: Place | None = None
        self.is_open = False
        self._committer = committer
        self._clock = clock
        self._lock = threading.Lock()
        self._waiting = Waiting()
        self._failure: CommitFailed | None = None

    def ready(self) -> None:
        """Raises what went wrong since the last call; after that, opens the shard unless it is open."""
        with self._lock:
            failure, self._failure = self._failure, None
        if failure is not None:
            raise failure
        if not self.is_open:
            self.settle(self.holder.open())
            self.is_open = True

    def append(self, rows: pa.Table, *, after: Place | None, upto: Place) -> None:
        """Takes the rows of what lies behind `taken` in (after, upto]; `after` None is the stream's beginning.

        Waits for a commit when too much waits already. Raises `LakeGap` when `after` lies behind `taken`.
        """
        self.check_gap(after)
        if self.taken is not None and upto <= self.taken:
            raise ValueError(f"{self.holder.paths.application}: {upto} was taken before, up to {self.taken}")
        if not self._committer.has_room(rows.nbytes):
            self._committer.commit_unless(lambda: self._committer.has_room(rows.nbytes))
        self.ready()
        with self._lock:
            self._waiting.add(Chunk(rows, upto, self._clock.monotonic()))
            self.taken = upto

    def check_gap(self, after: Place | None) -> None:
        if after is not None and (self.taken is None or after > self.taken):
            raise LakeGap(
                f"{self.holder.paths.application}: the lake has everything up to {self.taken or 'nothing'}, but "
                f"reading began after {after}. fix: read on from the lake's own place; if the stream no longer has "
                "those records they are lost, and a new lake has to begin at TRIM_HORIZON"
            )

    def advance(self) -> Place | None:
        """Commits when a file is due. Answers the last place in the lake."""
        self.ready()
        self._committer.commit_if_due()
        return self._answer()

    def flush(self) -> Place | None:
        """Commits what waits. Answers the last place in the lake."""
        self.ready()
        self._committer.commit_unless(lambda: self.backlog == Backlog())
        return self._answer()

    def _answer(self) -> Place | None:
        if not self.is_open:
            self.ready()
        return self.committed

    # The committing thread's part.

    @property
    def backlog(self) -> Backlog:
        with self._lock:
            return self._waiting.backlog

    def waiting(self) -> tuple[pa.Table, Place] | None:
        with self._lock:
            return self._waiting.whole()

    def settle(self, hi: Place | None) -> None:
        """The lake has everything up to `hi`."""
        with self._lock:
            self.committed = hi
            if hi is not None:
                self._waiting.drop(hi)
                self.taken = max(hi, self.taken or hi)

    def fail(self, failure: CommitFailed) -> None:
        """Hands the offsets back to the shard's own thread, which opens the shard again."""
        with self._lock:
            self._failure = failure
            self.is_open = False
