"""Keeps the leases of this worker alive, whatever their shards' threads are doing."""

import threading
from collections.abc import Iterable

from botocore.exceptions import BotoCoreError, ClientError

from consumers.diagnostics import LeaseEvicted, LeaseLost, LeaseRenewalFailed
from consumers.engines.worker.lease import Lease, position_text
from consumers.engines.worker.lease_table import LeaseTable
from consumers.records import Position
from foundation.clock import Clock, Wait
from foundation.diagnostics import Emit


class HeldLease:
    """A lease that this worker holds. `ending` is set when the shard's thread has to come to an end.

    Renewals and checkpoints move the same counter, so they take turns. By our own clock the lease is lost when it could
    not be written for the failover time: by then another worker may have it.
    """

    def __init__(
        self, table: LeaseTable, lease: Lease, *, since: float, clock: Clock, failover: float, emit: Emit
    ) -> None:
        self.shard_id = lease.shard_id
        self.hash_keys = lease.hash_keys
        self.ending = threading.Event()
        self._table = table
        self._clock = clock
        self._failover = failover
        self._emit = emit
        self._lock = threading.RLock()
        self._lease = lease
        self._alive_at = since
        self._lost = False

    @property
    def lost(self) -> bool:
        return self._lost or self._clock.monotonic() - self._alive_at >= self._failover

    @property
    def checkpoint(self) -> Position:
        return self._lease.checkpoint

    def renew(self) -> bool:
        """The heartbeat; False when the lease is lost."""
        with self._lock:
            started = self._clock.monotonic()
            return not self.lost and self._written(self._table.renew(self._lease), started)

    def write_checkpoint(self, position: Position, children: Iterable[str] = ()) -> bool:
        """False when the lease is lost; then nothing was written."""
        with self._lock:
            started = self._clock.monotonic()
            return not self.lost and self._written(self._table.checkpoint(self._lease, position, children), started)

    def evict(self) -> bool:
        """Lets it go for good; False when it was lost already."""
        with self._lock:
            if self.lost or not self._table.evict(self._lease):
                self.give_up()
                return False
            self._lost = True
            self._emit(LeaseEvicted(self.shard_id, position_text(self.checkpoint)))
            return True

    def give_up(self) -> None:
        """From now on nothing is written, and the shard's thread ends."""
        with self._lock:
            if not self._lost:
                self._lost = True
                self._emit(LeaseLost(self.shard_id))
        self.ending.set()

    def _written(self, lease: Lease | None, started: float) -> bool:
        if lease is None:
            self.give_up()
            return False
        self._lease = lease
        self._alive_at = started
        return True


class LeaseKeeper:
    """Renews every held lease three times in its failover time, from a thread of its own."""

    def __init__(self, table: LeaseTable, *, clock: Clock, failover: float, emit: Emit) -> None:
        self._table = table
        self._clock = clock
        self._failover = failover
        self._emit = emit
        self._lock = threading.Lock()
        self._held: dict[str, HeldLease] = {}

    @property
    def held(self) -> dict[str, HeldLease]:
        """Those that are still ours, as far as we know, by shard."""
        with self._lock:
            return {shard_id: lease for shard_id, lease in self._held.items() if not lease.lost}

    def take(self, lease: Lease) -> HeldLease | None:
        """Takes a lease and keeps it from now on; None when another worker was quicker."""
        since = self._clock.monotonic()
        taken = self._table.take(lease)
        if taken is None:
            return None
        held = HeldLease(self._table, taken, since=since, clock=self._clock, failover=self._failover, emit=self._emit)
        with self._lock:
            self._held[lease.shard_id] = held
        return held

    def drop(self, held: HeldLease) -> None:
        """Stops keeping a lease that is finished, evicted or lost."""
        with self._lock:
            if self._held.get(held.shard_id) is held:
                del self._held[held.shard_id]

    def run(self, wait: Wait) -> None:
        """Renews until `wait` is cut short."""
        interval = self._failover / 3
        while not wait(interval):
            # A write that went wrong is not left alone for a third of what is left to us.
            interval = self._failover / (3 if self.renew_all() else 10)

    def renew_all(self) -> bool:
        """One heartbeat for each lease; False when the table could not be written, and the next one is urgent."""
        all_written = True
        with self._lock:
            kept = list(self._held.values())
        for held in kept:
            try:
                held.renew()
            except (ClientError, BotoCoreError) as error:
                all_written = False
                self._emit(LeaseRenewalFailed(held.shard_id, error))
            if held.lost:
                held.give_up()
                self.drop(held)
        return all_written
