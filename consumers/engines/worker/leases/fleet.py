"""How leases come to a worker: by a plan that all workers share, or from the leader of a KCL fleet."""

from collections.abc import Collection
from dataclasses import replace
from typing import Protocol

from consumers.engines.worker.leases.coverage import Leases
from consumers.engines.worker.leases.fair_share import Moves, Sighting, planned, sighted
from consumers.engines.worker.leases.lease import Lease
from consumers.engines.worker.leases.table import LeaseTable
from consumers.processing import ProcessorFactory


class CannotJoin(Exception):
    """There is no fleet that this worker could be part of. Says why, and what to do."""


class Fleet(Protocol):
    """The workers of one application, seen by one of them. Errors of DynamoDB are the caller's to wait out."""

    def join(self) -> None:
        """Called before every look. Raises `CannotJoin`."""

    def look(self, leases: Leases, held: Collection[str], asked_at: float, now: float) -> Moves:
        """What to do about the leases as the table told them, asked at that moment; we read those that are `held`."""

    def leave(self) -> None:
        """From now on nothing is given to this worker. Called before its leases are let go."""

    def metered(self, factory: ProcessorFactory) -> ProcessorFactory:
        """The same processors; notes how much they are fed, where the fleet wants to know."""

    def throughput(self, shard_id: str) -> float | None:
        """KB a second, since the last time it was asked; None where nobody wants to know."""


class OwnFleet:
    """Our own workers, without a leader: each looks at the table, makes the same plan, and does its part of it."""

    def __init__(self, table: LeaseTable, *, failover: float, usual: float, soon: float) -> None:
        self._table = table
        self._failover = failover
        self._usual = usual
        self._soon = soon
        self._sightings: dict[str, Sighting] = {}
        self._awaited: list[Lease] = []

    def join(self) -> None:
        """Whoever has a lease is one of us."""

    def look(self, leases: Leases, held: Collection[str], asked_at: float, now: float) -> Moves:
        me = self._table.worker_id
        self._sightings = sighted(self._sightings, leases, now)
        moves = planned(
            leases,
            me,
            held,
            self._sightings,
            now=asked_at,
            failover=self._failover,
            usual=self._usual,
            soon=self._soon,
        )
        self._awaited = [lease for lease in leases.values() if lease.owner == me and lease.holder != me]
        self._awaited += [replace(lease, owner=me, checkpoint_owner=lease.owner) for lease in moves.ask_for]
        return moves

    def leave(self) -> None:
        """Takes back what we asked for: given to us now, it would lie idle for the failover time."""
        for lease in self._awaited:
            self._table.withdraw(lease)

    def metered(self, factory: ProcessorFactory) -> ProcessorFactory:
        return factory

    def throughput(self, _: str) -> float | None:
        return None
