"""Keeps the log small: a checkpoint holds the whole table, and each newer one says all of it again.

Delta's own writers make one every 50 commits, and would look through the whole log after each commit for what is older
than the table's `delta.logRetentionDuration`. Commits leave that to this module. The commits' own files are kept so
long, since they tell what each commit said of its shards; a checkpoint is of use for minutes.
"""

import re
from collections.abc import Iterable
from datetime import timedelta

import msgspec

from analytics.table import LOG_PREFIX, LOG_RETENTION
from foundation.bucket import Bucket, ListedObject

# One that is read now, and one in case it cannot be.
KEPT = 2
# Who opens the table has been told of a checkpoint, and fetches it: for so long it is there.
SPARED = timedelta(minutes=10)

_HINT = f"{LOG_PREFIX}_last_checkpoint"
_COMMIT = re.compile(rf"{re.escape(LOG_PREFIX)}(\d{{20}})\.json")
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
        """The checkpoints that no reader of the table is told of any more, and commits too old to be of interest.

        None while the newest checkpoint is in doubt. Ages are judged by S3's clock.
        """
        # In this order: the hint names one that is listed here, or a newer one.
        listed = list(self._bucket.listed(LOG_PREFIX))
        hint = self._bucket.read(_HINT)
        try:
            newest = msgspec.json.decode(hint.body, type=_Hint).version if hint else None
        except msgspec.MsgspecError:
            return []
        return superseded(listed, newest, self._spared)

    def remove(self, superseded: ListedObject) -> None:
        self._bucket.delete(superseded.key)


def superseded(listed: Iterable[ListedObject], newest: int | None, spared: timedelta) -> list[ListedObject]:
    """`newest` is the version that readers are told of. The oldest first: broken off, no hole is left."""
    checkpoints, commits = dict[int, list[ListedObject]](), dict[int, ListedObject]()
    for stored in listed:
        if name := _CHECKPOINT.fullmatch(stored.key):
            checkpoints.setdefault(int(name[1]), []).append(stored)
        elif name := _COMMIT.fullmatch(stored.key):
            commits[int(name[1])] = stored
    # guarantee: a checkpoint goes only while a newer one is there
    if newest not in checkpoints:
        return []
    told = sorted(version for version in checkpoints if version <= newest)
    older, kept = told[:-KEPT], told[-KEPT:]
    replaced = [stored for version in older for stored in checkpoints[version] if _is(stored, spared)]
    expired = [commits[version] for version in sorted(commits) if version < kept[0]]
    return replaced + [stored for stored in expired if _is(stored, LOG_RETENTION)]


def _is(stored: ListedObject, age: timedelta) -> bool:
    return stored.age >= age.total_seconds()
