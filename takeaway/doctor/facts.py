"""What `takeaway doctor` looks at, as values: settings, processes, back end, resources, consumers and lake."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Section(StrEnum):
    """The sections of a checkup, in the order in which they are told."""

    SETTINGS = "settings"
    PROCESSES = "processes"
    BACK_END = "back end"
    RESOURCES = "resources"
    CONSUMERS = "consumers"
    CAPACITY = "reading capacity"
    DEAD_LETTERS = "dead letters"
    LAKE = "lake"


@dataclass(frozen=True)
class Problem:
    """Something that is not as it should be, in which section, and what to do about it."""

    section: str
    what: str
    fix: str


@dataclass(frozen=True)
class Setting:
    """A variable in use. Of a secret the value only says that it is set."""

    name: str
    value: str
    source: str


@dataclass(frozen=True)
class Process:
    """What `takeaway up` started. `trouble` says why one that is up does not answer."""

    name: str
    pid: int
    up: bool
    log: str
    trouble: str | None = None


@dataclass(frozen=True)
class BackEnd:
    """Where AWS is. `trouble` says why it does not answer; `clock_ahead_seconds` is our clock minus its own."""

    endpoint: str
    local: bool
    seconds: float
    trouble: str | None = None
    clock_ahead_seconds: float | None = None


@dataclass(frozen=True)
class Resource:
    """A part of the stack. `there` is None where nobody could say, and `detail` is then the reason.

    Otherwise `detail` is for people; of a stack and a stream, `status` is what AWS calls it.
    """

    kind: str
    name: str
    there: bool | None
    detail: str = ""
    status: str = ""


@dataclass(frozen=True)
class ShardReading:
    """How far one consumer is with one shard. None means that it could not be known, and `trouble` may say why.

    `renewed`: somebody keeps the lease alive. `waiting_seconds`: for how long the oldest unread record has waited.
    """

    shard_id: str
    checkpoint: str
    owner: str | None = None
    finished: bool = False
    renewed: bool | None = None
    unread: bool | None = None
    waiting_seconds: float | None = None
    trouble: str | None = None

    @property
    def stands_still(self) -> bool:
        return self.renewed is False and self.unread is True


@dataclass(frozen=True)
class Consumer:
    """One reading application. One that never ran has no lease table, and all of the stream before it.

    `reads_per_second` is its share of each shard, as this machine's settings have it.
    """

    name: str
    lease_table: str
    reads_per_second: float
    ran: bool = True
    shards: tuple[ShardReading, ...] = ()
    trouble: str | None = None

    @property
    def reads(self) -> bool:
        return any(shard.renewed for shard in self.shards)


@dataclass(frozen=True)
class ShardRate:
    """What was written to a shard lately; None where it could not be known, for the reason in `trouble`."""

    shard_id: str
    bytes_per_second: float | None
    trouble: str | None = None


@dataclass(frozen=True)
class DeadLetters:
    """A consumer's dead letters. `kinds` counts the newest `looked_at` of them by the kind of error, commonest first.

    `more` says that there are more than were counted.
    """

    consumer: str
    where: str
    count: int = 0
    more: bool = False
    looked_at: int = 0
    kinds: tuple[tuple[str, int], ...] = ()
    newest_at: datetime | None = None
    trouble: str | None = None


@dataclass(frozen=True)
class LakeState:
    """The lake as a reader sees it; `version` is None when nothing was ever committed."""

    where: str
    version: int | None = None
    rows: int = 0
    newest_file_at: datetime | None = None
    trouble: str | None = None


@dataclass(frozen=True)
class Checkup:
    """All facts at one moment. What the back end would have told is absent when it does not answer.

    `back_end` is None where the settings lead to none. `unsettled` are the settings that are missing or cannot be read,
    as problems.
    """

    examined_at: datetime
    back_end: BackEnd | None
    settings: tuple[Setting, ...] = ()
    unsettled: tuple[Problem, ...] = ()
    processes: tuple[Process, ...] = ()
    resources: tuple[Resource, ...] = ()
    consumers: tuple[Consumer, ...] = ()
    rates: tuple[ShardRate, ...] = ()
    dead_letters: tuple[DeadLetters, ...] = ()
    lake: LakeState | None = None
