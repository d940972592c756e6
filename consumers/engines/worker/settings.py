"""The worker's settings, and the limits and pauses it keeps to."""

import socket
import uuid
from dataclasses import dataclass, field
from datetime import datetime

from consumers.records import Sentinel

# https://docs.aws.amazon.com/streams/latest/dev/service-sizes-and-limits.html
READS_PER_SECOND = 5
READ_RECORDS = 10_000

_LONGEST_PAUSE = 30.0


@dataclass(frozen=True)
class WorkerSettings:
    """`application` names the lease table; all its workers must agree on `failover_seconds`.

    `start` is where the application begins on its first day; AT_TIMESTAMP begins at `start_at`.
    `reads_per_second` is this application's share of the 5 reads a second that all who poll a shard have together.
    """

    application: str
    stream: str
    worker_id: str = field(default_factory=lambda: f"{socket.gethostname()}-{uuid.uuid4().hex[:12]}")
    start: Sentinel = Sentinel.TRIM_HORIZON
    start_at: datetime | None = None
    failover_seconds: float = 10.0
    reads_per_second: float = 1.0
    read_records: int = READ_RECORDS
    shard_sync_seconds: float = 60.0
    stopped_seconds: float = 300.0
    drain_seconds: float = 60.0

    def __post_init__(self) -> None:
        if self.start is Sentinel.SHARD_END:
            raise ValueError("start is SHARD_END. fix: use TRIM_HORIZON, LATEST or AT_TIMESTAMP")
        if (self.start is Sentinel.AT_TIMESTAMP) != (self.start_at is not None):
            raise ValueError(f"start is {self.start.value} and start_at is {self.start_at}. fix: AT_TIMESTAMP needs it")
        if not 1 <= self.read_records <= READ_RECORDS:
            raise ValueError(f"read_records is {self.read_records}. fix: use 1 to {READ_RECORDS}")

        if not 0 < self.reads_per_second <= READS_PER_SECOND:
            raise ValueError(
                f"reads_per_second is {self.reads_per_second}. fix: a share of the {READS_PER_SECOND} that a shard has"
            )

    @property
    def read_seconds(self) -> float:
        """This application's share of a shard's reads: at least so long from one read to the next."""
        return 1 / self.reads_per_second

    @property
    def renewal_seconds(self) -> float:
        return self.failover_seconds / 3

    @property
    def round_seconds(self) -> float:
        """How often the leases are looked after: often enough to see twice, within the failover, that one stands."""
        return self.failover_seconds / 2


def pause_after(failures: int, first: float = 1.0) -> float:
    """How long to wait after so many failures in a row: doubled each time, half a minute at most."""
    return min(_LONGEST_PAUSE, first * 2.0 ** min(failures - 1, 16))
