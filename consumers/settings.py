"""What a consumer's process is told from outside."""

from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True)
class ConsumerSettings:
    """Each field is the variable TAKEAWAY_<FIELD>; the stack's outputs give those without a default."""

    stream: str
    outcomes_table: str
    dead_letter_bucket: str
    ticket_topic: str
    sender: str
    stack: str = "takeaway"
    # Longer than the stream's retention plus the age at which dead letters are redriven.
    outcome_days: int = 30
    # All who poll a shard share its five reads a second: two notifiers that somebody waits for, an archiver that
    # gathers a file for a minute anyway, and one read a second left for a person looking on.
    reads_per_second: float = 1.75
    archiver_reads_per_second: float = 0.5
    failover_seconds: float = 10.0

    @property
    def keep_outcomes(self) -> timedelta:
        return timedelta(days=self.outcome_days)

    def reads(self, consumer: str) -> float:
        """How often a second the consumer may read each shard."""
        return self.archiver_reads_per_second if consumer == "archiver" else self.reads_per_second

    def application(self, consumer: str) -> str:
        """The consumer's name towards Kinesis and DynamoDB: its lease table, and the owner of its outcomes."""
        return f"{self.stack}-{consumer}"
