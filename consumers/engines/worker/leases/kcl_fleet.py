"""Being one worker of a running KCL 3.0 to 3.4 fleet: its leader, a Java worker, says who reads what.

What it needs to see of us, and where: https://github.com/awslabs/amazon-kinesis-client, worker/metricstats,
coordinator/assignment. From 3.5 on a new application keeps all of it in the lease table instead.
"""

import threading
from collections.abc import Collection
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from consumers.engines.worker.leases.coverage import Leases, may_start
from consumers.engines.worker.leases.fair_share import Moves
from consumers.engines.worker.leases.fleet import CannotJoin
from consumers.processing import ProcessorFactory, Progress, RecordProcessor, ShardAssignment
from foundation.clock import Clock
from foundation.error_codes import error_code
from foundation.kinesis import Batch, Position

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

# Who has not been heard of for a minute is given nothing: workerMetricsReporterFreqInMillis and its staleness.
_REPORT_SECONDS = 30.0
# LeaseStatsRecorder's weight of what is new.
_ALPHA = 0.5
_BYTES = 1024
_LEADERLESS = {"CLIENT_VERSION_INIT", "CLIENT_VERSION_2X", "CLIENT_VERSION_UPGRADE_FROM_2X"}


class KclFleet:
    """A worker that starts what the fleet's leader gave it, and tells the leader that it lives and how much it reads.

    It steals nothing, and without a leader it gets nothing: there must always be a Java worker.
    """

    def __init__(
        self, client: "DynamoDBClient", application: str, worker_id: str, *, look_seconds: float, clock: Clock
    ) -> None:
        self._client = client
        self._application = application
        self._worker_id = worker_id
        self._look_seconds = look_seconds
        self._clock = clock
        self._meters: dict[str, Meter] = {}
        self._reported_at: float | None = None

    def join(self) -> None:
        if self._reported_at is None:
            self._require_a_leader()
        now = self._clock.monotonic()
        if self._reported_at is None or now - self._reported_at >= _REPORT_SECONDS:
            self._report()
            self._reported_at = now

    def look(self, leases: Leases, held: Collection[str], asked_at: float, now: float) -> Moves:  # noqa: ARG002
        given = tuple(
            lease
            for lease in leases.values()
            if lease.owner == self._worker_id
            and lease.checkpoint_owner is None
            and lease.shard_id not in held
            and may_start(lease, leases)
        )
        return Moves(take=given, ask_for=(), look_in=self._look_seconds)

    def leave(self) -> None:
        """Before the leases are let go: as long as we are listed, the leader gives them back to us."""
        if self._reported_at is not None:
            self._client.delete_item(TableName=self._metrics_table, Key={"wid": {"S": self._worker_id}})

    def metered(self, factory: ProcessorFactory) -> ProcessorFactory:
        def metered(assignment: ShardAssignment) -> RecordProcessor:
            meter = self._meters.setdefault(assignment.shard_id, Meter(self._clock))
            return _Metered(factory(assignment), meter)

        return metered

    def throughput(self, shard_id: str) -> float | None:
        meter = self._meters.get(shard_id)
        return None if meter is None else meter.kilobytes_a_second()

    @property
    def _metrics_table(self) -> str:
        return f"{self._application}-WorkerMetricStats"

    @property
    def _state_table(self) -> str:
        return f"{self._application}-CoordinatorState"

    def _report(self) -> None:
        """No metrics of our machine: then the leader weighs us by our leases' throughput."""
        self._client.put_item(
            TableName=self._metrics_table,
            Item={
                "wid": {"S": self._worker_id},
                "lut": {"N": str(int(self._clock.now().timestamp()))},
                "sts": {"M": {}},
                "opr": {"M": {}},
            },
        )

    def _require_a_leader(self) -> None:
        missing = [name for name in (self._state_table, self._metrics_table) if not self._is_there(name)]
        if missing:
            raise CannotJoin(
                f"{self._application} is no fleet of KCL 3.0 to 3.4: there is no table {' and no '.join(missing)}. "
                "fix: start its Java workers first; if they are there, and are of KCL 3.5 or later, they keep all in "
                "one table, which we cannot join; without any, set TAKEAWAY_FLEET=own"
            )
        key = {"key": {"S": "Migration3.0"}}
        row = self._client.get_item(TableName=self._state_table, Key=key, ConsistentRead=True).get("Item", {})
        version = row.get("cv", {}).get("S", "")
        if version in _LEADERLESS:
            raise CannotJoin(
                f"{self._application} works as KCL 2.x does, without a leader: {self._state_table} says {version}. "
                "fix: set TAKEAWAY_FLEET=own, which shares leases as KCL 2.x does, or finish the fleet's migration"
            )

    def _is_there(self, table: str) -> bool:
        try:
            self._client.describe_table(TableName=table)
        except ClientError as error:
            if error_code(error) != "ResourceNotFoundException":
                raise
            return False
        return True


class Meter:
    """How fast one shard is read: what came since the last time it was asked, smoothed as the KCL does."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._since = clock.monotonic()
        self._bytes = 0
        self._average: float | None = None

    def add(self, size: int) -> None:
        with self._lock:
            self._bytes += size

    def kilobytes_a_second(self) -> float | None:
        """None until time has passed."""
        now = self._clock.monotonic()
        with self._lock:
            if now > self._since:
                rate = self._bytes / _BYTES / (now - self._since)
                before = rate if self._average is None else self._average
                self._average = _ALPHA * rate + (1 - _ALPHA) * before
                self._bytes, self._since = 0, now
            return self._average


class _Metered:
    """A processor whose input is counted."""

    def __init__(self, processor: RecordProcessor, meter: Meter) -> None:
        self._processor = processor
        self._meter = meter

    @property
    def resume_after(self) -> Position:
        return self._processor.resume_after

    def process(self, batch: Batch) -> Progress:
        self._meter.add(sum(len(record.data) for record in batch.records))
        return self._processor.process(batch)

    def flush(self) -> Progress:
        return self._processor.flush()
