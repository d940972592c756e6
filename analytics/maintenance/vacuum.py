"""Removes the objects that the log no longer needs, and those that it never came to know."""

from dataclasses import dataclass
from datetime import timedelta

from analytics.table import DATA_PREFIX, OFFSETS_PREFIX, CommitLog, is_ours, object_key, read_offsets
from foundation.bucket import Bucket

# Longer than the longest query: whoever opened the lake before still reads the files of then.
RETENTION = timedelta(hours=24)
# Shorter, and a file might go between its upload and its commit.
LEAST_RETENTION = timedelta(hours=2)

REPLACED = "replaced by a compaction"
NEVER_VISIBLE = "never became visible"


class RetentionTooShort(ValueError):
    """Files that somebody is about to commit could go."""


class RetentionTooLong(ValueError):
    """The table's log forgets sooner when a file was replaced."""


@dataclass(frozen=True)
class Removable:
    """An object that nobody needs, its size in bytes, and why."""

    key: str
    size: int
    why: str


class Vacuum:
    """Looks, and removes what it found. Safe beside everybody who writes, and safe to break off.

    Never goes: what the newest log shows, what a compaction replaced less than `retention` ago, what a pending batch
    names, however old, the offsets, the log, and any object that is not named as ours are.
    """

    def __init__(self, bucket: Bucket, log: CommitLog) -> None:
        self._bucket = bucket
        self._log = log

    def removable(self, retention: timedelta = RETENTION) -> list[Removable]:
        """In the order of their keys. The age of what never became visible is judged by S3's clock."""
        if retention < LEAST_RETENTION:
            raise RetentionTooShort(f"{retention} is too short. fix: {LEAST_RETENTION} at least")
        # In this order: what is listed here and pending there is either still pending below, or visible by then.
        listed = list(self._bucket.listed(DATA_PREFIX))
        pending = {
            object_key(path)
            for key in self._bucket.keys(OFFSETS_PREFIX)
            if (held := read_offsets(self._bucket, key)) and held.offsets.pending
            for path in held.offsets.pending.files
        }
        snapshot = self._log.snapshot()
        # guarantee: vacuum keeps what it says, or says that it cannot
        if retention > snapshot.remembers:
            raise RetentionTooLong(
                f"{_hours(retention)} are too long: when a file was replaced, the table's log tells for "
                f"{_hours(snapshot.remembers)}. fix: {_hours(snapshot.remembers)} at most; the table's property "
                "delta.deletedFileRetentionDuration says how long, and holds for what is replaced from then on"
            )
        visible = {object_key(file.path) for file in snapshot.all_files()}
        replaced = {object_key(path) for path in snapshot.unneeded(timedelta(0))}
        unneeded = {object_key(path) for path in snapshot.unneeded(retention)}
        removable = []
        for stored in listed:
            path = stored.key.removeprefix(object_key(""))
            if stored.key in visible or stored.key in pending or not is_ours(path):
                continue
            if stored.key in unneeded:
                removable.append(Removable(stored.key, stored.size, REPLACED))
            elif stored.key not in replaced and stored.age >= retention.total_seconds():
                removable.append(Removable(stored.key, stored.size, NEVER_VISIBLE))
        return removable

    def remove(self, removable: Removable) -> None:
        self._bucket.delete(removable.key)


def _hours(span: timedelta) -> str:
    return f"{span / timedelta(hours=1):g} hours"
