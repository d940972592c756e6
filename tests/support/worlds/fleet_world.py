"""A fleet of workers on simulated time, without threads and tables: only the plan, many leases, and stale views."""

import heapq
import itertools
import random
from collections import Counter
from dataclasses import dataclass, field, replace

from consumers.engines.worker.leases.fair_share import Sighting, planned, sighted
from consumers.engines.worker.leases.lease import Lease
from foundation.kinesis.records import Sentinel

FAILOVER = 10.0
USUAL = FAILOVER / 2
SOON = FAILOVER / 10
RENEWAL = FAILOVER / 3


@dataclass
class Member:
    """A worker: what it holds, and what it remembers of the others."""

    name: str
    held: dict[str, int] = field(default_factory=dict)
    sightings: dict[str, Sighting] = field(default_factory=dict)


@dataclass
class FleetWorld:
    """Members look at the leases, each when its plan says, and act on what they saw up to `staleness` seconds ago.

    `moves` counts every lease that begins to be read by another worker; `looks` and `refused` what that cost.
    """

    shards: int
    seed: int
    staleness: float = 0.5
    now: float = 0.0
    moves: int = 0
    looks: int = 0
    refused: int = 0
    members: dict[str, Member] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)
        names = [f"shardId-{number:012d}" for number in range(self.shards)]
        self.leases = {name: Lease(name, Sentinel.TRIM_HORIZON) for name in names}
        self._due: list[tuple[float, int, str, str]] = []
        self._order = itertools.count()
        self._views: dict[str, tuple[float, dict[str, Lease]]] = {}

    def join(self, name: str) -> None:
        self.members[name] = Member(name)
        self._at(self.random.random() * SOON / 2, "look", name)
        self._at(self.random.random() * RENEWAL, "renew", name)

    def kill(self, name: str) -> None:
        del self.members[name]

    def leave(self, name: str) -> None:
        """As after SIGTERM: it lets go of what it holds, and takes back what it has asked for."""
        member = self.members.pop(name)
        for lease in list(self.leases.values()):
            if lease.shard_id in member.held:
                owner = lease.owner if lease.checkpoint_owner else None
                self._write(replace(lease, owner=owner, checkpoint_owner=None, counter=lease.counter + 1))
            elif lease.owner == name:
                self._write(replace(lease, owner=lease.checkpoint_owner, checkpoint_owner=None))

    def run(self, seconds: float) -> None:
        until = self.now + seconds
        while self._due and self._due[0][0] <= until:
            self.now, _, what, name = heapq.heappop(self._due)
            if name in self.members:
                getattr(self, f"_{what}")(self.members[name])
        self.now = until

    def loads(self) -> dict[str, int]:
        """How many leases each member really reads."""
        return {name: len(member.held) for name, member in sorted(self.members.items())}

    def _at(self, delay: float, what: str, name: str) -> None:
        heapq.heappush(self._due, (self.now + delay, next(self._order), what, name))

    def _look(self, member: Member) -> None:
        """Sees the table now, and acts on that a moment later."""
        self.looks += 1
        self._views[member.name] = self.now, dict(self.leases)
        self._at(self.random.random() * self.staleness, "act", member.name)

    def _act(self, member: Member) -> None:
        asked_at, view = self._views[member.name]
        member.sightings = sighted(member.sightings, view, self.now)
        moves = planned(
            view,
            member.name,
            member.held,
            member.sightings,
            now=asked_at,
            failover=FAILOVER,
            usual=USUAL,
            soon=SOON,
        )
        look_in = moves.look_in
        for lease in moves.take:
            if self.leases[lease.shard_id].counter != lease.counter:
                self.refused += 1
                look_in = min(look_in, SOON)
                continue
            taken = replace(lease, owner=member.name, checkpoint_owner=None, counter=lease.counter + 1)
            self._write(taken)
            member.held[lease.shard_id] = taken.counter
            self.moves += 1
        for lease in moves.ask_for:
            current = self.leases[lease.shard_id]
            if current.owner == lease.owner and current.checkpoint_owner is None:
                self._write(replace(current, owner=member.name, checkpoint_owner=lease.owner))
            else:
                self.refused += 1
        self._at(look_in, "look", member.name)

    def _renew(self, member: Member) -> None:
        """Each lease that is asked for is handed over, each that was taken is given up."""
        for shard_id, counter in list(member.held.items()):
            lease = self.leases[shard_id]
            if lease.counter != counter:
                del member.held[shard_id]
                continue
            if lease.checkpoint_owner == member.name:
                lease = replace(lease, checkpoint_owner=None)
                del member.held[shard_id]
            else:
                member.held[shard_id] = counter + 1
            self._write(replace(lease, counter=counter + 1))
        self._at(RENEWAL, "renew", member.name)

    def _write(self, lease: Lease) -> None:
        self.leases[lease.shard_id] = lease


def least_moves(loads: Counter[str], alive: list[str], shards: int) -> int:
    """How many leases have to move at least until those alive have fair shares of all."""
    share, rest = divmod(shards, len(alive))
    by_load = sorted(alive, key=lambda name: -loads[name])
    return sum(max(0, share + (place < rest) - loads[name]) for place, name in enumerate(by_load))
