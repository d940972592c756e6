"""What the archive benchmarks read: GetRecords' answers, as bytes, with the flow of simulated orders in them."""

import base64
import heapq
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

from producers.load.market.demand import FlatDemand
from producers.load.market.lifecycle import events as events_of
from producers.load.market.lifecycle import journeys
from producers.load.market.market import a_market, orders

RECORDS_AN_ANSWER = 10_000
BEGIN = datetime(2026, 3, 1, tzinfo=UTC)


def events(rate: float, seed: int = 7) -> Iterator[tuple[datetime, bytes]]:
    """Events without end, in the order of their time, of `rate` orders a second."""
    waiting: list[tuple[datetime, int, bytes]] = []
    number = 0
    market = a_market(seed, FlatDemand(rate * 60))
    for journey in journeys(market, orders(market)):
        placed_at = BEGIN + journey.order.offset
        while waiting and waiting[0][0] <= placed_at:
            happened_at, _, body = heapq.heappop(waiting)
            yield happened_at, body
        for event in events_of(journey, BEGIN):
            number += 1
            heapq.heappush(waiting, (event.envelope.occurred_at, number, event.data))


def write_answers(folder: Path, count: int, rate: float) -> list[Path]:
    """GetRecords' answers of one shard with so many records."""
    source = enumerate(islice(events(rate), count))
    files: list[Path] = []
    while records := list(islice(source, RECORDS_AN_ANSWER)):
        entries = [
            {
                "SequenceNumber": f"{49_600_000_000_000_000_000_000_000_000_000_000_000_000_000_000_000_000_000 + at}",
                "ApproximateArrivalTimestamp": happened_at.timestamp(),
                "Data": base64.b64encode(body).decode(),
                "PartitionKey": "order",
            }
            for at, (happened_at, body) in records
        ]
        answer = {"Records": entries, "MillisBehindLatest": 1, "NextShardIterator": "next"}
        files.append(folder / f"{len(files):06d}.json")
        files[-1].write_text(json.dumps(answer))
    return files
