"""Who of a fleet reads which shard, decided from values alone: every worker comes to the same plan, and does its part.

The plan moves as few leases as there can be: free ones first, then what some hold above their fair share.
"""

import hashlib
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice

from consumers.engines.worker.leases.coverage import Leases, may_start
from consumers.engines.worker.leases.lease import Lease

# The KCL's gracefulLeaseHandoffTimeoutMillis:
# https://github.com/awslabs/amazon-kinesis-client, leases/LeaseManagementConfig.java
HANDOVER_SECONDS = 30.0


@dataclass(frozen=True)
class Sighting:
    """What we saw last of a lease, each since when (seconds of our own monotonic clock): its counter, and its two names
    when it is being handed over.
    """

    counter: int
    since: float
    handover: tuple[str | None, str | None] | None
    handover_since: float


@dataclass(frozen=True)
class Moves:
    """What to do now: start these; ask the holders of those for them; and look at the leases again that soon."""

    take: tuple[Lease, ...]
    ask_for: tuple[Lease, ...]
    look_in: float


def sighted(before: Mapping[str, Sighting], leases: Leases, now: float) -> dict[str, Sighting]:
    """What we know after looking at the table: what has changed is news, what stands keeps its age."""
    return {shard_id: _sighted(before.get(shard_id), lease, now) for shard_id, lease in leases.items()}


def expired(sightings: Mapping[str, Sighting], now: float, failover: float) -> set[str]:
    """The leases whose counter stood still for `failover` seconds of our own clock."""
    return {shard_id for shard_id, sighting in sightings.items() if now - sighting.since >= failover}


def planned(
    leases: Leases,
    me: str,
    held: Collection[str],
    sightings: Mapping[str, Sighting],
    *,
    now: float,
    failover: float,
    usual: float,
    soon: float,
) -> Moves:
    """This worker's part of the plan; `held` are the leases that it reads.

    A worker that nobody sees yet takes or asks for a single lease, and plans its share on the next look: then all who
    came with it are seen, and none reaches for a share that is theirs.
    """
    pool = _Pool.of(leases, me, held, sightings, now, failover)
    supply = [*pool.free, *pool.surplus()]
    first_in_need, need = pool.place_in_line()
    mine = supply[first_in_need : first_in_need + need]
    is_new = not pool.loads[me]
    if is_new and mine:
        mine = [min(pool.free or supply, key=lambda lease: _preference(me, lease))]
    free = {lease.shard_id for lease in pool.free}
    take = [*pool.given, *(lease for lease in mine if lease.shard_id in free)]
    # guarantee: rebalancing repeats no effect
    ask_for = [lease for lease in mine if lease.shard_id not in free]
    unsettled = bool(ask_for or pool.awaited or (is_new and mine))
    due = min((sightings[lease.shard_id].since + failover - now for lease in pool.others), default=usual)
    return Moves(tuple(take), tuple(ask_for), soon if unsettled else max(soon, min(usual, due)))


@dataclass(frozen=True)
class _Pool:
    """The leases that may be read now, as one worker sees them.

    `given` bear our name and wait only for us: they were handed over, the answer to our take was lost, or their holder
    was asked in vain. `awaited` are being handed over to us. `others` are read by other workers. `loads` says how many
    each worker has or is about to get; who let a lease run out is no part of it, and will get none.
    """

    me: str
    given: list[Lease]
    free: list[Lease]
    awaited: list[Lease]
    others: list[Lease]
    loads: Counter[str]
    total: int

    @classmethod
    def of(
        cls,
        leases: Leases,
        me: str,
        held: Collection[str],
        sightings: Mapping[str, Sighting],
        now: float,
        failover: float,
    ) -> "_Pool":
        gone = expired(sightings, now, failover)
        startable = sorted(
            (lease for lease in leases.values() if may_start(lease, leases)), key=lambda lease: lease.shard_id
        )
        given, free, awaited, others = [], [], [], []
        for lease in startable:
            if lease.shard_id in held:
                continue
            sighting = sightings[lease.shard_id]
            if lease.owner == me and (
                lease.holder == me or now - sighting.handover_since >= HANDOVER_SECONDS + failover
            ):
                given.append(lease)
            elif lease.holder is None or lease.shard_id in gone:
                free.append(lease)
            else:
                others.append(lease)
                if lease.owner == me:
                    awaited.append(lease)
        is_free = {lease.shard_id for lease in free}
        silent = {lease.holder for lease in free} - {None, me}
        loads = Counter({me: 0})
        loads.update(
            owner
            for lease in startable
            if lease.shard_id not in is_free and (owner := lease.owner or lease.holder) and owner not in silent
        )
        return cls(me, given, free, awaited, others, loads, len(startable))

    def surplus(self) -> Iterator[Lease]:
        """What others hold above their share, and is not on its way already, worker by worker."""
        settled: dict[str, list[Lease]] = {worker: [] for worker in self.loads}
        for lease in self.others:
            if lease.checkpoint_owner is None and lease.owner in settled:
                settled[lease.owner].append(lease)
        shares = self.shares()
        for worker in sorted(self.loads):
            yield from islice(reversed(settled[worker]), max(0, self.loads[worker] - shares[worker]))

    def place_in_line(self) -> tuple[int, int]:
        """How many leases go to workers before us, and how many to us."""
        shares = self.shares()
        needs = {worker: max(0, shares[worker] - load) for worker, load in self.loads.items()}
        return sum(need for worker, need in needs.items() if worker < self.me), needs[self.me]

    def shares(self) -> dict[str, int]:
        """Fair shares, equal up to one. Who has most gets the greater ones, so that the fewest leases move."""
        share, rest = divmod(self.total, len(self.loads))
        by_load = sorted(self.loads, key=lambda worker: (-self.loads[worker], worker))
        return {worker: share + (place < rest) for place, worker in enumerate(by_load)}


def _sighted(before: Sighting | None, lease: Lease, now: float) -> Sighting:
    handover = (lease.owner, lease.checkpoint_owner) if lease.checkpoint_owner else None
    return Sighting(
        lease.counter,
        before.since if before and before.counter == lease.counter else now,
        handover,
        before.handover_since if before and before.handover == handover else now,
    )


def _preference(me: str, lease: Lease) -> bytes:
    """Each worker has an order of its own, so that two of them seldom reach for the same lease."""
    return hashlib.sha256(f"{me}\n{lease.shard_id}".encode()).digest()
