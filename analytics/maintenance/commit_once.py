"""How the lake is changed beside the archivers: look, decide, upload, commit, and look again when the log refuses.

Of two that change the same thing the log takes one, since both carry a transaction of one name; the other one looks at
what the first has made, and decides anew. The fence of a shard's recovery is another matter.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Generic, TypeVar

from analytics.table import AddedFile, CommitLog, CommitRejected, LogEntry, Snapshot, object_key
from foundation.bucket import Bucket
from foundation.clock import Clock, Moment

# Files that were uploaded longer ago than this are not committed any more: vacuum may think that nobody needs them.
LONGEST_UNCOMMITTED = timedelta(hours=1)

# Each round that fails means that somebody else has committed the same, or that it took too long.
ROUNDS = 10

ResultT = TypeVar("ResultT")


class Uploads:
    """Files that a commit is about to show, under names that nothing had before."""

    def __init__(self, bucket: Bucket, clock: Clock) -> None:
        self._bucket = bucket
        self._begun = Moment.now(clock)
        self._clock = clock
        self.files: list[AddedFile] = []

    def add(self, path: str, day: date, rows: int, body: bytes) -> None:
        self._bucket.create_own(object_key(path), body)
        self.files.append(AddedFile(path=path, size=len(body), day=day, rows=rows))

    def check_age(self) -> None:
        """Raises `CommitRejected` when the files may be gone by now."""
        if not self._begun.is_within(LONGEST_UNCOMMITTED, self._clock):
            raise CommitRejected(f"the commit came more than {LONGEST_UNCOMMITTED} after its files")


@dataclass(frozen=True)
class Change(Generic[ResultT]):
    """What a round makes of a snapshot: `result` holds once the rest is committed.

    The transactions `entries` become visible with the files, which take the place of those that the snapshot has of
    the day `replacing`.
    """

    result: ResultT
    uploads: Uploads
    entries: Mapping[str, LogEntry]
    replacing: date | None = None


@dataclass(frozen=True)
class NoChange(Generic[ResultT]):
    """The snapshot is as it should be."""

    result: ResultT


Decide = Callable[[Snapshot], Change[ResultT] | NoChange[ResultT]]


def commit_once(log: CommitLog, decide: Decide[ResultT], what: str, *, rounds: int = ROUNDS) -> ResultT:
    """The result of the round whose change the log took, or that had none to make.

    Raises `CommitRejected`, naming `what`, when no round of so many got that far. After any other error the commit may
    have happened: call again, and see.
    """
    rejected = CommitRejected("no round was made")
    for _ in range(rounds):
        snapshot = log.snapshot()
        change = decide(snapshot)
        if isinstance(change, NoChange):
            return change.result
        try:
            change.uploads.check_age()
            # guarantee: a compaction replaces what it has read, and nothing newer
            snapshot.commit(change.uploads.files, change.entries, replacing=change.replacing)
        except CommitRejected as error:
            rejected = error
        else:
            return change.result
    raise CommitRejected(
        f"{what} could not be committed (tries: {rounds}): {rejected}. fix: try again; see what else writes"
    ) from rejected
