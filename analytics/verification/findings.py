"""What can be wrong with a lake: each kind of finding by name, with what to do about it."""

from dataclasses import dataclass
from enum import Enum, unique

_BRING_BACK = "bring the object back from a version of the bucket, or replay its records from another copy"
_WHO = "find out who writes there; `restore` the table to the version before it, or replay what it removed"


@unique
class Kind(Enum):
    """The value says what to do."""

    LOG_UNREADABLE = "restore _delta_log from versions of the bucket; a newer writer's log needs that writer's reader"
    LOG_HAS_A_HOLE = (
        "bring the missing log files back from versions of the bucket; until then readers see an older lake"
    )
    FOREIGN_COMMIT = f"only takeaway's own transactions may change the table: {_WHO}"
    FOREIGN_FILE = f"the log shows a file that takeaway did not write: {_WHO}"
    ROWS_UNACCOUNTED = "compare the commits since the last clean verification; somebody added or removed rows"
    OFFSETS_LOST = "start the archiver: it makes the object anew from the log, or halts where it cannot"
    OFFSETS_UNREADABLE = (
        "bring the object back from a version of the bucket, or delete it: it is made anew from the log"
    )
    OFFSETS_AHEAD_OF_LOG = "the log was rolled back or truncated: restore its files from versions of the bucket"
    OFFSETS_BEHIND_LOG = "bring the newest offsets object back, or delete it: it is made anew from the log"
    OFFSETS_DISAGREE = "delete the offsets object once the log is known to be right: it is made anew from the log"
    FILES_AHEAD_OF_LOG = "batches were committed that the log no longer knows: restore its files from versions of it"
    GAP_IN_RANGES = "replay the records between the two places from the stream or another copy"
    MISSING_OBJECT = f"no reader gets past it: {_BRING_BACK}"
    TORN_OBJECT = f"its bytes are not those that were committed: {_BRING_BACK}"
    FOREIGN_FOOTER = f"the object was written over by another file: {_BRING_BACK}"
    FOREIGN_OBJECT = "readers of the log do not see it; move it out of the table's folder"
    DOUBLED_ROW = f"one record is there more than once: {_WHO}"
    MISPLACED_ROW = f"the row lies in another day's file: {_WHO}"
    ROW_OUT_OF_RANGE = f"the row is none of those that its file's batch covers: {_WHO}"
    ROW_AHEAD_OF_LOG = f"no commit of its shard covers the row yet: {_WHO}"
    UNKNOWN_ROW = f"the stream has no such record: {_WHO}"
    MISSING_RECORD = "replay the record from the stream while it is retained: `takeaway lake backfill` takes its bytes"

    @property
    def label(self) -> str:
        """Its name as people read it."""
        return self.name.lower().replace("_", "-")


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong: what exactly, and where."""

    kind: Kind
    what: str

    @property
    def fix(self) -> str:
        return self.kind.value
