"""Where a consumer goes on behind a replay: the places of the lake's version, as the checkpoints of new leases."""

from collections.abc import Iterable, Mapping
from typing import Protocol

from consumers.engines.worker.leases import Lease
from foundation.clock import Wait
from foundation.kinesis import SequenceNumber, Shard


class Leases(Protocol):
    """The lease table of one application."""

    def create(self, wait: Wait) -> bool: ...

    def list(self) -> dict[str, Lease]: ...

    def add(self, lease: Lease) -> bool: ...


def is_first_day(table: Leases, wait: Wait) -> bool:
    """Whether the application has no leases yet, in a table that is made if need be. Raises `TimeoutError` for none."""
    if not table.create(wait):
        raise TimeoutError("the lease table could not be used in time. fix: try again")
    return not table.list()


def write_places(
    table: Leases, shards: Iterable[Shard], places: Mapping[str, SequenceNumber], creation: str | None
) -> int:
    """A lease for each listed shard that the lake has a place of; answers how many there are by now.

    A shard without one is new to the lake: the worker makes its lease, at the beginning. A lease that is there stays.
    """
    found = [shard for shard in shards if shard.shard_id in places]
    for shard in found:
        # guarantee: behind a replay a consumer goes on from the lake's places
        table.add(
            Lease(
                shard.shard_id,
                places[shard.shard_id],
                parents=shard.parents,
                hash_keys=shard.hash_keys,
                creation=creation,
            )
        )
    return len(found)
