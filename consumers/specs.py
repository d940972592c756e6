"""The consumers as values: what the choreography does not say about them. One list, which loads none of them.

All code that starts, feeds, examines or audits consumers, or gives their letters again, reads it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum
from importlib import import_module
from typing import Any

from events import (
    ARCHIVER,
    CHOREOGRAPHY,
    OBSERVERS,
    RESTAURANT_NOTIFIER,
    TRACKER,
    USER_NOTIFIER,
    Bound,
    Event,
    Step,
    first_step,
    heard_by,
)
from foundation.kinesis import READS_PER_SECOND
from foundation.settings import SettingsError, setting, variable


class Beginning(Enum):
    """Where a consumer begins on its first day, when TAKEAWAY_START says nothing.

    NOW: with what happens from then on. BEGINNING: with all that the stream still has. HISTORY: with all that the lake
    has, by a replay, and then behind that. One with effects must not: a replay would have them all at once.
    """

    NOW = "now"
    BEGINNING = "beginning"
    HISTORY = "history"


_HANDLER_STEPS = tuple(step for step in CHOREOGRAPHY if step.bound_by is Bound.HANDLER)


@dataclass(frozen=True, kw_only=True)
class ConsumerSpec:
    """A consumer. `part` is its first step of the choreography, of which it plays all that are its actor's, or its name
    among the observers, where it hears everything.

    `build` is the `module:function` that makes it:
        for steps, function(settings, client) answers a `Stateful`, or the handler: an event heard in, what follows out,
        an event, several or None;
        for an observer, function(settings, environ, emit, keys, letters) answers a `ProcessorFactory`.
    `client` makes a client of boto3 for a service's name.

    `hosted_by` names the observer in whose process an observer is run: one lease and one read of a shard feed all that
    are run in one. Such a one has no share, batches and batching window of its own, but its host's.

    `reads_per_second` is its share of the five reads that a shard gives to all who poll it. `batch_size` is how many
    records it is given at most at a time; without one TAKEAWAY_BATCH_SIZE says it. On Lambda they are gathered for
    `batching_window`. `begins` says where on its first day; `may_start_at_latest`: TAKEAWAY_START may have it skip what
    the stream holds already. `fills_lake`: its records become rows, and so do its dead letters when they are given
    again. Told to stop, it ends within `stops_within`.
    """

    part: Step | str
    build: str
    reads_per_second: float = 0.0
    hosted_by: str | None = None
    batch_size: int | None = None
    batching_window: timedelta = timedelta(0)
    begins: Beginning = Beginning.BEGINNING
    may_start_at_latest: bool = True
    fills_lake: bool = False
    stops_within: timedelta = timedelta(seconds=30)

    @property
    def name(self) -> str:
        return self.part.actor if isinstance(self.part, Step) else self.part

    @property
    def reader(self) -> str:
        """The consumer that reads the stream for it: itself, or its host. Process and leases are that one's."""
        return self.hosted_by or self.name

    @property
    def listens_to(self) -> tuple[type[Event], ...]:
        """What its steps hear; nothing for an observer, which hears everything."""
        return heard_by(self.name)

    @property
    def reads_field(self) -> str:
        """The settings field of its share: all steps have one in common, each observer one of its own."""
        return "reads_per_second" if isinstance(self.part, Step) else f"{self.part}_reads_per_second"

    def reads(self, environ: Mapping[str, str]) -> float:
        """How often a second it may read each shard: as the environment says, or else its own share."""
        reads = setting(self.reads_field, float, environ, default=self.reads_per_second)
        if not 0 < reads <= READS_PER_SECOND:
            raise SettingsError(
                f"{variable(self.reads_field)} is {reads:g}. "
                f"fix: a share of the {READS_PER_SECOND} reads a second that a shard has"
            )
        return reads

    def builder(self) -> Any:
        """The function that `build` names."""
        module, _, function = self.build.partition(":")
        return getattr(import_module(module), function)


def listed(*specs: ConsumerSpec) -> dict[str, ConsumerSpec]:
    """The specs by name. Raises `ValueError` for one without a part to play, and where they do not fit together."""
    consumers = {spec.name: spec for spec in specs}
    for spec in specs:
        if spec.part not in (*_HANDLER_STEPS, *OBSERVERS):
            raise ValueError(
                f"{spec.name} is in the list of consumers, and neither a handler's step of the choreography nor an "
                "observer. fix: add it to events/choreography.py, or take it off the list"
            )
        if consumers[spec.name] is not spec:
            raise ValueError(f"{spec.name} is in the list of consumers twice. fix: take one off the list")
    for spec in specs:
        _require_fitting(spec, consumers)
    # guarantee: together the consumers read a shard no more often than it allows
    reads = sum(spec.reads_per_second for spec in specs)
    if reads > READS_PER_SECOND:
        shares = ", ".join(f"{spec.name} {spec.reads_per_second:g}" for spec in specs if spec.hosted_by is None)
        raise ValueError(
            f"together the consumers would read a shard {reads:g} times a second, and it allows {READS_PER_SECOND}: "
            f"{shares}. fix: lower their reads_per_second, or have one observer hosted by another"
        )
    return consumers


def _require_fitting(spec: ConsumerSpec, consumers: Mapping[str, ConsumerSpec]) -> None:
    """Raises `ValueError` where it would be fed by no read, or by another's than its host's."""
    if spec.hosted_by is None:
        if spec.reads_per_second <= 0:
            raise ValueError(f"{spec.name} has no share of a shard's reads. fix: give it reads_per_second")
        return
    host = consumers.get(spec.hosted_by)
    # guarantee: only observers share a process
    if host is None or host.hosted_by is not None or not {spec.part, host.part} <= set(OBSERVERS):
        raise ValueError(
            f"{spec.name} is hosted by {spec.hosted_by}, and an observer is run in its own process, or in that of "
            "another observer of the list that is not hosted itself. fix: leave out hosted_by, or name such a one"
        )
    if spec.reads_per_second or spec.batch_size is not None or spec.batching_window:
        raise ValueError(
            f"{spec.name} is given what its host {host.name} reads, in that one's batches. "
            "fix: leave out its reads_per_second, batch_size and batching_window"
        )


# People wait for what a notifier does; a lake file wants many records and gathers them for a minute anyway. What is
# left of a shard's reads is for looking on, and for what is added.
CONSUMERS = listed(
    ConsumerSpec(part=RESTAURANT_NOTIFIER, build="consumers.notifiers.restaurant:handler", reads_per_second=1.375),
    ConsumerSpec(part=USER_NOTIFIER, build="consumers.notifiers.user:handler", reads_per_second=1.375),
    ConsumerSpec(
        part=ARCHIVER,
        build="consumers.archiver:archivers",
        reads_per_second=0.75,
        # As large as pays off: a checkpoint moves behind each, also where every record becomes a dead letter.
        batch_size=4_000,
        batching_window=timedelta(minutes=1),
        may_start_at_latest=False,
        fills_lake=True,
    ),
    # It looks on, and misses nothing that the stream still has.
    ConsumerSpec(part=TRACKER, build="consumers.tracker:trackers", hosted_by=ARCHIVER, may_start_at_latest=False),
    # What others build on the events.
    ConsumerSpec(
        part=first_step("promo_issuer"),
        build="consumers.subscribers.promo_issuer:stateful",
        reads_per_second=0.25,
        begins=Beginning.HISTORY,
    ),
    # From the beginning: it misses no voucher, whichever of the two is started first.
    ConsumerSpec(
        part=first_step("voucher_mailer"),
        build="consumers.subscribers.voucher_mailer:handler",
        reads_per_second=0.25,
    ),
    # `takeaway new consumer` adds its line above this one.
)
# What these set apart is missing in the lake.
LAKE_FILLERS = tuple(spec.name for spec in CONSUMERS.values() if spec.fills_lake)


def readers() -> dict[str, ConsumerSpec]:
    """Those that read the stream themselves, each in a process and with leases of its own, by name."""
    return {name: spec for name, spec in CONSUMERS.items() if spec.hosted_by is None}


def fed_by(reader: ConsumerSpec) -> tuple[ConsumerSpec, ...]:
    """The consumers that are run in the reader's process: itself, and those that it hosts."""
    return reader, *(spec for spec in CONSUMERS.values() if spec.hosted_by == reader.name)


def reader_named(name: str) -> ConsumerSpec:
    """The consumer that a process is started for. Raises `SettingsError` for an unknown one, and for a hosted one."""
    spec = named(name)
    if spec.hosted_by is not None:
        raise SettingsError(
            f"{name} has no process of its own: it is run in that of {spec.hosted_by}. fix: start {spec.hosted_by}"
        )
    return spec


def named(name: str) -> ConsumerSpec:
    if name not in CONSUMERS:
        raise SettingsError(f"no consumer is called {name!r}. fix: name one of {', '.join(CONSUMERS)}")
    return CONSUMERS[name]
