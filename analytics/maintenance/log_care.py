"""Keeps the log small: a checkpoint holds the whole table, and each newer one says all of it again.

Delta's own writers make one every 50 commits, and keep all of them, and the commits' own files, for the 30 days of the
table's `delta.logRetentionDuration`: a month of commits, one a minute, would be gigabytes of checkpoints. The commits'
files are left to them: they tell what each commit said of its shards.
"""

import re
from collections.abc import Iterable
from datetime import timedelta

import msgspec

from analytics.table import LOG_PREFIX
from foundation.bucket import Bucket, ListedObject

# One that is read now, and one in case it cannot be.
KEPT = 2
# Who opens the table has been told of a checkpoint, and fetches it: for so long it is there.
SPARED = timedelta(minutes=10)

_HINT = f"{LOG_PREFIX}_last_checkpoint"
# In one file or in several.
_CHECKPOINT = re.compile(rf"{re.escape(LOG_PREFIX)}(\d{{20}})\.checkpoint\.(.+\.)?parquet")


class _Hint(msgspec.Struct, frozen=True):
    version: int


class LogCare:
    """Looks, and removes what it found. Safe beside all that write or read, and safe to break off."""

    def __init__(self, bucket: Bucket, *, spared: timedelta = SPARED) -> None:
        self._bucket = bucket
        self._spared = spared

    def superseded(self) -> list[ListedObject]:
        """The checkpoints that no reader of the table is told of any more. None while the newest is in doubt."""
        # In this order: the hint names one that is listed here, or a newer one.
        listed = list(self._bucket.listed(LOG_PREFIX))
        hint = self._bucket.read(_HINT)
        try:
            newest = msgspec.json.decode(hint.body, type=_Hint).version if hint else None
        except msgspec.MsgspecError:
            return []
        return superseded(listed, newest, self._spared)

    def remove(self, checkpoint: ListedObject) -> None:
        self._bucket.delete(checkpoint.key)


def superseded(listed: Iterable[ListedObject], newest: int | None, spared: timedelta) -> list[ListedObject]:
    """`newest` is the version that readers are told of."""
    checkpoints: dict[int, list[ListedObject]] = {}
    for stored in listed:
        if name := _CHECKPOINT.fullmatch(stored.key):
            checkpoints.setdefault(int(name[1]), []).append(stored)
    # guarantee: a checkpoint goes only while a newer one is there
    if newest not in checkpoints:
        return []
    older = sorted(version for version in checkpoints if version <= newest)[:-KEPT]
    return [stored for version in older for stored in checkpoints[version] if stored.age >= spared.total_seconds()]
