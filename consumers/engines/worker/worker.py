"""The worker: looks after leases, and runs a thread for each shard it holds one of."""

import threading
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Protocol

from botocore.exceptions import BotoCoreError, ClientError

from consumers.diagnostics import (
    LeaseCreated,
    LeaseDeleted,
    LeaseTaken,
    RoundFailed,
    ShardDidNotDrain,
    ShardThreadDied,
    WorkerStarted,
    WorkerStopped,
)
from consumers.engines.worker import lease_plan
from consumers.engines.worker.lease import Lease, position_text
from consumers.engines.worker.lease_keeper import HeldLease, LeaseKeeper
from consumers.engines.worker.lease_plan import Leases, Shard, Sighting
from consumers.engines.worker.lease_table import LeaseTable
from consumers.engines.worker.settings import WorkerSettings, pause_after
from consumers.engines.worker.shard_list import listed_shards
from consumers.engines.worker.shard_reader import EndOfShard, ShardReader
from consumers.engines.worker.shard_worker import ShardWorker
from consumers.processing import ProcessorFactory
from foundation.clock import Clock, Wait
from foundation.diagnostics import Emit

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_kinesis import KinesisClient

# A shard that ends wakes the worker at most this late, so that its children are not kept waiting for a round.
_GLANCE_SECONDS = 1.0


class StartThread(Protocol):
    """`threading.Thread`, as far as it is used here."""

    def __call__(self, *, target: Callable[[], None], name: str, daemon: bool) -> threading.Thread: ...


class Worker:
    """One of an application's workers; together they read every shard of the stream, each by one worker at a time.

    `wait` and `thread` are `threading`'s own outside tests.
    """

    def __init__(
        self,
        settings: WorkerSettings,
        *,
        kinesis: "KinesisClient",
        dynamodb: "DynamoDBClient",
        factory: ProcessorFactory,
        clock: Clock,
        emit: Emit,
        wait: Callable[[threading.Event, float], bool] = threading.Event.wait,
        thread: StartThread = threading.Thread,
    ) -> None:
        self._settings = settings
        self._kinesis = kinesis
        self._factory = factory
        self._clock = clock
        self._emit = emit
        self._wait = wait
        self._thread = thread
        self._table = LeaseTable(dynamodb, settings.application, settings.worker_id)
        self._keeper = LeaseKeeper(self._table, clock=clock, failover=settings.failover_seconds, emit=emit)
        self._shards: dict[str, Shard] = {}
        self._synced_at: float | None = None
        self._sightings: dict[str, Sighting] = {}
        self._running: dict[str, tuple[ShardWorker, threading.Thread]] = {}
        self._has_table = False

    def run(self, stop: threading.Event) -> None:
        """Works until `stop` is set; then every shard drains, checkpoints and lets its lease go.

        What AWS answers is waited out. Any other error drains too, and is raised.
        """
        self._emit(WorkerStarted(self._settings.worker_id, self._settings.stream))
        keeper_ending = threading.Event()
        keeper = self._thread(
            target=partial(self._keeper.run, partial(self._wait, keeper_ending)), name="lease keeper", daemon=True
        )
        keeper.start()
        failures = 0
        try:
            while not stop.is_set():
                pause = self._settings.round_seconds
                try:
                    self._round(partial(self._wait, stop))
                    failures = 0
                except (ClientError, BotoCoreError) as error:
                    failures += 1
                    pause = min(pause, pause_after(failures))
                    self._emit(RoundFailed(error, pause))
                if not keeper.is_alive():
                    raise RuntimeError("the lease keeper's thread died. fix: see its traceback; run the worker again")
                self._rest(stop, pause)
        finally:
            self._drain()
            keeper_ending.set()
            keeper.join()
            self._emit(WorkerStopped(self._settings.worker_id))

    def _round(self, wait: Wait) -> None:
        """One look at the leases, and what follows from it."""
        self._has_table = self._has_table or self._table.create(wait)
        if not self._has_table:
            return
        self._bury_ended_threads()
        asked_at = self._clock.monotonic()
        leases = self._table.list()
        if self._synced_at is None or asked_at - self._synced_at >= self._settings.shard_sync_seconds:
            self._sync(leases)
            self._synced_at = asked_at
            leases = self._table.list()
        self._sightings = lease_plan.sighted(self._sightings, leases, self._clock.monotonic())
        self._take(leases, lease_plan.expired(self._sightings, asked_at, self._settings.failover_seconds))
        for lease in lease_plan.to_delete(leases, self._shards.keys()):
            self._table.delete(lease)
            self._emit(LeaseDeleted(lease.shard_id))

    def _sync(self, leases: Leases, ended: tuple[Shard, ...] = ()) -> None:
        """Makes the leases that are missing, also for the children that an ended shard names."""
        shards = {shard.shard_id: shard for shard in ended}
        shards |= {shard.shard_id: shard for shard in listed_shards(self._kinesis, self._settings.stream)}
        for lease in lease_plan.to_create(shards.values(), leases, self._settings.start):
            if self._table.add(lease):
                self._emit(LeaseCreated(lease.shard_id, position_text(lease.checkpoint)))
        self._shards = shards

    def _take(self, leases: Leases, expired: set[str]) -> None:
        held = self._keeper.held
        for lease in lease_plan.to_take(leases, self._settings.worker_id, held, expired):
            # A thread that lost its lease may still be busy with a record: it ends first.
            if lease.shard_id in self._running:
                continue
            taken = self._keeper.take(lease)
            if taken is not None:
                self._emit(LeaseTaken(lease.shard_id, lease.holder))
                self._start(taken, lease)

    def _start(self, held: HeldLease, lease: Lease) -> None:
        wait = partial(self._wait, held.ending)
        listed = self._shards.get(held.shard_id)
        reader = ShardReader(
            self._kinesis,
            self._settings,
            held.shard_id,
            lease.hash_keys or (listed.hash_keys if listed else None),
            clock=self._clock,
            wait=wait,
            emit=self._emit,
        )
        worker = ShardWorker(
            held, reader, self._factory, self._begin_children, self._settings, wait=wait, emit=self._emit
        )
        thread = self._thread(target=worker.run, name=held.shard_id, daemon=True)
        self._running[held.shard_id] = worker, thread
        thread.start()

    def _begin_children(self, shard_id: str, end: EndOfShard) -> frozenset[str]:
        """Called from a shard's thread, before SHARD_END is written: from then on its children may start."""
        self._sync(self._table.list(), end.children)
        children = {lease.shard_id for lease in self._table.list().values() if shard_id in lease.parents}
        if not children and not end.gone:
            raise LookupError(f"{shard_id} has ended, and {self._settings.stream} lists no child of it yet")
        return frozenset(children)

    def _bury_ended_threads(self) -> None:
        for shard_id, (worker, thread) in list(self._running.items()):
            if thread.is_alive():
                continue
            if not worker.is_over:
                self._emit(ShardThreadDied(shard_id))
            self._keeper.drop(worker.held)
            del self._running[shard_id]

    def _rest(self, stop: threading.Event, seconds: float) -> None:
        """Waits for the next round, or until a shard's thread has ended."""
        until = self._clock.monotonic() + seconds
        while (left := until - self._clock.monotonic()) > 0:
            if self._wait(stop, min(left, _GLANCE_SECONDS)):
                return
            if any(worker.is_over or not thread.is_alive() for worker, thread in self._running.values()):
                return

    def _drain(self) -> None:
        for worker, _ in self._running.values():
            worker.held.ending.set()
        until = self._clock.monotonic() + self._settings.drain_seconds
        for shard_id, (_, thread) in self._running.items():
            thread.join(max(0.0, until - self._clock.monotonic()))
            if thread.is_alive():
                self._emit(ShardDidNotDrain(shard_id, self._settings.drain_seconds))
