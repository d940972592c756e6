"""The suite's `worker`: the real one, on its real lease table's code, over fakes of Kinesis and DynamoDB."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from consumers.engines.worker.leases.table import LeaseTable
from consumers.engines.worker.settings import WorkerSettings
from consumers.engines.worker.worker import Worker
from foundation.kinesis.records import Position
from tests.conformance.engine import FIRST, Gone
from tests.conformance.scene import BATCH_RECORDS, STREAM, Scene
from tests.support.fakes.clock import FakeClock
from tests.support.fakes.leases import FakeDynamoDB

_APPLICATION = "conformance"


@dataclass
class _Process:
    name: str
    stop: threading.Event = field(default_factory=threading.Event)
    thread: threading.Thread | None = None
    is_gone: bool = False


class WorkerEngine:
    most_repeated = BATCH_RECORDS

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self._dynamodb = FakeDynamoDB()
        LeaseTable(self._dynamodb.client, _APPLICATION, "yesterday").create(FakeClock().wait)
        self._processes: list[_Process] = []

    def start(self) -> None:
        process = _Process(f"worker-{len(self._processes) + 1}")
        worker = Worker(
            WorkerSettings(
                application=_APPLICATION, stream=STREAM, worker_id=process.name, batch_records=BATCH_RECORDS
            ),
            kinesis=self._scene.kinesis.client,
            dynamodb=self._dynamodb.client,
            factory=self._scene.factory(),
            clock=self._scene.time.clock,
            emit=self._scene.happened.append,
            wait=self._scene.threads.wait,
            thread=self._scene.threads.thread,
        )
        process.thread = self._scene.threads.thread(target=lambda: worker.run(process.stop), name=process.name)
        process.thread.start()
        self._processes.append(process)

    def stop(self) -> None:
        self._end(self._processes[-1])

    def crash(self) -> None:
        self._processes[-1].is_gone = True
        self.freeze()

    def die(self) -> None:
        process = next(one for one in self._processes if one.name == threading.current_thread().group)  # type: ignore[attr-defined]
        process.is_gone = True
        self._scene.threads.freeze(process.name)
        self._scene.run(0)
        raise Gone

    def freeze(self) -> Callable[[], None]:
        name = self._processes[-1].name
        self._scene.threads.freeze(name)
        return lambda: self._scene.threads.thaw(name)

    def break_checkpoints(self, times: int) -> None:
        self._dynamodb.fail("update_item", "ProvisionedThroughputExceededException", times)

    def lose_answer(self) -> None:
        self._dynamodb.lose_answer("update_item")

    def checkpoint(self, shard_id: str = FIRST) -> Position:
        return LeaseTable(self._dynamodb.client, _APPLICATION, "onlooker").list()[shard_id].checkpoint

    def end(self) -> None:
        for process in self._processes:
            self._scene.threads.thaw(process.name)
            self._end(process)

    def _end(self, process: _Process) -> None:
        process.stop.set()
        if process.thread is not None:
            process.thread.join()
