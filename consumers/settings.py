"""What a consumer's process is told from outside."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from consumers.batching import BatchRules
from consumers.specs import Beginning, ConsumerSpec, fed_by, readers
from foundation.kinesis import READ_BYTES_PER_SECOND, Sentinel
from foundation.settings import SettingsError, variable


@dataclass(frozen=True)
class ConsumerSettings:
    """Each field is the variable TAKEAWAY_<FIELD>; the stack's outputs give those without a default."""

    stream: str
    outcomes_table: str
    dead_letter_bucket: str
    ticket_topic: str
    sender: str
    # Of subscribers that keep a state.
    states_table: str | None = None
    stack: str = "takeaway"
    # Longer than the stream's retention plus the age at which dead letters are redriven.
    outcome_days: int = 30
    # The consumers' processes share a shard's 2 MiB a second: each has to read all of it.
    read_bytes_per_second: float = READ_BYTES_PER_SECOND / len(readers())
    # fan_out: Kinesis pushes, with 2 MiB a second for this application alone; each shard of it costs money.
    retrieval: Literal["polling", "fan_out"] = "polling"
    # Where consumers begin on their first day, if not as their specs say: trim_horizon, latest, or
    # at_timestamp:2026-03-14T12:00:00Z.
    start: str | None = None
    failover_seconds: float = 10.0
    # own: our workers share the shards among themselves; kcl: they join a running KCL 3.0 to 3.4, and obey its leader.
    fleet: Literal["own", "kcl"] = "own"
    # The notifiers' batch rules; consumers.batching.rules says what each means.
    batch_size: int = 500
    batching_window_seconds: float = 0.0
    parallelization_factor: int = 8
    max_attempts: int = 5
    max_record_age_seconds: float | None = None

    def __post_init__(self) -> None:
        _ = self.rules, self.first_position  # says what is wrong with one before anything is read

    @property
    def rules(self) -> BatchRules:
        age = self.max_record_age_seconds
        return BatchRules(
            batch_size=self.batch_size,
            batching_window=timedelta(seconds=self.batching_window_seconds),
            parallelization_factor=self.parallelization_factor,
            max_attempts=self.max_attempts,
            max_record_age=None if age is None else timedelta(seconds=age),
        )

    @property
    def first_position(self) -> tuple[Sentinel, datetime | None] | None:
        """Where consumers begin on their first day, and the moment when that is one; None: as their specs say."""
        if self.start is None:
            return None
        kind, _, moment = self.start.partition(":")
        try:
            start = Sentinel[kind.upper()]
            start_at = datetime.fromisoformat(moment) if moment else None
        except (KeyError, ValueError):
            start, start_at = Sentinel.SHARD_END, None
        is_moment = start_at is not None and start_at.tzinfo is not None
        if start is Sentinel.SHARD_END or (start is Sentinel.AT_TIMESTAMP) != is_moment:
            raise SettingsError(
                f"{variable('start')} is {self.start!r}. "
                "fix: trim_horizon, latest, or at_timestamp:2026-03-14T12:00:00Z with the time zone"
            )
        return start, start_at

    def first_position_of(self, consumer: ConsumerSpec) -> tuple[Sentinel, datetime | None]:
        """Where its process begins, as all that are run in it may."""
        begins = self.first_position
        if begins is None:
            # A replay of history has written checkpoints; a shard without one is new, and has all that is to be read.
            return (Sentinel.LATEST if consumer.begins is Beginning.NOW else Sentinel.TRIM_HORIZON), None
        for one in fed_by(consumer):
            if begins[0] is Sentinel.LATEST and not one.may_start_at_latest:
                raise SettingsError(
                    f"{variable('start')} is {self.start!r}, and the {one.name} would miss all that the stream holds "
                    f"by now. fix: start the {consumer.name} at trim_horizon"
                )
        return begins

    def batch_records(self, consumer: ConsumerSpec) -> int:
        """How many records the consumer is given at a time."""
        return consumer.batch_size or self.batch_size

    @property
    def keep_outcomes(self) -> timedelta:
        return timedelta(days=self.outcome_days)

    def application(self, consumer: ConsumerSpec) -> str:
        """The consumer's name towards Kinesis and DynamoDB: its lease table, the owner of its outcomes and states."""
        return f"{self.stack}-{consumer.name}"
