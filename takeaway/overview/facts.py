"""A running stack at one moment, as values: shards, consumers, orders, deadlines, steps; and what could not be asked.

No name and no address of a customer is in any of it; an order is named by its id.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from foundation.kinesis import WRITE_BYTES_PER_SECOND, WRITE_RECORDS_PER_SECOND
from takeaway.doctor import DeadLetters, Process
from takeaway.overdue import MissedDeadline
from takeaway.standing import Judgement, Verdict

# So near a limit a peak is over it.
NEARLY = 0.8


@dataclass(frozen=True)
class Unknown:
    """What could not be asked, and why."""

    unknown: str


@dataclass(frozen=True)
class ShardFlow:
    """What a shard took in lately, measured over the last `over_seconds`; None where it could not be read.

    `open`: it takes records. `trouble` says why nothing is known.
    """

    shard_id: str
    open: bool = True
    records_per_second: float | None = None
    bytes_per_second: float | None = None
    over_seconds: float = 0.0
    trouble: str | None = None

    @property
    def share(self) -> float | None:
        """Of the shard's limits, the one that is nearer: 1.0 is a shard that takes no more."""
        if self.records_per_second is None or self.bytes_per_second is None:
            return None
        return max(self.records_per_second / WRITE_RECORDS_PER_SECOND, self.bytes_per_second / WRITE_BYTES_PER_SECOND)

    @property
    def hot(self) -> bool:
        return (self.share or 0.0) >= NEARLY


@dataclass(frozen=True)
class WaitingOrder:
    """The order of the first record that a consumer has not done and listens to; it came `seconds` ago."""

    order_id: str
    event_type: str
    seconds: float


@dataclass(frozen=True)
class Lag:
    """Records behind a checkpoint, counted by reading them. `at_least`: there are more than were read.

    `seconds`: for how long the first of them has waited, None where nobody read so far back. `of_types` counts them by
    event type, and `oldest` is the first of them that the consumer listens to.
    """

    records: int = 0
    at_least: bool = False
    seconds: float | None = 0.0
    of_types: Mapping[str, int] = field(default_factory=dict)
    oldest: WaitingOrder | None = None


@dataclass(frozen=True)
class ConsumerOnShard:
    """How a consumer stands on a shard. `lag` is None where it could not be known, for the reason in `unseen`.

    `owner` is the worker that has the lease; `renewed`: it kept it alive since the last look, None at the first.
    `checkpoint_seconds`: the checkpoint stands there for so long. `error` is what its worker notes.
    """

    shard_id: str
    checkpoint: str
    owner: str | None
    renewed: bool | None
    finished: bool
    lag: Lag | None
    checkpoint_seconds: float | None
    judgement: Judgement
    error: str | None = None
    unseen: str | None = None


@dataclass(frozen=True)
class ConsumerFlow:
    """A reading application. `hosts` are the consumers that are run in its process; `process` is that on this machine.

    `listens_to` are event types, none for one that hears everything. `trouble` says why its leases are not known.
    """

    name: str
    lease_table: str
    ran: bool
    shards: tuple[ConsumerOnShard, ...] = ()
    hosts: tuple[str, ...] = ()
    listens_to: tuple[str, ...] = ()
    process: Process | None = None
    trouble: str | None = None

    @property
    def lag(self) -> Lag | None:
        """Of all its shards together, as far as they are known; None where no shard is."""
        known = [one.lag for one in self.shards if one.lag is not None]
        if not known:
            return None
        types: dict[str, int] = {}
        for each in known:
            for name, count in each.of_types.items():
                types[name] = types.get(name, 0) + count
        waiting = [one.oldest for one in known if one.oldest is not None]
        some_unknown = any(one.lag is None and not one.finished for one in self.shards)
        # What was not reached has waited for longer than what was.
        seconds = [one.seconds for one in known]
        return Lag(
            records=sum(one.records for one in known),
            at_least=some_unknown or any(one.at_least for one in known),
            seconds=None if None in seconds else max(one for one in seconds if one is not None),
            of_types=types,
            oldest=max(waiting, key=lambda one: one.seconds, default=None),
        )

    @property
    def checkpoint_seconds(self) -> float | None:
        """The oldest checkpoint behind which records wait; None where none does, or it is not known."""
        ages = [
            one.checkpoint_seconds
            for one in self.shards
            if one.checkpoint_seconds is not None and one.lag is not None and one.lag.records
        ]
        return max(ages, default=None)

    @property
    def owners(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(one.owner for one in self.shards if one.owner))

    @property
    def errors(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(one.error for one in self.shards if one.error))

    @property
    def verdict(self) -> Verdict:
        """The worst of its shards."""
        if self.process is not None and not self.process.works:
            return Verdict.STOPPED
        order = list(Verdict)
        return max((one.judgement.verdict for one in self.shards), key=order.index, default=Verdict.OK)


@dataclass(frozen=True)
class OpenOrder:
    order_id: str
    state: str
    placed_at: datetime


@dataclass(frozen=True)
class OpenOrders:
    """Orders without an end, by state; `at_least`: there are more. `oldest` is the first placed of each state."""

    by_state: Mapping[str, int] = field(default_factory=dict)
    oldest: Mapping[str, OpenOrder] = field(default_factory=dict)
    at_least: bool = False


@dataclass(frozen=True)
class MissedDeadlines:
    """`count` of steps among the `looked_at` oldest orders that wait for something; `at_least`: others were not read.

    `oldest` are the first of them.
    """

    count: int = 0
    at_least: bool = False
    looked_at: int = 0
    oldest: tuple[MissedDeadline, ...] = ()


@dataclass(frozen=True)
class StepTime:
    """How long a step takes: `p95_seconds` of the `count` latest, those included that still wait.

    `share` is of the time that it has; None for one without a deadline.
    """

    actor: str
    because_of: str
    tells: tuple[str, ...]
    owner: str
    count: int
    waiting: int
    p95_seconds: float
    within_seconds: float
    share: float


@dataclass(frozen=True)
class Orders:
    """What the tracker knows of orders at this moment. `steps` are the slowest first, by the share of their time."""

    open: OpenOrders
    missed: MissedDeadlines
    steps: tuple[StepTime, ...] = ()

    @property
    def slowest(self) -> StepTime | None:
        return self.steps[0] if self.steps else None


@dataclass(frozen=True)
class EventFlow:
    """How often an event type came: `count` since `Overview.since`, and now."""

    event_type: str
    count: int
    per_second: float


@dataclass(frozen=True)
class Overview:
    """All of it. Each part is `Unknown` where it could not be asked, and hides none of the others.

    `at` is the back end's time. `reads` says how many GetRecords of each shard this look took at most.
    """

    at: datetime
    since: datetime
    endpoint: str
    stack: str
    shards: tuple[ShardFlow, ...] | Unknown
    events: tuple[EventFlow, ...] | Unknown
    consumers: tuple[ConsumerFlow, ...]
    letters: tuple[DeadLetters, ...] | Unknown
    orders: Orders | Unknown
    processes: tuple[Process, ...] = ()
    reads: int = 0
    took_seconds: float = 0.0
