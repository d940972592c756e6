"""How much of a stream's quota is used, and how much is throttled: true shard limits, latency, simulated time."""

from producers.publishing.diagnostics import EntriesRejected
from tests.benchmarks.figures import Figure, at_least, within
from tests.support.fakes.kinesis_stream import WRITTEN_BYTES_PER_SECOND
from tests.support.worlds.sender_world import World

SECONDS = 12
SHARDS = 4
LATENCY = (0.01, 0.05)


def quota_figures() -> list[Figure]:
    world = World(shards=SHARDS, write_limits=True)
    world.kinesis.latency = LATENCY
    world.backlogged(SECONDS)
    written = sum(len(held["Data"]) + len(held["PartitionKey"]) for held in world.kinesis.records())
    entries = sum(len(request) for request in world.requests)
    throttled = sum(told.rejected for told in world.happened(EntriesRejected))
    return [
        at_least("quota sustained", written / (SHARDS * WRITTEN_BYTES_PER_SECOND * SECONDS), 0.95, "of it"),
        within("entries throttled at the quota", throttled / entries, 0.01, "of them"),
    ]
