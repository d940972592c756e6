"""A small world on simulated time: a stream, a lease table, workers in threads, a processor that notes its effects."""

import threading
from collections.abc import Callable
from typing import Any, TypeVar

from aws_kinesis_agg.aggregator import RecordAggregator

from consumers.engines.worker.leases.lease import Lease
from consumers.engines.worker.leases.table import LeaseTable
from consumers.engines.worker.settings import WorkerSettings
from consumers.engines.worker.worker import Worker
from consumers.processing import ProcessorFactory, Progress, RecordFailure, ShardAssignment
from foundation.diagnostics import Diagnostic
from foundation.kinesis.records import Batch, Position, Record, position_key
from tests.support.fakes.clock import FakeClock
from tests.support.fakes.kinesis import FakeKinesis
from tests.support.fakes.leases import FakeDynamoDB
from tests.support.fakes.threads import SimulatedThreads

DiagnosticT = TypeVar("DiagnosticT", bound=Diagnostic)
APPLICATION = "notes"


class Notes:
    """A processor whose effect is a note of each record. `before` is asked first: it may raise, or take its time."""

    def __init__(self, world: "World", worker_id: str, assignment: ShardAssignment) -> None:
        if world.unopenable:
            world.unopenable -= 1
            raise OSError("no connection")
        self._world = world
        self._worker_id = worker_id
        self._assignment = assignment
        self._done: Position = assignment.checkpoint

    @property
    def resume_after(self) -> Position:
        return self._done

    def process(self, batch: Batch) -> Progress:
        if self._world.naive:
            self._done = batch.after
        for record in batch.records:
            if position_key(record.sequence_number) <= position_key(self._done):
                continue
            if record.data.decode(errors="replace") == self._world.exit_at:
                self._world.exit_at = None
                raise SystemExit
            try:
                self._world.before(self._worker_id, record)
            except Refused as refused:
                return Progress(self._done, RecordFailure(record.sequence_number, self._world.failure or refused))
            self._world.effects.append((self._worker_id, batch.shard_id, record))
            self._done = record.sequence_number
        return Progress(self._assignment.checkpoint if self._world.lazy else self._done)

    def flush(self) -> Progress:
        if self._world.unflushable:
            self._world.unflushable -= 1
            raise OSError("no space")
        self._world.flushed += 1
        return Progress(self._done)


class Refused(Exception):
    """What `before` raises to fail one record; anything else breaks out of the processor."""


class Running:
    """A worker in its thread."""

    def __init__(self, threads: SimulatedThreads, thread: threading.Thread, stop: threading.Event) -> None:
        self._threads = threads
        self._thread = thread
        self._stop = stop

    def stop_after(self, seconds: float) -> None:
        self._threads.run(seconds)
        self.stop()

    def stop(self) -> None:
        """As SIGTERM does; comes back when the worker has ended."""
        self._stop.set()
        self._thread.join()

    @property
    def name(self) -> str:
        return self._thread.name


class World:
    """On the `first_day` there is no lease table yet, and making one takes its time."""

    def __init__(self, *, shards: int = 1, number_width: int = 56, first_day: bool = False) -> None:
        self.time = FakeClock()
        self.threads = SimulatedThreads(self.time)
        self.kinesis = FakeKinesis(self.time.clock, shards=shards, number_width=number_width)
        self.dynamodb = FakeDynamoDB()
        if not first_day:
            LeaseTable(self.dynamodb.client, APPLICATION, "yesterday").create(FakeClock().wait)
        self.happened: list[Diagnostic] = []
        self.effects: list[tuple[str, str, Record]] = []
        self.before: Callable[[str, Record], Any] = lambda *_: None
        self.failure: Exception | None = None  # what `Refused` is reported as
        self.lazy = False  # a processor whose effects wait for its flush
        self.naive = False  # a processor that takes the place it was read from for one of its own
        self.flushed = 0
        self.unflushable = 0  # how many flushes are still to fail
        self.unopenable = 0
        self.exit_at: str | None = None  # the text at which the processor's thread ends
        self.factory: ProcessorFactory | None = None  # makes other processors than `Notes`
        self._running: list[Running] = []

    def start(self, worker_id: str = "worker-1", **settings: Any) -> Running:
        worker = Worker(
            WorkerSettings(application=APPLICATION, stream="orders", worker_id=worker_id, **settings),
            kinesis=self.kinesis.client,
            dynamodb=self.dynamodb.client,
            factory=self.factory or (lambda assignment: Notes(self, worker_id, assignment)),
            clock=self.time.clock,
            emit=self.happened.append,
            wait=self.threads.wait,
            thread=self.threads.thread,
        )
        stop = threading.Event()
        thread = self.threads.thread(target=lambda: worker.run(stop), name=worker_id)
        thread.start()
        self._running.append(running := Running(self.threads, thread, stop))
        return running

    def end(self) -> None:
        """Stops what still runs, so that no thread outlives its test, and none has died unseen."""
        self.before = lambda *_: None
        for running in self._running:
            self.threads.thaw(running.name)
            running.stop()
        assert self.threads.crashes == [], "a thread died that no test expected to"

    def run(self, seconds: float) -> None:
        self.threads.run(seconds)

    def freeze(self, worker_id: str) -> None:
        """None of the worker's threads goes on, as after SIGSTOP or in a long pause of its machine."""
        self.threads.freeze(worker_id)

    def crashes(self) -> list[type[BaseException]]:
        """What threads have died of since the last look."""
        died, self.threads.crashes = self.threads.crashes, []
        return [type(crash) for crash in died]

    def thaw(self, worker_id: str) -> None:
        self.threads.thaw(worker_id)

    def sleep(self, seconds: float) -> None:
        """For a handler that takes its time."""
        self.threads.run(seconds)

    def put(self, *texts: str, key: str | None = None) -> list[str]:
        """One plain record each, keyed by its own text unless told; their sequence numbers."""
        return [
            self.kinesis.put_record(StreamName="orders", Data=text.encode(), PartitionKey=key or text)["SequenceNumber"]
            for text in texts
        ]

    def put_aggregate(self, *texts: str, key: str = "order-1", outer_key: str = "order-1") -> str:
        """All of them in one aggregated record; its sequence number."""
        aggregator = RecordAggregator()
        for text in texts:
            aggregator.add_user_record(key, text.encode())
        _, _, data = aggregator.clear_and_get().get_contents()
        answer = self.kinesis.put_record(StreamName="orders", Data=data, PartitionKey=outer_key)
        return str(answer["SequenceNumber"])

    def texts(self, worker_id: str | None = None) -> list[str]:
        """What was noted, in the order it was."""
        return [
            record.data.decode(errors="replace") for worker, _, record in self.effects if worker_id in {None, worker}
        ]

    def leases(self) -> dict[str, Lease]:
        return LeaseTable(self.dynamodb.client, APPLICATION, "onlooker").list()

    def all(self, kind: type[DiagnosticT]) -> list[DiagnosticT]:
        return [happening for happening in self.happened if isinstance(happening, kind)]


def failing(times: int, text: str, error: Exception) -> Callable[[str, Record], None]:
    """A `before` that fails so many times when it comes to the record with this text."""
    left = [times]

    def before(_: str, record: Record) -> None:
        if record.data.decode() == text and left[0]:
            left[0] -= 1
            raise error

    return before
