"""An overview as JSON: the values as they are, and of each consumer what follows from them. Pure."""

from collections.abc import Mapping
from typing import Any

import msgspec

from foundation.kinesis import WRITE_BYTES_PER_SECOND, WRITE_RECORDS_PER_SECOND
from takeaway.overview.facts import ConsumerFlow, ConsumerOnShard, Overview, ShardFlow, Unknown
from takeaway.overview.findings import problems


def as_facts(overview: Overview) -> dict[str, Any]:
    """What is unknown is `{"unknown": why}`; a lag of `at_least` so many records was not counted to its end."""
    told: dict[str, Any] = msgspec.to_builtins(overview)
    letters = _letters(overview)
    found = problems(overview)
    return {
        "ok": not found,
        "problems": list(found),
        **told,
        "limits": {"records_per_second": WRITE_RECORDS_PER_SECOND, "bytes_per_second": WRITE_BYTES_PER_SECOND},
        "shards": told["shards"] if isinstance(overview.shards, Unknown) else [_shard(one) for one in overview.shards],
        "consumers": [_consumer(one, letters) for one in overview.consumers],
    }


def _shard(shard: ShardFlow) -> dict[str, Any]:
    return {**msgspec.to_builtins(shard), "share": shard.share, "hot": shard.hot}


def _consumer(consumer: ConsumerFlow, letters: Mapping[str, int | None]) -> dict[str, Any]:
    lag = consumer.lag
    process = consumer.process
    return {
        "name": consumer.name,
        "hosts": list(consumer.hosts),
        "verdict": consumer.verdict.value,
        "lag": None if lag is None else msgspec.to_builtins(lag),
        "checkpoint_seconds": consumer.checkpoint_seconds,
        "owners": list(consumer.owners),
        "process": None
        if process is None
        else {"pid": process.pid, "up": process.up, "frozen": process.frozen, "log": process.log},
        "errors": list(consumer.errors),
        "dead_letters": {name: letters.get(name) for name in (consumer.name, *consumer.hosts)},
        "ran": consumer.ran,
        "trouble": consumer.trouble,
        "lease_table": consumer.lease_table,
        "shards": [_on_shard(one) for one in consumer.shards],
    }


def _on_shard(one: ConsumerOnShard) -> dict[str, Any]:
    told: dict[str, Any] = msgspec.to_builtins(one)
    return told


def _letters(overview: Overview) -> dict[str, int | None]:
    if isinstance(overview.letters, Unknown):
        return {}
    return {one.consumer: None if one.trouble else one.count for one in overview.letters}
