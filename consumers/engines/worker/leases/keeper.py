"""Keeps the leases of this worker alive, whatever their shards' threads are doing."""

import threading
from collections.abc import Callable, Iterable
from datetime import datetime

from consumers.diagnostics import LeaseAskedFor, LeaseEvicted, LeaseHandedOver, LeaseLost, LeaseRenewalFailed
from consumers.engines.worker.leases.lease import Lease, position_text
from consumers.engines.worker.leases.note import Note
from consumers.engines.worker.leases.table import LeaseTable
from consumers.processing import Trouble
from foundation.clock import Clock, Wait
from foundation.diagnostics import Emit
from foundation.kinesis import Position

# How fast a shard is read, in KB a second since the last time it was asked; None where nobody wants to know.
Throughput = Callable[[str], float | None]


class HeldLease:
    """A lease that this worker holds. `ending` is set when the shard's thread has to come to an end.

    Renewals and checkpoints move the same counter, so they take turns. By our own clock the lease is lost when it could
    not be written for the failover time: by then another worker may have it. When another worker asks for it, the shard
    ends, and the lease stays ours until it is let go. Whatever is written also notes how the shard stands: what
    keeps it from getting on goes out with the next heartbeat.
    """

    def __init__(
        self, table: LeaseTable, lease: Lease, *, since: float, clock: Clock, failover: float, emit: Emit
    ) -> None:
        self.shard_id = lease.shard_id
        self.hash_keys = lease.hash_keys
        self.latest_since = lease.latest_since
        self.creation = lease.creation
        self.made_anew = lease.made_anew
        self.ending = threading.Event()
        self._table = table
        self._clock = clock
        self._failover = failover
        self._emit = emit
        self._lock = threading.RLock()
        self._lease = lease
        self._trouble: Trouble | None = None
        self._held_since = self._moved_at = clock.now()
        noted = lease.note
        if noted is not None and noted.moved_at is not None and noted.position == position_text(lease.checkpoint):
            self._moved_at = noted.moved_at
        self._alive_at = since
        self._lost = False
        self._is_asked_for = False
        self._is_leaving = False
        self._look_who_asks()

    @property
    def lost(self) -> bool:
        return self._lost or self._clock.monotonic() - self._alive_at >= self._failover

    @property
    def checkpoint(self) -> Position:
        return self._lease.checkpoint

    def note_trouble(self, trouble: Trouble | None) -> None:
        """What keeps the shard from getting on, or None: goes out with the next heartbeat."""
        self._trouble = trouble

    def renew(self, throughput: float | None = None) -> bool:
        """The heartbeat; False when the lease is lost."""
        with self._lock:
            # One that we let go may be another's already, although we have had no answer yet.
            return not self.lost if self._is_leaving else self._renewed(throughput)

    def write_checkpoint(self, position: Position, children: Iterable[str] = ()) -> bool:
        """False when the lease is lost; then nothing was written."""
        with self._lock:
            while not self.lost:
                started = self._clock.monotonic()
                moved_at = self._moved_at if position == self.checkpoint else self._clock.now()
                note = self._note(position, moved_at)
                if not self._written(self._table.checkpoint(self._lease, position, children, note), started):
                    return False
                if self.checkpoint == position:
                    self._moved_at = moved_at
                    return True
            return False

    def let_go(self) -> bool:
        """For good: to who asked for it, else for anybody to take; False when it was lost already."""
        with self._lock:
            self._is_leaving = True
            # A renewal tells who has asked for it, or withdrawn that, since we looked.
            if self._is_let_go() or (self._renewed() and self._is_let_go()):
                self._lost = True
                return True
            self.give_up()
            return False

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
        self._look_who_asks()
        return True

    def _renewed(self, throughput: float | None = None) -> bool:
        started = self._clock.monotonic()
        note = self._note(self.checkpoint, self._moved_at)
        return not self.lost and self._written(self._table.renew(self._lease, throughput, note), started)

    def _note(self, position: Position, moved_at: datetime) -> Note:
        return Note(self._table.worker_id, position_text(position), moved_at, self._held_since, self._trouble)

    def _is_let_go(self) -> bool:
        lease, place = self._lease, position_text(self.checkpoint)
        if self.lost:
            return False
        if lease.checkpoint_owner is None:
            if evicted := self._table.evict(lease):
                self._emit(LeaseEvicted(self.shard_id, place))
            return evicted
        if handed_over := self._table.hand_over(lease):
            self._emit(LeaseHandedOver(self.shard_id, str(lease.owner), place))
        return handed_over

    def _look_who_asks(self) -> None:
        if self._lease.checkpoint_owner is not None and not self._is_asked_for:
            self._is_asked_for = True
            self._emit(LeaseAskedFor(self.shard_id, str(self._lease.owner)))
            self.ending.set()


class LeaseKeeper:
    """Renews every held lease three times in its failover time, from a thread of its own."""

    def __init__(self, table: LeaseTable, *, throughput: Throughput, clock: Clock, failover: float, emit: Emit) -> None:
        self._table = table
        self._throughput = throughput
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

    def take(self, lease: Lease, creation: str | None = None) -> HeldLease | None:
        """Takes a lease and keeps it from now on; None when another worker was quicker. `creation` is the stream's."""
        since = self._clock.monotonic()
        taken = self._table.take(lease, self._clock.now(), creation)
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
                held.renew(self._throughput(held.shard_id))
            except Exception as error:  # noqa: BLE001 - whatever it is: without this thread every lease would be lost
                all_written = False
                self._emit(LeaseRenewalFailed(held.shard_id, error))
            if held.lost:
                held.give_up()
                self.drop(held)
        return all_written
