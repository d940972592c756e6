"""How one consumer stands on one shard, as a value."""

from dataclasses import dataclass
from datetime import datetime

from consumers.processing import Trouble


@dataclass(frozen=True)
class ShardStanding:
    """What was seen at a look, which is two glances a few seconds apart. None means that it could not be known.

    Where it stands: `checkpoint`, as the lease table has it; `end`, the shard's last record, where the look came to it.
    `finished`: read to the shard's end. `waits_for`: parents that are to be read before it.
    `unread`: whether records lie behind the checkpoint; `unread_records` of them were seen, and there may be more.
    `waiting_seconds`: for how long the oldest of them has waited. `millis_behind`: Kinesis' own word at the last read.

    Whether it moves: `moved` between the glances, and then `waiting_seconds_before` is what it was at the first.
    `moved_at`: since when the checkpoint stands there, by its worker's note. `standing_seconds`: it has not moved for
    so long, by that note, or else for as long as was looked.
    `held_seconds`: its holder has had the lease for so long; `takeovers`: holders since the checkpoint moved.
    `renewed`: its holder kept the lease alive between the glances. `leased`: its lease was made.

    Why it does not: `trouble`, by its worker's note, for `trouble_seconds`; `of_older_stream`: the checkpoint is a
    place of a stream that was deleted, and made anew under its name. `unreadable` says why the lease makes no sense,
    `unseen` why the shard could not be looked at.
    """

    shard_id: str
    checkpoint: str
    owner: str | None = None
    finished: bool = False
    waits_for: tuple[str, ...] = ()
    end: str | None = None
    unread: bool | None = None
    unread_records: int = 0
    waiting_seconds: float | None = None
    waiting_seconds_before: float | None = None
    millis_behind: int | None = None
    moved: bool = False
    moved_at: datetime | None = None
    standing_seconds: float | None = None
    held_seconds: float | None = None
    takeovers: int = 0
    renewed: bool | None = None
    trouble: Trouble | None = None
    trouble_seconds: float | None = None
    of_older_stream: bool = False
    leased: bool = True
    unreadable: str | None = None
    unseen: str | None = None
