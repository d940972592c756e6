"""`make bench-leases`: how long one worker's plan takes when the application has very many leases."""

import statistics
from collections.abc import Callable

from consumers.engines.worker.leases.coverage import Leases, to_create, to_delete
from consumers.engines.worker.leases.fair_share import planned, sighted
from consumers.engines.worker.leases.lease import Lease
from foundation.clock import SYSTEM_CLOCK
from foundation.kinesis.hash_keys import HashKeyRange
from foundation.kinesis.records import Sentinel, SequenceNumber
from foundation.kinesis.shards import Shard
from tests.benchmarks.figures import Figure, one_line, within

LEASES = 10_000
WORKERS = 100
ROUNDS = 15
LIMIT_MILLISECONDS = 100.0
HASH_KEYS = HashKeyRange(0, 2**128 - 1)


def shard_id(number: int) -> str:
    return f"shardId-{number:012d}"


def history() -> list[Lease]:
    """Half of them were split: finished parents, and children that are read; some free, some being handed over."""
    parents = LEASES // 3
    leases = [
        Lease(
            shard_id(number),
            Sentinel.SHARD_END,
            owner="gone",
            children=frozenset({shard_id(parents + 2 * number), shard_id(parents + 2 * number + 1)}),
            hash_keys=HASH_KEYS,
        )
        for number in range(parents)
    ]
    for number in range(parents, LEASES):
        owner = None if number % 11 == 0 else f"worker-{number % WORKERS}"
        leases.append(
            Lease(
                shard_id(number),
                SequenceNumber(str(number)),
                counter=number,
                owner=owner,
                parents=frozenset({shard_id((number - parents) // 2)}),
                hash_keys=HASH_KEYS,
                checkpoint_owner="worker-x" if owner and number % 101 == 0 else None,
            )
        )
    return leases


def milliseconds(work: Callable[[], object]) -> float:
    took = []
    for _ in range(ROUNDS):
        started = SYSTEM_CLOCK.monotonic()
        work()
        took.append((SYSTEM_CLOCK.monotonic() - started) * 1000)
    return statistics.median(took)


def main() -> None:
    leases: Leases = {lease.shard_id: lease for lease in history()}
    shards = [Shard(lease.shard_id, HASH_KEYS, lease.parents) for lease in leases.values()]
    now = SYSTEM_CLOCK.now()
    before = sighted({}, leases, 0.0)

    def share(me: str) -> object:
        held = {lease.shard_id for lease in leases.values() if lease.owner == me}
        sightings = sighted(before, leases, 5.0)
        return planned(leases, me, held, sightings, now=5.0, failover=10.0, usual=5.0, soon=1.0)

    figures: list[Figure] = [
        within(f"{name}, {LEASES:,} leases", milliseconds(work), LIMIT_MILLISECONDS, "ms")
        for name, work in (
            ("plan of a worker", lambda: share("worker-7")),
            ("plan of a newcomer", lambda: share("newcomer")),
            ("leases to create", lambda: to_create(shards, leases, Sentinel.TRIM_HORIZON, now)),
            ("leases to delete", lambda: to_delete(leases, leases.keys())),
        )
    ]
    print(one_line(figures))  # noqa: T201


if __name__ == "__main__":
    main()
