"""What clients make of refused entries and lost answers: events out of order, lost and doubled, in the same run."""

import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from foundation.kinesis.deaggregation import unpack
from foundation.kinesis.records import Record
from tests.benchmarks.consume import client, served
from tests.benchmarks.figures import Figure, alone, none_of, within
from tests.benchmarks.order_events import few_keys
from tests.benchmarks.running import OURS, PEERS, ran, say

FAILING = (0.0, 0.02, 0.3)
LOSING = 0.3
EVENTS = 10_000
SHARDS = 4
CLIENTS = ("ours", "boto3", "async_kinesis", "aiokpl")


@dataclass(frozen=True)
class Kept:
    """What came of the events of one client."""

    out_of_order: int
    lost: int
    doubled: int


def order_figures(peers_python: str) -> list[Figure]:
    figures = []
    for failing in FAILING:
        with served(failing) as environ:
            kept = {name: _kept(peers_python, environ, name) for name in CLIENTS}
        for name, each in kept.items():
            say(f"{failing:4.0%} of entries refused: {name:14} {each}")
        ours = kept.pop("ours")
        for name, theirs in kept.items():
            at = f"at {failing:.0%} refused, of {EVENTS:,}: {name}"
            figures.append(none_of(f"out of order {at}", ours.out_of_order, theirs.out_of_order, "events"))
            figures.append(none_of(f"lost {at}", ours.lost, theirs.lost, "events"))
            figures.append(none_of(f"doubled {at}", ours.doubled, theirs.doubled, "events"))
    return figures + _lost_answers(peers_python)


def _lost_answers(peers_python: str) -> list[Figure]:
    """Nobody can tell a lost answer from a lost request: what is sent again doubles. It may not do worse than that."""
    with served(0.0, LOSING) as environ:
        ours = _kept(peers_python, environ, "ours")
    say(f"{LOSING:4.0%} of answers lost:    ours           {ours}")
    at = f"with {LOSING:.0%} of answers lost, of {EVENTS:,}"
    return [
        within(f"out of order {at}", ours.out_of_order, 0, "events"),
        within(f"lost {at}", ours.lost, 0, "events"),
        alone(f"doubled {at}", ours.doubled, "events"),
    ]


def _kept(peers_python: str, environ: dict[str, str], name: str) -> Kept:
    kinesis = client(environ)
    kinesis.create_stream(StreamName=name, ShardCount=SHARDS)
    who = ("publish", sys.executable, OURS) if name == "ours" else (name, peers_python, PEERS)
    ran(who[1], environ, who[2], who[0], "few_keys", name, str(EVENTS))
    return judged(read(kinesis, name))


def read(kinesis: Any, stream: str) -> list[tuple[str, bytes]]:
    """Every event with its key, as consumers see them, one shard after the other."""
    found: list[tuple[str, bytes]] = []
    for shard in kinesis.list_shards(StreamName=stream)["Shards"]:
        iterator = kinesis.get_shard_iterator(
            StreamName=stream, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON"
        )["ShardIterator"]
        behind = 1
        while behind:
            answer = kinesis.get_records(ShardIterator=iterator, Limit=10_000)
            iterator, behind = answer["NextShardIterator"], answer["MillisBehindLatest"]
            for one in answer["Records"]:
                record = Record(one["SequenceNumber"], one["PartitionKey"], one["Data"], 0.0)
                opened = unpack(record)
                found += [(user.partition_key or "", user.data) for user in (opened.records if opened else [record])]
    return found


def judged(found: Sequence[tuple[str, bytes]], events: int = EVENTS) -> Kept:
    """An event is out of order when a later one of its key was there before its first coming."""
    expected = {data for _, data in few_keys(events)}
    counted = Counter(data for _, data in found)
    last: dict[str, int] = {}
    out_of_order = 0
    for key, data in dict.fromkeys(found):
        number = int(data.split()[1])
        out_of_order += number < last.get(key, -1)
        last[key] = max(number, last.get(key, -1))
    return Kept(out_of_order, len(expected - counted.keys()), sum(count - 1 for count in counted.values()))
