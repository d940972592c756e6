"""Days of orders as a file: one wire event a line, in the order in which they came onto the stream, and its ledger.

The bytes of a line are those that would be on the stream. Day after day goes out as it is made: memory does not grow.
"""

import heapq
import itertools
import shutil
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import BinaryIO

from producers.load.history.faults import Delivery, inject
from producers.load.ledger import (
    FaultKind,
    InjectedFault,
    LedgerEntry,
    LedgerLine,
    LedgerWriter,
    ScenarioPhase,
    SilentEnd,
)
from producers.load.market import (
    CALM,
    DAY_MINUTES,
    ORDERS_A_DAY,
    Incident,
    IntendedOrder,
    Journey,
    Market,
    WeekDemand,
    a_market,
    events,
    incident,
    journeys,
    orders,
)

# A Monday: where history begins when nobody says otherwise, so that a seed gives the same bytes on any day.
START = datetime(2026, 6, 1, tzinfo=UTC)
_LEDGER_LINES_AT_ONCE = 2000
_FILE_BUFFER = 1024 * 1024


@dataclass(frozen=True)
class HistoryPlan:
    """`days` from `start`, which is a UTC midnight: the market's clocks show UTC."""

    seed: int
    days: int
    start: datetime = START
    orders_a_day: float = ORDERS_A_DAY
    scenario: str | None = None
    faults: Mapping[FaultKind, float] = field(default_factory=dict)


@dataclass(frozen=True)
class HistorySummary:
    """What was written: orders, events of theirs, and faults besides."""

    seed: int
    orders: int
    events: int
    faults: int
    lines: int

    def __str__(self) -> str:
        return (
            f"{self.orders:,} orders · {self.events:,} events · {self.faults:,} injected faults · "
            f"{self.lines:,} lines · seed {self.seed}"
        )


class HistoryExists(RuntimeError):
    """There is such a file already, or a ledger of one."""


def ledger_beside(out: Path) -> Path:
    """The folder of the ledger that goes with this file."""
    return out.with_name(f"{out.name}.ledger")


def sample(seed: int, count: int) -> Iterator[bytes]:
    """All events of the first `count` orders of a history, as lines."""
    market = a_market(seed, WeekDemand(ORDERS_A_DAY))
    for delivery, _ in _deliveries(journeys(market, orders(market, count)), START):
        yield delivery.data + b"\n"


def write_history(plan: HistoryPlan, out: Path) -> HistorySummary:
    """The file is there when it is whole; what breaks off leaves neither file nor ledger.

    Raises `HistoryExists`, `LedgerUnwritable`.
    """
    ledger = ledger_beside(out)
    if out.exists() or ledger.exists():
        raise HistoryExists(f"{out} or its ledger {ledger} is there already. fix: remove both, or name another file")
    beside = out.with_name(f"{out.name}.part")
    try:
        with LedgerWriter(ledger, "history") as writer, beside.open("wb", buffering=_FILE_BUFFER) as file:
            notes = _Notes(writer)
            summary = _write(plan, file, notes)
            notes.flush()
        beside.replace(out)
    except BaseException:
        beside.unlink(missing_ok=True)
        shutil.rmtree(ledger, ignore_errors=True)
        raise
    return summary


class _Notes:
    """Ledger lines, written down many at a time."""

    def __init__(self, writer: LedgerWriter) -> None:
        self._writer = writer
        self._lines: list[LedgerLine] = []
        self.faults = 0

    def __call__(self, line: LedgerLine) -> None:
        self._lines.append(line)
        self.faults += isinstance(line, InjectedFault)
        if len(self._lines) >= _LEDGER_LINES_AT_ONCE:
            self.flush()

    def flush(self) -> None:
        self._writer.note(self._lines)
        self._lines = []


def _write(plan: HistoryPlan, file: BinaryIO, note: _Notes) -> HistorySummary:
    first_minute = plan.start.weekday() * DAY_MINUTES
    market = a_market(plan.seed, WeekDemand(plan.orders_a_day, first_minute))
    happens = incident(plan.scenario, market, plan.days) if plan.scenario else CALM
    market = Market(plan.seed, market.demand, market.restaurants, happens.surge)
    for line in _phases(happens, plan.start):
        note(line)
    count = _Count()
    of_orders = _noted(journeys(market, _until(plan.days, market), happens), plan.start, note, count)
    entered = _entered(_deliveries(of_orders, plan.start), note, count)

    since, until = (plan.start + timedelta(minutes=minutes) for minutes in (happens.since, happens.until))
    at_worst = {**plan.faults, **happens.faults}

    def rates(at: datetime) -> Mapping[FaultKind, float]:
        return at_worst if since <= at < until else plan.faults

    lines = 0
    for delivery in inject(entered, rates, plan.seed, note):
        file.write(delivery.data + b"\n")
        lines += 1
    return HistorySummary(plan.seed, count.orders, count.events, note.faults, lines)


@dataclass
class _Count:
    orders: int = 0
    events: int = 0


def _until(days: int, market: Market) -> Iterator[IntendedOrder]:
    return itertools.takewhile(lambda order: order.offset < timedelta(days=days), orders(market))


def _deliveries(of_orders: Iterable[Journey], start: datetime) -> Iterator[tuple[Delivery, LedgerEntry]]:
    """Every event when it happens: none of an order's comes before it is placed, so what is older can go."""
    waiting: list[tuple[datetime, int, Delivery, LedgerEntry]] = []
    numbers = itertools.count()
    for journey in of_orders:
        placed_at = start + timedelta(minutes=journey.placed)
        while waiting and waiting[0][0] <= placed_at:
            yield heapq.heappop(waiting)[2:]
        for delivery, entry in _of(journey, start):
            heapq.heappush(waiting, (delivery.arrives_at, next(numbers), delivery, entry))
    while waiting:
        yield heapq.heappop(waiting)[2:]


def _of(journey: Journey, start: datetime) -> Iterator[tuple[Delivery, LedgerEntry]]:
    order = journey.order
    commanded: set[str] = set()
    for event in events(journey, start):
        envelope = event.envelope
        heard = envelope.cause if envelope.cause in commanded else None
        commanded.add(envelope.event_id)
        yield (
            Delivery(envelope.occurred_at, event.data, envelope.event_id, envelope.order_id),
            LedgerEntry(
                event_id=envelope.event_id,
                event_type=envelope.event_type,
                order_id=envelope.order_id,
                restaurant_id=order.body.restaurant_id,
                customer_id=order.customer_id,
                intended_at=envelope.occurred_at,
                acknowledged_at=envelope.occurred_at,
                because_of=heard,
            ),
        )


def _entered(deliveries: Iterable[tuple[Delivery, LedgerEntry]], note: _Notes, count: _Count) -> Iterator[Delivery]:
    for delivery, entry in deliveries:
        note(entry)
        count.events += 1
        yield delivery


def _noted(of_orders: Iterable[Journey], start: datetime, note: _Notes, count: _Count) -> Iterator[Journey]:
    for journey in of_orders:
        count.orders += 1
        if journey.completed is not None and journey.tapped_late:
            at = start + timedelta(minutes=journey.completed)
            note(SilentEnd(order_id=journey.order.order_id, outcome="tapped_late", at=at))
        yield journey


def _phases(happens: Incident, start: datetime) -> Iterator[ScenarioPhase]:
    if happens is CALM:
        return
    for name, since, until in happens.phases():
        yield ScenarioPhase(
            scenario=happens.name,
            phase=name,
            since=start + timedelta(minutes=since),
            until=None if until is None else start + timedelta(minutes=until),
            answer=happens.answer if name == "incident" else None,
        )
