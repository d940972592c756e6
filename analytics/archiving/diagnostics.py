"""What the lake's writing side tells operators."""

from dataclasses import dataclass
from datetime import date, datetime

from foundation.diagnostics import Diagnostic


@dataclass(frozen=True)
class LakeShardOpened(Diagnostic):
    """A shard's offsets were claimed. `recovered` says what the holder before had left: see `holder.Verdict`."""

    stream: str
    shard_id: str
    epoch: int
    n: int
    hi: str
    recovered: str


@dataclass(frozen=True)
class LakeOffsetsRebuilt(Diagnostic):
    """A shard had no offsets object; one was made from the log. Normal for a new shard, where `n` is 0."""

    stream: str
    shard_id: str
    epoch: int
    n: int
    hi: str


@dataclass(frozen=True)
class LakeCommitted(Diagnostic):
    """One commit made these files visible, for `shards` shards at once.

    `dropped` records repeat an event that is a row already; `set_apart` ones are dead letters.
    """

    shards: int
    rows: int
    files: int
    size: int
    seconds: float
    dropped: int = 0
    set_apart: int = 0


@dataclass(frozen=True)
class LateRowsCommitted(Diagnostic):
    """Records that had been set apart are in the lake now, each under a transaction of its own."""

    rows: int
    files: int


@dataclass(frozen=True)
class LakeShardFailed(Diagnostic):
    """A shard's part of a commit did not end well. Its rows still wait; it is opened again before the next attempt."""

    stream: str
    shard_id: str
    error: Exception


@dataclass(frozen=True)
class LakeFileUnread(Diagnostic):
    """A file of the lake could not be read for its events' ids: repeats of them may become rows until compaction.

    fix: `takeaway lake verify` tells what is wrong with the file.
    """

    path: str
    error: Exception


@dataclass(frozen=True)
class LakeGapIsEmpty(Diagnostic):
    """The stream has trimmed the record to go on after, and nothing that the lake lacks: it goes on behind `after`.

    At `caught_up_at` the lake had all of the shard, and what came since is too young to have been trimmed.
    """

    stream: str
    shard_id: str
    hi: str
    after: str
    caught_up_at: datetime


@dataclass(frozen=True)
class LakeGapAccepted(Diagnostic):
    """Records between the two may be missing, and the settings put up with exactly that. fix: unset the setting."""

    stream: str
    shard_id: str
    hi: str
    after: str
    unread: str


@dataclass(frozen=True)
class DayCompacted(Diagnostic):
    """One commit replaced a day's files. `dropped` rows had an event that is there once more."""

    day: date
    files_before: int
    files_after: int
    rows: int
    dropped: int


@dataclass(frozen=True)
class LakeKept(Diagnostic):
    """A keeper removed so many of `what`, of `size` bytes together."""

    what: str
    objects: int
    size: int


@dataclass(frozen=True)
class KeepingFailed(Diagnostic):
    """A part of a keeper's round (compact, remove, clean) broke off; nothing is lost, and the next round tries again.

    fix: where it goes on, `takeaway lake verify` tells what is wrong with the lake.
    """

    part: str
    error: Exception


@dataclass(frozen=True)
class SliceLoaded(Diagnostic):
    """One commit brought a slice of a history. `duplicates` events were in the lake, or stood in an earlier line."""

    backfill_id: str
    number: int
    rows: int
    duplicates: int
