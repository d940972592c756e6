"""The KCL's daemon, as far as a child sees it: the lines it writes and reads, and when it takes a checkpoint.

https://github.com/awslabs/amazon-kinesis-client/tree/master/amazon-kinesis-client-multilang
"""

import base64
import json
from collections import deque
from collections.abc import Callable
from typing import Any

from amazon_kclpy.kcl import KCLProcess
from amazon_kclpy.v3.processor import RecordProcessorBase

from foundation.kinesis.records import Position, Record, Sentinel, SequenceNumber, position_key

Place = tuple[str | None, int | None]


class FakeDaemon:
    """Talks to one child in this very thread. `refusals` are what its next checkpoints are answered with."""

    def __init__(self, *, shard_id: str = "shardId-000000000000", checkpoint: Position = Sentinel.TRIM_HORIZON) -> None:
        self.shard_id = shard_id
        self.checkpoint = checkpoint
        self.checkpoints: list[Position] = []
        self.refusals: deque[str] = deque()
        self.before_checkpoint: Callable[[], None] = lambda: None
        self.said: list[dict[str, Any]] = []
        self._delivered = checkpoint
        self._lines: deque[str] = deque()
        self._process: KCLProcess | None = None

    def start(self, child: RecordProcessorBase) -> None:
        self._process = KCLProcess(child, self, self, self)  # type: ignore[arg-type]
        place = self.checkpoint
        number, sub = (place.number, place.sub) if isinstance(place, SequenceNumber) else (place.value, 0)
        self._tell("initialize", shardId=self.shard_id, sequenceNumber=number, subSequenceNumber=sub)

    def give(self, *records: Record, millis_behind_latest: int | None = 0) -> None:
        if records:
            self._delivered = records[-1].sequence_number
        self._tell(
            "processRecords",
            records=[message(record) for record in records],
            millisBehindLatest=millis_behind_latest,
        )

    def end_shard(self) -> None:
        """As the KCL does, which starts the children only after a checkpoint at the very end."""
        self._delivered = Sentinel.SHARD_END
        self._tell("shardEnded")

    def request_shutdown(self) -> None:
        self._tell("shutdownRequested")

    def lose_lease(self) -> None:
        self._tell("leaseLost")

    # The child's ends of the line.

    def readline(self) -> str:
        return self._lines.popleft() if self._lines else ""

    def write(self, text: str) -> None:
        if not text.strip():
            return
        message = json.loads(text)
        self.said.append(message)
        if message["action"] == "checkpoint":
            self.before_checkpoint()
            self._lines.append(json.dumps(self._answered(message)))

    def flush(self) -> None:
        pass

    def _tell(self, action: str, **fields: Any) -> None:
        assert self._process is not None
        self._lines.append(json.dumps({"action": action, **fields}) + "\n")
        self._process.run()
        assert self.said[-1] == {"action": "status", "responseFor": action}

    def _answered(self, asked: dict[str, Any]) -> dict[str, Any]:
        number, sub = asked["sequenceNumber"], asked["subSequenceNumber"]
        answer = {"action": "checkpoint", "sequenceNumber": number, "subSequenceNumber": sub}
        error = self.refusals.popleft() if self.refusals else None
        position = self._delivered if number is None else SequenceNumber(number, sub or 0)
        # ShardRecordProcessorCheckpointer: between the last checkpoint and the last record delivered.
        if not position_key(self.checkpoint) <= position_key(position) <= position_key(self._delivered):
            error = "IllegalArgumentException"
        if error is None:
            self.checkpoint = position
            self.checkpoints.append(position)
        return {**answer, "error": error} if error else answer


def message(record: Record) -> dict[str, Any]:
    return {
        "action": "record",
        "data": base64.b64encode(record.data).decode(),
        "partitionKey": record.partition_key,
        "sequenceNumber": record.number,
        "subSequenceNumber": record.sub,
        "approximateArrivalTimestamp": int(record.arrived * 1000),
    }
