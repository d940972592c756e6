"""How a consumer stands on a shard, from two glances at its lease and what lies behind its checkpoint. Pure."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from consumers.engines.worker.leases import Lease, may_start, position_text
from foundation.kinesis import SequenceNumber
from takeaway.standing.shard_standing import ShardStanding
from takeaway.standing.stream_end import Ahead

# Between the clock that noted a movement and the one that noted a stream's creation.
_CLOCKS_APART = timedelta(seconds=2)


def standing_of(
    before: Lease, after: Lease, ahead: Ahead, renewed: bool | None, stream_made_at: datetime | None = None
) -> ShardStanding:
    """`renewed` is whether the holder kept the lease alive between the glances, None where that is not known."""
    note = after.note if after.note and after.note.position in {"", position_text(after.checkpoint)} else None
    own = note is not None and note.by in {"", after.holder}
    # Trouble that was there at one glance only may pass: it has to be told by two heartbeats.
    told = note.trouble if note is not None and own else None
    if told is not None and not told.stopped:
        first = before.note.trouble if before.note is not None else None
        told = told if first is not None and first.since == told.since else None
    is_place = isinstance(after.checkpoint, SequenceNumber)
    moved_at = note.moved_at if note is not None else None
    older = moved_at is not None and stream_made_at is not None and moved_at + _CLOCKS_APART < stream_made_at
    standing = ShardStanding(
        after.shard_id,
        position_text(after.checkpoint),
        after.holder,
        finished=after.finished,
        moved=before.checkpoint != after.checkpoint,
        moved_at=moved_at,
        takeovers=after.owner_switches,
        renewed=renewed,
        trouble=told,
        of_older_stream=is_place and (older or ahead.refused),
        unreadable=after.trouble,
    )
    return with_ahead(standing, ahead)


def with_ahead(standing: ShardStanding, ahead: Ahead) -> ShardStanding:
    return replace(
        standing,
        end=ahead.end,
        unread=ahead.unread,
        unread_records=ahead.records,
        waiting_seconds=ahead.waiting_seconds,
        millis_behind=ahead.millis_behind,
        unseen=ahead.unseen,
    )


def timed(standing: ShardStanding, lease: Lease, now: datetime, looked_seconds: float) -> ShardStanding:
    """With how long things are so, as its lease's note tells; where that says nothing, for as long as was looked."""
    return replace(
        standing,
        standing_seconds=looked_seconds if standing.moved_at is None else _since(standing.moved_at, now),
        trouble_seconds=_since(standing.trouble.since, now) if standing.trouble else None,
        held_seconds=_held_seconds(lease, now),
    )


def waits_for(lease: Lease, leases: Mapping[str, Lease]) -> tuple[str, ...]:
    """The parents that are to be read before it."""
    if lease.finished or lease.trouble or may_start(lease, leases):
        return ()
    return tuple(sorted(parent for parent in lease.parents if parent in leases and not leases[parent].finished))


def _held_seconds(lease: Lease, now: datetime) -> float | None:
    """A holder that has not noted anything yet has only just come."""
    note = lease.note
    if note is None:
        return None
    return _since(note.held_since, now) if note.by in {"", lease.holder} else 0.0


def _since(moment: datetime, now: datetime) -> float:
    return max(0.0, (now - moment).total_seconds())
