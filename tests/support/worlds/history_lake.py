"""A generated history with all that goes wrong on a stream, in a lake of its own, and what its lines say."""

import json
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pyarrow as pa

from analytics.archiving import decode_records
from analytics.lake import Lake
from consumers.subscribers.promo_issuer import Customer, decide
from events import EventEnvelope, OrderCompleted, UnreadableEvent, decode, encode, following
from foundation.kinesis import Record
from producers.load.history import HistoryPlan, ledger_beside, write_history
from producers.load.ledger import FaultKind, Ledger, read_ledger
from tests.support.worlds.kept_folder import KeptFolder
from tests.support.worlds.lake_world import KEYS

# Twice, late, out of order, with a wrong clock, and broken.
FAULTS = {
    FaultKind.DUPLICATE: 0.02,
    FaultKind.LATE: 0.01,
    FaultKind.OUT_OF_ORDER: 0.01,
    FaultKind.CLOCK_SKEW: 0.03,
    FaultKind.TRUNCATED: 0.005,
}
_COMMITS = 5
_SHARD = "shardId-000000000000"


@dataclass(frozen=True)
class Line:
    """One record of the stream: its bytes, and when it arrived there."""

    data: bytes
    arrived_at: datetime


@dataclass(frozen=True)
class HistoryLake:
    """The lake, its stream in order of arrival, and the ledger of the load."""

    lake: Lake
    lines: tuple[Line, ...]
    ledger: Ledger
    vouchers: frozenset[str]

    def events(self) -> list[dict[str, Any]]:
        """Each event once, by the ledger, as its first line says it: plain JSON with moments for times."""
        promised = {entry.event_id for entry in self.ledger.entries} | self.vouchers
        found: dict[str, dict[str, Any]] = {}
        for line in self.lines:
            try:
                said = json.loads(line.data)
            except ValueError:
                continue
            if said["event_id"] in promised:
                accept_by = said.get("accept_by")
                said["accept_by"] = datetime.fromisoformat(accept_by) if accept_by else None
                said["occurred_at"] = datetime.fromisoformat(said["occurred_at"])
                found.setdefault(said["event_id"], said | {"_arrived_at": line.arrived_at})
        return list(found.values())


def history_lake(folder: Path, plan: HistoryPlan) -> HistoryLake:
    """Written as archivers write: in order of arrival, in several commits; nothing is compacted."""
    write_history(plan, folder / "history.jsonl")
    told = (folder / "history.jsonl").read_bytes().splitlines()
    lines = tuple(_arriving(_with_vouchers(told)))
    records = [
        Record(str(10**20 + number), "key", line.data, line.arrived_at.timestamp()) for number, line in enumerate(lines)
    ]
    kept, rows = KeptFolder(folder), decode_records(_SHARD, records, KEYS).rows
    step = -(-rows.num_rows // _COMMITS)
    for first in range(0, rows.num_rows, step):
        kept.add(_dated(rows.slice(first, step)))
    vouchers = frozenset(json.loads(line)["event_id"] for line in _with_vouchers(told) if b'"voucher_issued"' in line)
    return HistoryLake(kept.lake(), lines, read_ledger(ledger_beside(folder / "history.jsonl")), vouchers)


def _with_vouchers(lines: list[bytes]) -> Iterator[bytes]:
    """As the promo issuer answers them, each once, twenty milliseconds later."""
    customers: dict[str, Customer] = defaultdict(Customer)
    heard: set[str] = set()
    for line in lines:
        yield line
        try:
            envelope = decode(line)
        except UnreadableEvent:
            continue
        if isinstance(envelope.event, OrderCompleted) and envelope.event_id not in heard:
            heard.add(envelope.event_id)
            customer = envelope.event.customer_id
            completed = cast("EventEnvelope[OrderCompleted]", envelope)
            customers[customer], voucher = decide(customers[customer], completed, code=lambda: "CODE")
            if voucher is not None:
                at = envelope.occurred_at + timedelta(milliseconds=20)
                yield encode(following(envelope, voucher, occurred_at=at, producer="promo_issuer"))


def _arriving(lines: Iterator[bytes]) -> Iterator[Line]:
    """No line before the one above it, and a quarter of a second after it happened at the earliest."""
    newest = datetime.min.replace(tzinfo=UTC)
    for line in lines:
        try:
            occurred_at = datetime.fromisoformat(json.loads(line)["occurred_at"])
        except ValueError:
            occurred_at = newest
        newest = max(newest, occurred_at + timedelta(milliseconds=250) if occurred_at > newest else newest)
        yield Line(line, newest)


def _dated(rows: pa.Table) -> list[dict[str, Any]]:
    listed: list[dict[str, Any]] = rows.to_pylist()
    return [row | {"event_date": row["occurred_at"].date()} for row in listed]
