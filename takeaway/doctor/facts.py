"""What `takeaway doctor` looks at, as values: settings, processes, back end, resources, consumers and lake."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from takeaway.standing import Judgement, LoggedTrouble, ShardStanding, judged


class Section(StrEnum):
    """The sections of a checkup, in the order in which they are told."""

    SETTINGS = "settings"
    MACHINE = "this machine"
    PROCESSES = "processes"
    BACK_END = "back end"
    RESOURCES = "resources"
    CONSUMERS = "consumers"
    ORDERS = "open orders"
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
class UnknownVariable:
    """A variable that no setting reads, where it is set, and the known one that is most like it."""

    name: str
    where: str
    meant: str | None = None


@dataclass(frozen=True)
class Disk:
    """Where logs and ledgers go. `trouble` says why nothing can be written there."""

    folder: str
    free_bytes: int
    trouble: str | None = None


@dataclass(frozen=True)
class Process:
    """What `takeaway up` started. `trouble` says why one that is up does not answer.

    `frozen`: a signal has stopped it, and it waits for another to go on. `last_words` are the last line in the log of
    one that has ended. `refuses_key`: it takes no token that is signed with the key of this machine's settings.
    """

    name: str
    pid: int
    up: bool
    log: str
    trouble: str | None = None
    frozen: bool = False
    up_seconds: float = field(default=0.0, compare=False)
    last_words: str = ""
    refuses_key: bool = False

    @property
    def works(self) -> bool:
        return self.up and not self.frozen

    @property
    def state(self) -> str:
        if not self.up:
            return "has ended"
        return "is frozen" if self.frozen else "is up"


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
class Consumer:
    """One reading application. One that never ran has no lease table, and all of the stream before it.

    It writes a checkpoint every `pace_seconds` while there is something to do, and `start` is how it is started.
    `reads_per_second` and `bytes_per_second` are its share of each shard, as this machine's settings have it; None
    where it does not poll, or is no consumer of ours. `logged` is what its process told in its log of its lease table.
    """

    name: str
    lease_table: str
    pace_seconds: float
    start: str
    reads_per_second: float | None = None
    bytes_per_second: float | None = None
    ran: bool = True
    shards: tuple[ShardStanding, ...] = ()
    logged: LoggedTrouble | None = None
    trouble: str | None = None

    @property
    def reads(self) -> bool:
        return any(shard.renewed for shard in self.shards)

    @property
    def polls(self) -> bool:
        return self.reads and self.reads_per_second is not None

    def judged(self, shard: ShardStanding) -> Judgement:
        return judged(shard, self.pace_seconds, start=self.start)


@dataclass(frozen=True)
class ShardRate:
    """What was written to a shard lately; None where it could not be known, for the reason in `trouble`."""

    shard_id: str
    bytes_per_second: float | None
    trouble: str | None = None


@dataclass(frozen=True)
class DeadLetters:
    """A consumer's dead letters. `kinds` counts the newest `looked_at` of them by the kind of error, commonest first.

    `more` says that there are more than were counted, so that the newest of all are not known.
    """

    consumer: str
    where: str
    count: int = 0
    more: bool = False
    looked_at: int = 0
    kinds: tuple[tuple[str, int], ...] = ()
    newest_at: datetime | None = None
    trouble: str | None = None

    @property
    def of_which(self) -> str:
        """In words, of which letters `kinds` tells."""
        return (
            f"{self.looked_at} that {'was' if self.looked_at == 1 else 'were'} read"
            if self.more
            else f"the newest {self.looked_at}"
        )


@dataclass(frozen=True)
class OverdueStep:
    """A step that some open orders wait for and that is overdue: `actor` was to tell one of `tells`, for `owner`.

    `orders` counts them; the step of `oldest` was due first, at `due`, and that of the last one at `newest_due`.
    `by_person`: a person takes it, and no program.
    """

    actor: str
    owner: str
    tells: tuple[str, ...]
    orders: int
    oldest: str
    due: datetime
    newest_due: datetime
    by_person: bool


@dataclass(frozen=True)
class OpenOrders:
    """The orders that are open, of which the `looked_at` oldest were read, and what of those is overdue.

    `more` says that there are more than were counted. The tracker has read the stream until `read_until`; None where an
    open shard is not begun, and then nothing is overdue.
    """

    count: int = 0
    more: bool = False
    looked_at: int = 0
    read_until: datetime | None = None
    overdue: tuple[OverdueStep, ...] = ()
    trouble: str | None = None


@dataclass(frozen=True)
class LakeState:
    """The lake as a reader sees it; `version` is None when nothing was ever committed.

    `undeclared` are events that this release does not know, as `order_placed.v2`, with their rows in the newest files.
    """

    where: str
    version: int | None = None
    rows: int = 0
    newest_file_at: datetime | None = None
    undeclared: tuple[tuple[str, int], ...] = ()
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
    unknown_variables: tuple[UnknownVariable, ...] = ()
    disks: tuple[Disk, ...] = ()
    processes: tuple[Process, ...] = ()
    resources: tuple[Resource, ...] = ()
    consumers: tuple[Consumer, ...] = ()
    rates: tuple[ShardRate, ...] = ()
    dead_letters: tuple[DeadLetters, ...] = ()
    lake: LakeState | None = None
    orders: OpenOrders | None = None
