"""The suite's `aws_lambda`: the real function, behind a poller that keeps to AWS's documented rules.

https://docs.aws.amazon.com/lambda/latest/dg/services-kinesis-batchfailurereporting.html
"""

import base64
import json
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from consumers.engines.aws_lambda.function import KinesisFunction
from foundation.kinesis.hash_keys import HashKeyRange
from foundation.kinesis.records import Position, Sentinel, SequenceNumber
from tests.conformance.engine import FIRST, Gone
from tests.conformance.scene import BATCH_RECORDS, STREAM, Scene

# The timeout of the function, and how long the poller waits for new records and after a failure.
TIMEOUT = 120.0
_POLL_SECONDS = 1.0
_BATCH_SIZE = 10


@dataclass
class _Shard:
    """A shard's place in the mapping: only what was done is behind it."""

    position: Position = Sentinel.TRIM_HORIZON
    thread: threading.Thread | None = None


class LambdaEngine:
    """One mapping: ParallelizationFactor 1, retries and age without end, no bisecting, ReportBatchItemFailures."""

    most_repeated = _BATCH_SIZE

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self._shards: dict[str, _Shard] = {}
        self._containers: dict[str, KinesisFunction] = {}
        self._disabled = threading.Event()
        self._service: threading.Thread | None = None
        self._lost_answers = 0

    def start(self) -> None:
        if self._service is None:
            self._service = self._scene.threads.thread(target=self._run, name="mapping")
            self._service.start()

    def stop(self) -> None:
        raise NotImplementedError

    def crash(self) -> None:
        """The containers are gone between two invocations; Lambda makes new ones."""
        self._containers.clear()

    def die(self) -> None:
        raise Gone

    def freeze(self) -> Callable[[], None]:
        raise NotImplementedError

    def break_checkpoints(self, times: int) -> None:
        raise NotImplementedError

    def lose_answer(self) -> None:
        self._lost_answers += 1

    def checkpoint(self, shard_id: str = FIRST) -> Position:
        return self._shards[shard_id].position

    def end(self) -> None:
        self._disabled.set()
        if self._service is not None:
            self._service.join()

    # Lambda's part.

    def _run(self) -> None:
        while not self._scene.threads.wait(self._disabled, _POLL_SECONDS):
            held = self._scene.kinesis.streams[STREAM].shards
            for shard_id, shard in held.items():
                if shard_id not in self._shards and all(self._has_ended(parent) for parent in shard.parents):
                    self._shards[shard_id] = mapped = _Shard()
                    mapped.thread = self._scene.threads.thread(
                        target=lambda one=shard_id: self._poll(one), name=f"mapping of {shard_id}"
                    )
                    mapped.thread.start()
        for mapped in self._shards.values():
            if mapped.thread is not None:
                mapped.thread.join()

    def _has_ended(self, shard_id: str) -> bool:
        return shard_id in self._shards and self._shards[shard_id].position is Sentinel.SHARD_END

    def _poll(self, shard_id: str) -> None:
        mapped = self._shards[shard_id]
        while not self._scene.threads.wait(self._disabled, _POLL_SECONDS):
            records = self._behind(mapped.position, shard_id)[:_BATCH_SIZE]
            if records:
                done = self._invoked(shard_id, records)
                mapped.position = SequenceNumber(records[done - 1]["SequenceNumber"]) if done else mapped.position
            elif self._scene.kinesis.streams[STREAM].shards[shard_id].closed_at is not None:
                mapped.position = Sentinel.SHARD_END
                return

    def _behind(self, position: Position, shard_id: str) -> list[dict[str, Any]]:
        records = self._scene.kinesis.records(shard_id)
        if isinstance(position, SequenceNumber):
            return [record for record in records if SequenceNumber(record["SequenceNumber"]) > position]
        return records

    def _invoked(self, shard_id: str, records: list[dict[str, Any]]) -> int:
        """How many of the records are done, by the rules of partial batch responses."""
        function = self._containers.setdefault(shard_id, self._container())
        deadline = self._scene.time.monotonic() + TIMEOUT
        try:
            answer = function.handle(_event(shard_id, records), lambda: deadline - self._scene.time.monotonic())
        except Gone:
            del self._containers[shard_id]
            return 0
        except Exception:  # noqa: BLE001 - a function's error is Lambda's to handle: the whole batch again
            return 0
        if self._scene.time.monotonic() > deadline:
            # Lambda ends a function that runs for too long, and its container.
            del self._containers[shard_id]
            return 0
        if self._lost_answers:
            self._lost_answers -= 1
            return 0
        return _done(json.loads(json.dumps(answer)), [record["SequenceNumber"] for record in records])

    def _container(self) -> KinesisFunction:
        return KinesisFunction(
            self._scene.factory(),
            hash_keys_of=self._hash_keys,
            batch_records=BATCH_RECORDS,
            wait=self._wait,
            emit=self._scene.happened.append,
        )

    def _wait(self, seconds: float) -> bool:
        self._scene.run(seconds)
        return False

    def _hash_keys(self, stream: str, shard_id: str) -> HashKeyRange | None:
        shard = self._scene.kinesis.streams[stream].shards[shard_id]
        return HashKeyRange(shard.first_hash_key, shard.last_hash_key)


def _event(shard_id: str, records: list[dict[str, Any]]) -> Any:
    """As the function gets it: through JSON."""
    entries = [
        {
            "kinesis": {
                "kinesisSchemaVersion": "1.0",
                **({"partitionKey": record["PartitionKey"]} if "PartitionKey" in record else {}),
                "sequenceNumber": record["SequenceNumber"],
                "data": base64.b64encode(record["Data"]).decode(),
                "approximateArrivalTimestamp": record["ApproximateArrivalTimestamp"].timestamp(),
            },
            "eventSource": "aws:kinesis",
            "eventVersion": "1.0",
            "eventID": f"{shard_id}:{record['SequenceNumber']}",
            "eventName": "aws:kinesis:record",
            "invokeIdentityArn": "arn:aws:iam::000000000000:role/takeaway",
            "awsRegion": "us-east-1",
            "eventSourceARN": f"arn:aws:kinesis:us-east-1:000000000000:stream/{STREAM}",
        }
        for record in records
    ]
    return json.loads(json.dumps({"Records": entries}))


def _done(answer: Any, numbers: list[str]) -> int:
    """An empty or missing list is a success; an item without a number of the batch makes all of it a failure."""
    failures = (answer or {}).get("batchItemFailures") or []
    if any(failure.get("itemIdentifier") not in numbers for failure in failures):
        return 0
    return min((numbers.index(failure["itemIdentifier"]) for failure in failures), default=len(numbers))
