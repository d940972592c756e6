"""`make bench-consume`: what reading costs, beside boto3 and async-kinesis, on one fast Kinesis in memory.

Each round starts every client in a process of its own, turn by turn; figures are medians of CPU, imports excluded.
"""

import json
import os
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import boto3
from aws_kinesis_agg.aggregator import RecordAggregator

from foundation.clock import uninterrupted_wait
from takeaway.local.aws import free_port, local_environ
from tests.benchmarks.figures import Figure, beside, one_line
from tests.benchmarks.order_events import order_events

ROUNDS = 3
EVENTS = 200_000
SHARDS = 4
ENTRIES_A_REQUEST = 500
AGGREGATE_BYTES = 51_200
AGGREGATES_A_REQUEST = 40

PLAIN, AGGREGATED = "plain", "aggregated"


@dataclass(frozen=True)
class Race:
    """One of the peers on one of the streams; `target` is how many times less our CPU should be."""

    stream: str
    peer: str
    target: float | None


RACES = (
    Race(PLAIN, "boto3", 7),
    Race(PLAIN, "boto3_timestamp_hook", None),
    Race(PLAIN, "async_kinesis", 18),
    Race(AGGREGATED, "boto3_deaggregated", 2),
    Race(AGGREGATED, "async_kinesis_kpl", 8),
)


@contextmanager
def served(*options: float) -> Iterator[dict[str, str]]:
    """The variables that lead to a Kinesis of our own, which ends with the block."""
    with server(*options) as (environ, _):
        yield environ


@contextmanager
def server(*options: float) -> Iterator[tuple[dict[str, str], "subprocess.Popen[bytes]"]]:
    """The same, with its process; `options` are what `fake_kinesis` takes behind its port."""
    port = free_port()
    words = [sys.executable, "-m", "tests.benchmarks.fake_kinesis", str(port), *map(str, options)]
    process = subprocess.Popen(words)  # noqa: S603 - our own arguments
    try:
        environ = {**os.environ, **local_environ(f"http://127.0.0.1:{port}")}
        _until_it_answers(client(environ))
        yield environ, process
    finally:
        process.terminate()
        process.wait()


def load(environ: dict[str, str], events: Sequence[tuple[str, bytes]]) -> None:
    """Both streams get the same events: one record each, and packed as aws_kinesis_agg does."""
    kinesis = client(environ)
    plain = [{"Data": data, "PartitionKey": key} for key, data in events]
    _put(kinesis, PLAIN, plain, ENTRIES_A_REQUEST)
    _put(kinesis, AGGREGATED, list(aggregates(events)), AGGREGATES_A_REQUEST)


def aggregates(events: Sequence[tuple[str, bytes]]) -> Iterator[dict[str, Any]]:
    aggregator = RecordAggregator(AGGREGATE_BYTES)
    for key, data in events:
        if full := aggregator.add_user_record(key, data):
            yield _entry(full)
    if aggregator.get_num_user_records():
        yield _entry(aggregator.clear_and_get())


def ran(python: str, environ: dict[str, str], module: str, *arguments: str) -> float:
    """Microseconds of CPU for a record. A client that misses or doubles one has lost the race."""
    done = subprocess.run(  # noqa: S603 - our own arguments
        [python, "-W", "ignore", "-m", module, *arguments], env=environ, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(f"{module} {' '.join(arguments)} failed:\n{done.stderr[-3000:]}")
    told = json.loads(done.stdout.splitlines()[-1])
    if told["missing"] or told["extra"]:
        raise SystemExit(f"{module} {' '.join(arguments)}: {told['missing']} missing, {told['extra']} extra")
    return float(told["cpu"] / told["records"] * 1e6)


def race(peers_python: str, rounds: int = ROUNDS, events: int = EVENTS) -> list[Figure]:
    ours: dict[str, list[float]] = defaultdict(list)
    theirs: dict[Race, list[float]] = defaultdict(list)
    with served() as environ:
        load(environ, order_events(events))
        for number in range(rounds):
            for stream in (PLAIN, AGGREGATED):
                ours[stream].append(ran(sys.executable, environ, "tests.benchmarks.consume_ours", stream, str(events)))
                _say(f"round {number + 1}: {stream:10} ours {ours[stream][-1]:24.2f} us/record")
            for one in RACES:
                cpu = ran(peers_python, environ, "tests.benchmarks.peers_consume", one.peer, one.stream, str(events))
                theirs[one].append(cpu)
                _say(f"round {number + 1}: {one.stream:10} {one.peer:20} {cpu:8.2f} us/record")
    return [
        beside(f"consume {one.stream}: {one.peer}", ours[one.stream], theirs[one], "us of CPU a record", one.target)
        for one in RACES
    ]


def client(environ: dict[str, str]) -> Any:
    return boto3.client(
        "kinesis",
        endpoint_url=environ["AWS_ENDPOINT_URL"],
        region_name=environ["AWS_REGION"],
        aws_access_key_id=environ["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=environ["AWS_SECRET_ACCESS_KEY"],
    )


def _until_it_answers(kinesis: Any, tries: int = 100) -> None:
    wait = uninterrupted_wait()
    for left in reversed(range(tries)):
        try:
            for stream in (PLAIN, AGGREGATED):
                kinesis.create_stream(StreamName=stream, ShardCount=SHARDS)
        except kinesis.exceptions.ClientError:
            raise
        except Exception:
            if not left:
                raise
            wait(0.1)
        else:
            return


def _put(kinesis: Any, stream: str, entries: list[dict[str, Any]], at_once: int) -> None:
    for first in range(0, len(entries), at_once):
        kinesis.put_records(StreamName=stream, Records=entries[first : first + at_once])


def _entry(aggregate: Any) -> dict[str, Any]:
    key, _, data = aggregate.get_contents()
    return {"PartitionKey": key, "Data": data}


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)  # noqa: T201


if __name__ == "__main__":
    print(one_line(race(sys.argv[1], *(int(argument) for argument in sys.argv[2:]))))  # noqa: T201
