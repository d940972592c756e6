"""Our side of the publishing race: `python -m tests.benchmarks.publish_ours publish|aggregate WORKLOAD STREAM COUNT`.

The very classes that the demo runs, every one of their features on; only the shards' quota is lifted, as the peers'
own rate limits are. Prints one line of JSON.
"""

import gc
import json
import sys
import time
from collections.abc import Sequence

import boto3

from foundation.clock import SYSTEM_CLOCK, uninterrupted_wait
from foundation.diagnostics import Diagnostic
from foundation.kinesis.aggregation import AGGREGATE_BYTES, pack
from foundation.kinesis.hash_keys import HashKeyRange
from foundation.kinesis.shards import Shard
from producers.publishing.lanes import Lanes
from producers.publishing.publication import Publication
from producers.publishing.publisher import RecordPublisher
from producers.publishing.quota import Quota
from producers.publishing.shard_map import ShardMap
from tests.benchmarks.order_events import workload

UNLIMITED = Quota(float("inf"), float("inf"))
SHARDS = 4
HASH_KEYS = 2**128
# As many at a time as `publish_all` queues.
AT_ONCE = 1000

Events = Sequence[tuple[str, bytes]]


def published(stream: str, events: Events) -> int:
    """How many are acknowledged, once every future is answered."""
    happened: list[Diagnostic] = []
    futures: list[Publication] = []
    with RecordPublisher(
        boto3.client("kinesis"),
        stream,
        clock=SYSTEM_CLOCK,
        wait=uninterrupted_wait(),
        emit=happened.append,
        quota=UNLIMITED,
    ) as publisher:
        for first in range(0, len(events), AT_ONCE):
            some = [Publication(key, data) for key, data in events[first : first + AT_ONCE]]
            publisher.put(some)
            futures += some
    return sum(future.exception() is None for future in futures)


def aggregated(events: Events) -> int:
    """How many records came out in aggregates of the usual size, each for its shard."""
    bounds = [HASH_KEYS * at // SHARDS for at in range(SHARDS + 1)]
    shards = ShardMap.of(Shard(f"shard-{at}", HashKeyRange(bounds[at], bounds[at + 1] - 1)) for at in range(SHARDS))
    lanes = Lanes(shards, UNLIMITED)
    # How many filled the last aggregate: with fewer, none is begun before the end.
    enough, count = 1, 0
    for first in range(0, len(events), AT_ONCE):
        some = [Publication(key, data) for key, data in events[first : first + AT_ONCE]]
        sum([len(record.data) for record in some])  # as a queue does that is bounded by bytes
        lanes.add(some)
        last = first + AT_ONCE >= len(events)
        for lane in lanes:
            while lane.waiting and (last or len(lane.waiting) > enough + enough // 8):
                packed = pack(lane.waiting, AGGREGATE_BYTES)
                enough = len(packed.records)
                count += enough
                for _ in packed.records:
                    lane.waiting.popleft()
    return count


def main() -> None:
    what, kind, stream, count = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])
    events = workload(kind, count)
    gc.collect()
    before = time.process_time()
    done = published(stream, events) if what == "publish" else aggregated(events)
    print(json.dumps({"cpu": time.process_time() - before, "records": done}))  # noqa: T201


if __name__ == "__main__":
    main()
