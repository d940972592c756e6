"""A stream that the KCL and our worker read in turn or together, and an account of every record put and seen."""

import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

from aws_kinesis_agg.aggregator import RecordAggregator

from consumers.engines.worker.leases.lease import Lease
from consumers.engines.worker.leases.table import LeaseTable
from foundation import aws
from foundation.kinesis.aggregation import AGGREGATE_KEY
from takeaway.local import processes
from takeaway.local.processes import Running, Service
from tests.interop.recorder import KCL, WORKER, Seen, seen

SHARDS = 4
AGGREGATED = 125  # user records in an aggregate, and plain records between two of them
STOP_SECONDS = 80.0


@dataclass
class World:
    """A stream, an application that reads it, and every record that was put and seen."""

    environ: dict[str, str]
    folder: Path
    stream: str = field(default_factory=lambda: f"interop-{uuid4().hex[:8]}")
    put: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.kinesis: Any = aws.client("kinesis", self.environ)
        self.dynamodb: Any = aws.client("dynamodb", self.environ)
        self._started = 0
        self.running: list[Running] = []
        self.kinesis.create_stream(StreamName=self.stream, ShardCount=SHARDS)
        until(lambda: self._status() == "ACTIVE", 10, "the stream is ready")
        listed = self.kinesis.list_shards(StreamName=self.stream)["Shards"]
        self._hash_keys = [shard["HashKeyRange"]["StartingHashKey"] for shard in listed]

    @property
    def application(self) -> str:
        return f"{self.stream}-reader"

    @property
    def file(self) -> Path:
        return self.folder / "seen"

    def fill(self, rounds: int) -> None:
        """To each shard, so many times over: plain records, then as many in one aggregate of the KPL's kind."""
        for _ in range(rounds):
            for hash_key in self._hash_keys:
                plain = [self._data(0) for _ in range(AGGREGATED)]
                entries: list[Any] = [
                    {"Data": data, "PartitionKey": data, "ExplicitHashKey": hash_key} for data in plain
                ]
                aggregate = RecordAggregator()
                for sub in range(AGGREGATED):
                    aggregate.add_user_record("key", self._data(sub).encode(), hash_key)
                _, _, packed = aggregate.clear_and_get().get_contents()
                entries.append({"Data": packed, "PartitionKey": AGGREGATE_KEY, "ExplicitHashKey": hash_key})
                answer = self.kinesis.put_records(StreamName=self.stream, Records=entries)
                assert answer["FailedRecordCount"] == 0

    def trickle(self, stop: threading.Event) -> None:
        """About 200 plain records a second, to all shards in turn, until told to stop."""
        while not stop.wait(0.1):
            entries = [
                {"Data": data, "PartitionKey": data, "ExplicitHashKey": hash_key}
                for hash_key in self._hash_keys
                for data in (self._data(0) for _ in range(5))
            ]
            self.kinesis.put_records(StreamName=self.stream, Records=entries)

    def start(self, engine: str, **settings: object) -> Running:
        self._started += 1
        environ = {
            **self.environ,
            "TAKEAWAY_STREAM": self.stream,
            "TAKEAWAY_APPLICATION": self.application,
            "TAKEAWAY_FILE": str(self.file),
            "TAKEAWAY_HOME": str(self.folder / "home"),
            **{f"TAKEAWAY_{name.upper()}": str(value) for name, value in settings.items()},
        }
        name = f"{engine}-{self._started}"
        running = processes.start(
            Service(name, "tests.interop.recorder", [engine], following=True), environ=environ, logs=self.folder
        )
        self.running.append(running)
        return running

    def stop(self, running: Running) -> float:
        """In good order; answers how many seconds it took."""
        began = time.monotonic()  # noqa: TID251 - of the real machine
        assert processes.stop([running], grace=STOP_SECONDS) == []
        assert processes.exit_code(running) == 0, processes.last_words(running, 30)
        return time.monotonic() - began  # noqa: TID251

    def seen(self) -> list[Seen]:
        return [one for one in seen(self.file) if not one.held]

    def lines(self) -> int:
        return len(list(seen(self.file)))

    def held_since(self, lines: int) -> set[str]:
        """The shards whose reader got so far as to hold, after so many lines."""
        return {one.shard_id for one in list(seen(self.file))[lines:] if one.held}

    def set_on_every_lease(self, attribute: str, number: int) -> None:
        for shard_id in self.leases():
            self.dynamodb.update_item(
                TableName=self.application,
                Key={"leaseKey": {"S": shard_id}},
                UpdateExpression=f"SET {attribute} = :it",
                ExpressionAttributeValues={":it": {"N": str(number)}},
            )

    def free_leases(self) -> None:
        """As if whoever read last had let them go; the KCL does not."""
        for shard_id in self.leases():
            self.dynamodb.update_item(
                TableName=self.application, Key={"leaseKey": {"S": shard_id}}, UpdateExpression="REMOVE leaseOwner"
            )

    def on_every_lease(self, attribute: str) -> list[object]:
        rows = self.dynamodb.scan(TableName=self.application, ConsistentRead=True)["Items"]
        return [row.get(attribute, {}).get("N") for row in rows]

    def leases(self) -> dict[str, Lease]:
        return LeaseTable(self.dynamodb, self.application, "onlooker").list()

    def await_(self, reached: Callable[[], bool], seconds: float, what: str) -> float:
        """Waits until it is so; fails with the last words of what ran when it does not come about."""

        def checked() -> bool:
            for one in self.running:
                assert one.process() or processes.exit_code(one) == 0, processes.last_words(one, 30)
            return reached()

        return until(checked, seconds, what)

    def reads(self, engine: str, within: int) -> set[str]:
        """The shards that the last so many lines were of, as far as this engine wrote them."""
        return {one.shard_id for one in self.seen()[-within:] if one.engine == engine}

    def missing(self) -> int:
        return len(Counter(self.put) - Counter(one.data for one in self.seen()))

    def doubled(self) -> int:
        return sum((Counter(one.data for one in self.seen()) - Counter(self.put)).values())

    def by(self, engine: str) -> int:
        return sum(one.engine == engine for one in self.seen())

    def misplaced(self) -> list[Seen]:
        """Seen behind a later record of its shard, or under another sub-sequence number than its place."""
        wrong, last = [], dict[str, tuple[int, int]]()
        for one in self.seen():
            place = int(one.number), one.sub
            if place <= last.get(one.shard_id, (-1, -1)) or one.sub != int(one.data.partition("-")[2]):
                wrong.append(one)
            last[one.shard_id] = place
        return wrong

    def row(self) -> dict[str, object]:
        return {
            "records": len(self.put),
            "by_KCL": self.by(KCL),
            "by_ours": self.by(WORKER),
            "missing": self.missing(),
            "doubled": self.doubled(),
            "misplaced": len(self.misplaced()),
        }

    def _data(self, sub: int) -> str:
        data = f"{len(self.put)}-{sub}"
        self.put.append(data)
        return data

    def _status(self) -> str:
        described = self.kinesis.describe_stream_summary(StreamName=self.stream)["StreamDescriptionSummary"]
        return str(described["StreamStatus"])


def until(reached: Callable[[], bool], seconds: float, what: str) -> float:
    began = time.monotonic()  # noqa: TID251
    while not reached():
        assert time.monotonic() - began < seconds, f"{what}: not within {seconds:g} s"  # noqa: TID251
        time.sleep(0.1)  # noqa: TID251
    return time.monotonic() - began  # noqa: TID251
