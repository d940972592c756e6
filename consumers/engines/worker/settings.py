"""The worker's settings, and the limits and pauses it keeps to."""

import socket
import uuid
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from foundation.kinesis import MAX_READ_RECORDS, READ_BYTES_PER_SECOND, READS_PER_SECOND, Sentinel

# Whose workers read the stream together: ours alone, or those of a running KCL, with a Java worker as their leader.
FleetKind = Literal["own", "kcl"]

# How records come: asked for by GetRecords, or pushed to a registered consumer with 2 MiB a second of its own.
Retrieval = Literal["polling", "fan_out"]


@dataclass(frozen=True)
class WorkerSettings:
    """`application` names the lease table, and the consumer when records come by fan-out; all its workers must agree
    on `failover_seconds`.

    `start` is where the application begins on its first day; AT_TIMESTAMP begins at `start_at`.
    `reads_per_second` and `read_bytes_per_second` are this application's share of the 5 reads and 2 MiB a second that
    all who poll a shard have together.
    A processor is given `batch_records` at most at a time; after each, a checkpoint is written and a stop noticed.
    """

    application: str
    stream: str
    worker_id: str = field(default_factory=lambda: f"{socket.gethostname()}-{uuid.uuid4().hex[:12]}")
    start: Sentinel = Sentinel.TRIM_HORIZON
    start_at: datetime | None = None
    failover_seconds: float = 10.0
    fleet: FleetKind = "own"
    retrieval: Retrieval = "polling"
    reads_per_second: float = 1.0
    read_bytes_per_second: float = READ_BYTES_PER_SECOND
    read_records: int = MAX_READ_RECORDS
    batch_records: int = MAX_READ_RECORDS
    shard_sync_seconds: float = 60.0
    stopped_seconds: float = 300.0
    drain_seconds: float = 60.0

    def __post_init__(self) -> None:
        if self.start is Sentinel.SHARD_END:
            raise ValueError("start is SHARD_END. fix: use TRIM_HORIZON, LATEST or AT_TIMESTAMP")
        if (self.start is Sentinel.AT_TIMESTAMP) != (self.start_at is not None):
            raise ValueError(f"start is {self.start.value} and start_at is {self.start_at}. fix: AT_TIMESTAMP needs it")
        if not 1 <= self.read_records <= MAX_READ_RECORDS:
            raise ValueError(f"read_records is {self.read_records}. fix: use 1 to {MAX_READ_RECORDS}")
        if self.batch_records < 1:
            raise ValueError(f"batch_records is {self.batch_records}. fix: use at least 1")
        if not 0 < self.reads_per_second <= READS_PER_SECOND:
            raise ValueError(
                f"reads_per_second is {self.reads_per_second}. fix: a share of the {READS_PER_SECOND} that a shard has"
            )
        if not 0 < self.read_bytes_per_second <= READ_BYTES_PER_SECOND:
            raise ValueError(
                f"read_bytes_per_second is {self.read_bytes_per_second}. "
                f"fix: a share of the {READ_BYTES_PER_SECOND} that a shard has"
            )

    @property
    def renewal_seconds(self) -> float:
        return self.failover_seconds / 3

    @property
    def soon_seconds(self) -> float:
        """How long to wait for what should happen any moment: an answer to a request, or a lease that runs out."""
        return self.failover_seconds / 10

    @property
    def round_seconds(self) -> float:
        """How often the leases are looked after: often enough to see twice, within the failover, that one stands."""
        return self.failover_seconds / 2
