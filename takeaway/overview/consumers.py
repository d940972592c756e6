"""How each consumer stands: its leases at two looks, and the records behind its checkpoints. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from consumers.engines.worker.leases import Lease
from consumers.specs import ConsumerSpec, fed_by
from events import EVENT_TYPES
from foundation.kinesis import Sentinel, SequenceNumber
from takeaway.doctor import Process
from takeaway.overview.facts import ConsumerFlow, ConsumerOnShard, Lag
from takeaway.overview.stretch import Mark, ShardRecords
from takeaway.standing import Ahead, Judgement, ShardStanding, Verdict, judged, standing_of, timed, waits_for

_NO_LEASE = "no worker has made its lease"


@dataclass(frozen=True)
class Glance:
    """A lease at a look. `renewed_at`: when it was first seen with its counter, by our steady clock."""

    lease: Lease
    renewed_at: float
    renewed: bool | None = None


@dataclass(frozen=True)
class ReadBy:
    """A consumer that reads the stream, as it is found: `leases` is None where it never ran.

    It begins at `start_at`, where that is a moment, and writes a checkpoint every `pace_seconds` while there is
    something to do.
    """

    spec: ConsumerSpec
    lease_table: str
    leases: Mapping[str, Glance] | None
    pace_seconds: float
    start_at: datetime | None = None
    process: Process | None = None

    @property
    def marks(self) -> dict[str, Mark]:
        """The checkpoint on each shard that it is not through with, where it has one."""
        found: dict[str, Mark] = {}
        for shard_id, glance in (self.leases or {}).items():
            known, mark = mark_of(glance.lease, self.start_at)
            if known and not glance.lease.finished:
                found[shard_id] = mark
        return found


def glances(
    before: Mapping[str, Glance] | None, leases: Mapping[str, Lease], at: float, patience: float
) -> dict[str, Glance]:
    """The leases now, beside the look before. A holder that lets `patience` seconds pass does not keep its lease."""
    found: dict[str, Glance] = {}
    for shard_id, lease in leases.items():
        was = (before or {}).get(shard_id)
        if was is None:
            found[shard_id] = Glance(lease, at)
        elif was.lease.counter != lease.counter:
            found[shard_id] = Glance(lease, at, renewed=lease.holder is not None)
        else:
            late = at - was.renewed_at > patience
            found[shard_id] = Glance(lease, was.renewed_at, renewed=False if late else was.renewed)
    return found


def mark_of(lease: Lease, start_at: datetime | None) -> tuple[bool, Mark]:
    """Where its unread records begin, and whether that is known."""
    place = lease.checkpoint
    if lease.trouble is not None:
        return False, None
    if isinstance(place, SequenceNumber):
        return True, place
    if place is Sentinel.TRIM_HORIZON:
        return True, None
    since = lease.latest_since if place is Sentinel.LATEST else start_at
    return since is not None, since


def consumer_flow(
    read_by: ReadBy,
    before: Mapping[str, Glance] | None,
    shards: Mapping[str, ShardRecords],
    now: datetime,
    looked_seconds: float,
) -> ConsumerFlow:
    """`shards` are those that could be read, with what was read of them."""
    spec = read_by.spec
    # One that is fed by the same read hears all.
    heard = () if len(fed_by(spec)) > 1 else tuple(EVENT_TYPES[event] for event in spec.listens_to)
    found = ConsumerFlow(
        spec.name,
        read_by.lease_table,
        ran=read_by.leases is not None,
        hosts=tuple(one.name for one in fed_by(spec) if one is not spec),
        listens_to=heard,
        process=read_by.process,
    )
    if read_by.leases is None:
        return replace(found, shards=tuple(_never_read(name, one, now, heard) for name, one in sorted(shards.items())))
    leases = {shard_id: glance.lease for shard_id, glance in read_by.leases.items()}
    told = []
    for shard_id, glance in sorted(read_by.leases.items()):
        was = (before or {}).get(shard_id, glance)
        lag, unseen = _lag(glance.lease, shards.get(shard_id), now, read_by.start_at, heard)
        standing = standing_of(was.lease, glance.lease, _ahead(lag, unseen), glance.renewed)
        standing = timed(standing, glance.lease, now, looked_seconds)
        standing = replace(standing, waits_for=waits_for(glance.lease, leases))
        told.append(_on_shard(standing, lag, judged(standing, read_by.pace_seconds, start=_start(spec))))
    told += [_without_lease(shard_id) for shard_id in sorted(shards.keys() - leases.keys())]
    return replace(found, shards=tuple(told))


def _lag(
    lease: Lease, records: ShardRecords | None, now: datetime, start_at: datetime | None, heard: Sequence[str]
) -> tuple[Lag | None, str | None]:
    known, mark = mark_of(lease, start_at)
    if lease.finished:
        return Lag(), None
    if not known:
        return None, lease.trouble or "it has read nothing yet, and where it began is not noted"
    if records is None:
        return None, "its shard could not be read"
    return records.lag(mark, now.timestamp(), heard), None


def _ahead(lag: Lag | None, unseen: str | None) -> Ahead:
    if lag is None:
        return Ahead(unseen=unseen)
    # Nothing found in a part is not nothing.
    unread = True if lag.records else (None if lag.at_least else False)
    return Ahead(unread, lag.records, lag.seconds, unseen=unseen)


def _on_shard(standing: ShardStanding, lag: Lag | None, judgement: Judgement) -> ConsumerOnShard:
    trouble = standing.trouble.error if standing.trouble else None
    return ConsumerOnShard(
        standing.shard_id,
        standing.checkpoint,
        standing.owner,
        standing.renewed,
        standing.finished,
        lag,
        standing.standing_seconds if standing.moved_at is not None else None,
        judgement,
        trouble or standing.unreadable,
        standing.unseen,
    )


def _never_read(shard_id: str, records: ShardRecords, now: datetime, heard: Sequence[str]) -> ConsumerOnShard:
    lag = records.lag(None, now.timestamp(), heard)
    judgement = Judgement(Verdict.STOPPED, "it never ran, and records wait") if lag.records else Judgement(Verdict.OK)
    return ConsumerOnShard(shard_id, Sentinel.TRIM_HORIZON.value, None, None, False, lag, None, judgement)


def _without_lease(shard_id: str) -> ConsumerOnShard:
    judgement = Judgement(Verdict.WARN, _NO_LEASE)
    return ConsumerOnShard(
        shard_id, Sentinel.TRIM_HORIZON.value, None, None, False, None, None, judgement, unseen=_NO_LEASE
    )


def _start(spec: ConsumerSpec) -> str:
    return f"start it: `takeaway work {spec.name}`"
