"""The threads in which one worker reads its shards."""

import threading

from consumers.diagnostics import ShardDidNotDrain, ShardThreadDied
from consumers.engines.worker.leases import HeldLease
from consumers.engines.worker.shard_worker import ShardWorker
from foundation.clock import Clock
from foundation.diagnostics import Emit
from foundation.threads import StartThread


class ShardThreads:
    """One thread for each shard, and never two: who lost a lease may still be busy with a record of it."""

    def __init__(self, *, thread: StartThread, clock: Clock, emit: Emit) -> None:
        self._thread = thread
        self._clock = clock
        self._emit = emit
        self._running: dict[str, tuple[ShardWorker, threading.Thread]] = {}

    def __contains__(self, shard_id: str) -> bool:
        return shard_id in self._running

    @property
    def have_news(self) -> bool:
        """Whether one of them has ended, in whatever way."""
        return any(worker.is_over or not thread.is_alive() for worker, thread in self._running.values())

    def start(self, worker: ShardWorker) -> None:
        shard_id = worker.held.shard_id
        thread = self._thread(target=worker.run, name=shard_id, daemon=True)
        self._running[shard_id] = worker, thread
        thread.start()

    def bury(self) -> list[HeldLease]:
        """Forgets the threads that have ended; the leases they had."""
        ended = {shard_id: worker for shard_id, (worker, thread) in self._running.items() if not thread.is_alive()}
        for shard_id, worker in ended.items():
            if not worker.is_over:
                self._emit(ShardThreadDied(shard_id))
            del self._running[shard_id]
        return [worker.held for worker in ended.values()]

    def drain(self, seconds: float) -> None:
        """Tells all of them to end, and waits for that, so many seconds in all."""
        for worker, _ in self._running.values():
            worker.held.ending.set()
        until = self._clock.monotonic() + seconds
        for shard_id, (_, thread) in self._running.items():
            thread.join(max(0.0, until - self._clock.monotonic()))
            if thread.is_alive():
                self._emit(ShardDidNotDrain(shard_id, seconds))
