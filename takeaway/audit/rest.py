"""What is still to come: a consumer that has not come to a record yet has lost nothing of it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from foundation.kinesis import Position, Sentinel, Shard, StreamPosition, position_key
from takeaway.audit.facts import Evidence

# How long a message may be under way after it was sent, and an event after it was acknowledged.
DELIVERY = timedelta(seconds=30)


@dataclass(frozen=True)
class Waits:
    """One thing that is still to come, and for what it waits: a consumer's name, or what else."""

    for_what: str
    what: str


def with_ended(leases: Mapping[str, Position], shards: Iterable[Shard]) -> dict[str, Position]:
    """How far an application is, by shard. The lease of a shard that was read to its end goes when it is of no use any
    more; that of a child tells, which is made only then.
    """
    reached, parents = dict(leases), {shard.shard_id: shard.parents for shard in shards}
    begun = list(reached)
    while begun:
        # guarantee: a shard that has ended and lost its lease is not waited for
        ended = [parent for shard_id in begun for parent in parents.get(shard_id, ()) if parent not in reached]
        reached |= dict.fromkeys(ended, Sentinel.SHARD_END)
        begun = ended
    return reached


class Rest:
    """Judges by the evidence's own positions and times what must have happened by now."""

    def __init__(self, evidence: Evidence) -> None:
        self._evidence = evidence

    def passed(self, consumer: str, place: StreamPosition | None, arrived_at: datetime | None) -> bool:
        """Whether the consumer is done with the record. Where it does not say how far it is, its pace decides."""
        positions = self._evidence.reached.get(consumer)
        reached = None
        if positions is not None and place is not None:
            # A shard that it says nothing of it has not begun.
            reached = positions.get(place[0], Sentinel.TRIM_HORIZON)
        if place is None or reached in {None, Sentinel.LATEST, Sentinel.AT_TIMESTAMP}:
            return self.older(arrived_at, self._evidence.paces.get(consumer, timedelta(0)) + DELIVERY)
        # guarantee: what a consumer has not come to is not called lost
        return position_key(place[1]) <= position_key(reached)

    def older(self, since: datetime | None, age: timedelta = DELIVERY) -> bool:
        """Whether that moment lies so far back; one that is not known does."""
        looked_at = self._evidence.looked_at
        return looked_at is None or since is None or looked_at - since >= age
