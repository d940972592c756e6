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
    # Reading applications that share each shard's five reads a second: three consumers and a person looking on.
    polling_applications: int = 4
    failover_seconds: float = 10.0

    @property
    def keep_outcomes(self) -> timedelta:
        return timedelta(days=self.outcome_days)

    def application(self, consumer: str) -> str:
        """The consumer's name towards Kinesis and DynamoDB: its lease table, and the owner of its outcomes."""
        return f"{self.stack}-{consumer}"
