"""The leases of a stream's shards, decided from values alone: which to create, which may start, which may go."""

import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from graphlib import TopologicalSorter

from consumers.engines.worker.leases.lease import Lease
from foundation.kinesis import Sentinel, Shard

Leases = Mapping[str, Lease]

_SHARD = re.compile(r"shardId-\d+")

# A lease that stands on one of these has not been read from yet.
_UNREAD = (Sentinel.TRIM_HORIZON, Sentinel.AT_TIMESTAMP)


def to_create(shards: Iterable[Shard], leases: Leases, start: Sentinel, now: datetime) -> list[Lease]:
    """The missing leases, parents first, so that nobody sees a child whose parent is still to come.

    A shard born from one we read is read from its beginning. A shard whose parent is trimmed away too: its past is
    what we missed. Any other begins where the application begins; with LATEST that is `now`, and no closed shard.
    A shard that came and went unseen between one we read and its listed children gets a lease too: whatever takes it
    finds the shard gone, and tells the loss.
    """
    listed = {shard.shard_id: shard for shard in shards}
    finished_with = _ancestors(listed, leases)
    # guarantee: a shard that came and went unseen is missed
    created = {lease.shard_id: lease for lease in _unseen(listed, leases)}
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
        created[shard.shard_id] = Lease(
            shard.shard_id,
            position,
            parents=shard.parents,
            hash_keys=shard.hash_keys,
            latest_since=now if position is Sentinel.LATEST else None,
        )
    return list(created.values())


def not_ours(leases: Leases, stream: str, listed: Collection[str]) -> dict[str, str]:
    """The rows that belong to no shard of this stream, by their keys, and why. They are to be left alone.

    `listed` are the stream's shards, none when it was not asked yet. A shard that retention has taken is older than the
    newest; a child of a listed one may be listed a little later.
    """
    newest = max(map(_number, listed), default=None)
    found = {}
    for key, lease in leases.items():
        if lease.stream is not None and (lease.stream != stream or not _is_shard(key)):
            found[key] = f"it is of an application that keeps its leases by stream, and names {lease.stream}"
        elif not _is_shard(key):
            found[key] = "it is no shard's"
        elif newest is not None and _number(key) > newest and not lease.parents & set(listed):
            found[key] = f"{stream} has no such shard: its newest is number {newest}"
    return found


def of_streams_before(leases: Leases, creation: str | None) -> list[Lease]:
    """The leases whose positions are of an earlier stream of the name. What is not known is taken for the same."""
    if creation is None:
        return []
    # guarantee: a position is not asked of a stream that was made anew
    return [lease for lease in leases.values() if not lease.trouble and lease.creation not in {None, creation}]


def may_start(lease: Lease, leases: Leases) -> bool:
    """A shard is read after all its parents: both of a merge. A parent without a lease was done with long ago."""
    if lease.finished or lease.trouble:
        return False
    return all(leases[parent].finished for parent in lease.parents if parent in leases)


def to_delete(leases: Leases, listed: Collection[str]) -> list[Lease]:
    """Finished leases nobody needs: every child is being read, or the shard is trimmed away; oldest first."""
    children: dict[str, set[str]] = defaultdict(set)
    for lease in leases.values():
        children[lease.shard_id] |= lease.children
        for parent in lease.parents:
            children[parent].add(lease.shard_id)

    def is_forgettable(lease: Lease) -> bool:
        if any(parent in leases for parent in lease.parents):
            return False
        if born := children[lease.shard_id]:
            return all(child in leases and _is_being_read(leases[child]) for child in born)
        return lease.shard_id not in listed

    return [lease for lease in leases.values() if lease.finished and is_forgettable(lease)]


def _is_shard(key: str) -> bool:
    return _SHARD.fullmatch(key) is not None


def _number(shard_id: str) -> int:
    """Kinesis counts a stream's shards up, and uses no number again."""
    return int(shard_id.rpartition("-")[2])


def _is_being_read(lease: Lease) -> bool:
    return lease.trouble is None and lease.checkpoint not in _UNREAD


def _unseen(listed: Mapping[str, Shard], leases: Leases) -> list[Lease]:
    """The parents of new shards that neither are listed nor were ever leased, below a leased shard that is gone.

    Hash keys tell what lies below what. On an application's first day no leased shard is gone, so what retention had
    taken before is none of these.
    """
    gone = [lease for lease in leases.values() if lease.shard_id not in listed and not lease.finished]
    found: dict[str, set[str]] = defaultdict(set)
    for shard in listed.values():
        if shard.shard_id in leases:
            continue
        above = {lease.shard_id for lease in gone if lease.hash_keys and lease.hash_keys.overlaps(shard.hash_keys)}
        for parent in shard.parents - listed.keys() - leases.keys():
            if above:
                found[parent] |= above
    return [
        Lease(shard_id, Sentinel.TRIM_HORIZON, parents=frozenset(above)) for shard_id, above in sorted(found.items())
    ]


def _ancestors(listed: Mapping[str, Shard], leases: Leases) -> set[str]:
    """All that came before a shard that has a lease."""
    found: set[str] = set()
    todo = list(leases)
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
