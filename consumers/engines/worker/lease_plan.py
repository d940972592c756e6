"""What to do about leases, decided from values alone: which to create, take, steal, start and delete."""

import hashlib
import math
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from graphlib import TopologicalSorter

from consumers.engines.worker.lease import HashKeyRange, Lease
from consumers.records import Sentinel

Leases = Mapping[str, Lease]

# A lease that stands on one of these has not been read from yet.
_UNREAD = (Sentinel.TRIM_HORIZON, Sentinel.AT_TIMESTAMP)


@dataclass(frozen=True)
class Shard:
    """A shard as Kinesis lists it. Two parents when it came from a merge; `closed` takes no more records."""

    shard_id: str
    hash_keys: HashKeyRange
    parents: frozenset[str] = frozenset()
    closed: bool = False


@dataclass(frozen=True)
class Sighting:
    """A lease's counter, and since when (seconds of our own monotonic clock) we have seen it stand there."""

    counter: int
    since: float


def to_create(shards: Iterable[Shard], leases: Leases, start: Sentinel) -> list[Lease]:
    """The missing leases, parents first, so that nobody sees a child whose parent is still to come.

    A shard born from one we read is read from its beginning. A shard whose parent is trimmed away too: its past is
    what we missed. Any other begins where the application begins; with LATEST that leaves closed shards out.
    """
    listed = {shard.shard_id: shard for shard in shards}
    finished_with = {ancestor for shard_id in leases for ancestor in _ancestors(shard_id, listed, leases)}
    created: dict[str, Lease] = {}
    for shard in _parents_first(listed):
        if shard.shard_id in leases or shard.shard_id in finished_with:
            continue
        is_descendant = any(parent in leases or parent in created for parent in shard.parents)
        lost_its_past = bool(leases) and bool(shard.parents) and not shard.parents & listed.keys()
        if is_descendant or lost_its_past:
            position = Sentinel.AT_TIMESTAMP if start is Sentinel.AT_TIMESTAMP else Sentinel.TRIM_HORIZON
        elif start is Sentinel.LATEST and shard.closed:
            continue
        else:
            position = start
        created[shard.shard_id] = Lease(shard.shard_id, position, parents=shard.parents, hash_keys=shard.hash_keys)
    return list(created.values())


def sighted(before: Mapping[str, Sighting], leases: Leases, now: float) -> dict[str, Sighting]:
    """What we know after looking at the table: a counter that moved is news, one that stands keeps its age."""
    return {
        shard_id: before[shard_id]
        if shard_id in before and before[shard_id].counter == lease.counter
        else Sighting(lease.counter, now)
        for shard_id, lease in leases.items()
    }


def expired(sightings: Mapping[str, Sighting], now: float, failover: float) -> set[str]:
    """The leases whose counter stood still for `failover` seconds of our own clock."""
    return {shard_id for shard_id, sighting in sightings.items() if now - sighting.since >= failover}


def may_start(lease: Lease, leases: Leases) -> bool:
    """A shard is read after all its parents: both of a merge. A parent without a lease was done with long ago."""
    return not lease.finished and all(leases[parent].finished for parent in lease.parents if parent in leases)


def to_take(leases: Leases, me: str, held: Collection[str], expired_ones: Collection[str]) -> list[Lease]:
    """The leases to take now: free ones up to a fair share, else one stolen from whoever holds two more than we do.

    `held` are those that this worker is reading. One that bears our name and is not held is free to us: the answer to
    its take was lost, or we were restarted. After a theft nobody holds two more because of it, so it is never undone.
    """
    startable = [lease for lease in leases.values() if may_start(lease, leases)]
    mine = [lease for lease in startable if lease.shard_id in held]
    free = [lease for lease in startable if lease.shard_id not in held and _is_free(lease, me, expired_ones)]
    others = [lease for lease in startable if lease.shard_id not in held and lease not in free]
    loads = Counter(lease.holder for lease in others)
    share = math.ceil(len(startable) / (len(loads) + 1))
    if free:
        return sorted(free, key=lambda lease: _preference(me, lease))[: max(0, share - len(mine))]
    if not loads:
        return []
    most_loaded, load = max(loads.items(), key=lambda item: (item[1], str(item[0])))
    if load - len(mine) < 2:
        return []
    victims = (lease for lease in others if lease.holder == most_loaded)
    return [min(victims, key=lambda lease: _preference(me, lease))]


def to_delete(leases: Leases, listed: Collection[str]) -> list[Lease]:
    """Finished leases nobody needs: every child is being read, or the shard is trimmed away; oldest first."""
    return [lease for lease in leases.values() if lease.finished and _is_forgettable(lease, leases, listed)]


def _is_forgettable(lease: Lease, leases: Leases, listed: Collection[str]) -> bool:
    if any(parent in leases for parent in lease.parents):
        return False
    children = lease.children | {other.shard_id for other in leases.values() if lease.shard_id in other.parents}
    if children:
        return all(child in leases and leases[child].checkpoint not in _UNREAD for child in children)
    return lease.shard_id not in listed


def _is_free(lease: Lease, me: str, expired_ones: Collection[str]) -> bool:
    return lease.holder is None or lease.holder == me or lease.shard_id in expired_ones


def _preference(me: str, lease: Lease) -> bytes:
    """Each worker has an order of its own, so that two of them seldom reach for the same lease."""
    return hashlib.sha256(f"{me}\n{lease.shard_id}".encode()).digest()


def _ancestors(shard_id: str, listed: Mapping[str, Shard], leases: Leases) -> set[str]:
    found: set[str] = set()
    todo = [shard_id]
    while todo:
        current = todo.pop()
        parents = listed[current].parents if current in listed else leases[current].parents if current in leases else ()
        new = set(parents) - found
        found |= new
        todo += new
    return found


def _parents_first(listed: Mapping[str, Shard]) -> list[Shard]:
    known = {shard_id: shard.parents & listed.keys() for shard_id, shard in sorted(listed.items())}
    return [listed[shard_id] for shard_id in TopologicalSorter(known).static_order()]
