"""Reconciles the ledger with the stream, the effects as received, and the lake. Pure: evidence in, verdict out."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime

from events import EVENT_TYPES, Event, OrderAccepted, OrderCompleted, OrderPlaced, OrderRejected
from foundation.kinesis import StreamPosition

# The events that a message to somebody must answer, and where that message is looked for.
EFFECTS = {EVENT_TYPES[OrderPlaced]: "ticket", EVENT_TYPES[OrderAccepted]: "e-mail"}


@dataclass(frozen=True)
class Fact:
    """An event as the ledger, the stream or the lake has it. `certain` is false where its answer was lost."""

    event_id: str
    event_type: str
    order_id: str
    place: StreamPosition | None = None
    certain: bool = True


@dataclass(frozen=True)
class Effect:
    """A message as received: `event_id` names the event that it answers, `sent_at` is the service's time stamp."""

    kind: str
    event_id: str
    sent_at: datetime | None = None


@dataclass(frozen=True)
class Evidence:
    """All that was found. `unreadable` are the places of bad records, `quarantined` of those set apart.

    `dropped` is how many records the lake's log says are no rows, since they repeat an event that is one.
    """

    ledger: tuple[Fact, ...]
    stream: tuple[Fact, ...]
    effects: tuple[Effect, ...]
    lake: tuple[Fact, ...]
    unreadable: frozenset[StreamPosition] = frozenset()
    quarantined: frozenset[StreamPosition] = frozenset()
    dropped: int = 0


@dataclass(frozen=True)
class Finding:
    """One thing that is not as it must be: a kind, and a sentence that names it."""

    kind: str
    what: str


@dataclass(frozen=True)
class Bounds:
    """How often a delivery may repeat before it is a finding: the number of deliveries in flight at known crashes."""

    repeated_events: int = 0
    repeated_effects: int = 0


LOST, DOUBLED, UNEXPECTED = "lost", "doubled", "unexpected"
REPEATED_EVENT, REPEATED_EFFECT = "repeated event", "repeated effect"


@dataclass(frozen=True)
class Audit:
    """The verdict. `findings` is everything found; `ok` allows for what lies within the bounds.

    `open_orders` were placed and have no end yet: no finding in a flow that goes on, a failure of one that is over.
    """

    orders: int
    events: int
    quarantined: int
    findings: tuple[Finding, ...]
    bounds: Bounds
    open_orders: int = 0
    left_out: int = 0

    def count(self, kind: str) -> int:
        return sum(finding.kind == kind for finding in self.findings)

    @property
    def ok(self) -> bool:
        return (
            not any(self.count(kind) for kind in (LOST, DOUBLED, UNEXPECTED))
            and self.count(REPEATED_EVENT) <= self.bounds.repeated_events
            and self.count(REPEATED_EFFECT) <= self.bounds.repeated_effects
        )

    @property
    def receipt(self) -> str:
        parts = [
            f"{self.orders:,} orders",
            f"{self.events:,} events",
            f"{self.count(LOST):,} lost",
            f"{self.count(DOUBLED):,} doubled",
            f"{self.count(REPEATED_EVENT):,} repeated events",
            f"{self.quarantined:,} bad events quarantined",
            f"{self.count(REPEATED_EFFECT):,} repeated effects",
        ]
        if self.count(UNEXPECTED):
            parts.append(f"{self.count(UNEXPECTED):,} unexpected")
        if self.open_orders:
            parts.append(f"{self.open_orders:,} still open")
        if self.left_out:
            parts.append(f"{self.left_out:,} order{'' if self.left_out == 1 else 's'} of others left out")
        return " · ".join(parts)


def audit(evidence: Evidence, bounds: Bounds = Bounds(), *, ignore_others: bool = False) -> Audit:
    """Everything the ledger promises is there once, and nothing else is.

    With `ignore_others`, orders that the ledger's loads did not place, as those placed by hand, are left out.

    lost: promised by the ledger, or on the stream, and missing further down. doubled: one stream record twice in the
    lake. repeated: one happening published, or told to somebody, more than once, with the same event_id.
    unexpected: there, and nobody knows why.
    """
    left_out = 0
    dropped = list(_dropped(evidence))  # of all orders, as the log counts them
    if ignore_others:
        evidence, left_out = _without_others(evidence)
    findings = [*_stream(evidence), *_effects(evidence), *_lake(evidence), *dropped, *_quarantine(evidence)]
    return Audit(
        orders=len({fact.order_id for fact in evidence.stream}),
        events=len({fact.event_id for fact in evidence.stream}),
        quarantined=len(evidence.quarantined),
        findings=tuple(findings),
        bounds=bounds,
        open_orders=len(_orders(evidence, OrderPlaced) - _orders(evidence, OrderCompleted, OrderRejected)),
        left_out=left_out,
    )


def _orders(evidence: Evidence, *events: type[Event]) -> set[str]:
    """The orders of which one of these events is on the stream."""
    wanted = {EVENT_TYPES[event] for event in events}
    return {fact.order_id for fact in evidence.stream if fact.event_type in wanted}


def _without_others(evidence: Evidence) -> tuple[Evidence, int]:
    """The evidence on orders whose placing is in the ledger, and how many orders that leaves out."""
    placed = {fact.order_id for fact in evidence.ledger if fact.event_type == EVENT_TYPES[OrderPlaced]}
    others = {fact.event_id: fact.order_id for fact in evidence.stream if fact.order_id not in placed}
    kept = replace(
        evidence,
        ledger=tuple(fact for fact in evidence.ledger if fact.order_id in placed),
        stream=tuple(fact for fact in evidence.stream if fact.order_id in placed),
        effects=tuple(effect for effect in evidence.effects if effect.event_id not in others),
        lake=tuple(fact for fact in evidence.lake if fact.order_id in placed),
    )
    return kept, len(set(others.values()))


def _stream(evidence: Evidence) -> Iterable[Finding]:
    known = {fact.event_id for fact in evidence.ledger}
    found = Counter(fact.event_id for fact in evidence.stream)
    for fact in evidence.ledger:
        if fact.certain and not found[fact.event_id]:
            yield Finding(LOST, f"{_name(fact)} is in the ledger, and not on the stream")
    for fact in _distinct(evidence.stream):
        if fact.event_id not in known:
            yield Finding(UNEXPECTED, f"{_name(fact)} is on the stream, and not in the ledger")
        elif found[fact.event_id] > 1:
            yield Finding(REPEATED_EVENT, f"{_name(fact)} is on the stream {found[fact.event_id]} times")


def _effects(evidence: Evidence) -> Iterable[Finding]:
    """What was heard on the stream was told to whom it concerns, once."""
    for event_type, kind in EFFECTS.items():
        sent = Counter(effect.event_id for effect in evidence.effects if effect.kind == kind)
        heard = {fact.event_id: fact for fact in evidence.stream if fact.event_type == event_type}
        for event_id, fact in heard.items():
            if not sent[event_id]:
                yield Finding(LOST, f"the {kind} for {_name(fact)} was never received")
            elif sent[event_id] > 1:
                yield Finding(REPEATED_EFFECT, f"the {kind} for {_name(fact)} was received {sent[event_id]} times")
        for event_id in sent.keys() - heard.keys():
            yield Finding(UNEXPECTED, f"the {kind} for {event_type} {event_id} answers no event on the stream")


def _lake(evidence: Evidence) -> Iterable[Finding]:
    rows = Counter(fact.place for fact in evidence.lake)
    on_stream = {fact.place: fact for fact in evidence.stream}
    in_lake = {fact.place: fact for fact in evidence.lake}
    events = {fact.event_id for fact in evidence.lake}
    for place, fact in on_stream.items():
        if not rows[place]:
            if fact.event_id in events:
                continue  # a repeat: `_dropped` counts it
            yield Finding(LOST, f"{_name(fact)} at {_where(place)} is on the stream, and not in the lake")
        elif in_lake[place] != fact:
            yield Finding(
                UNEXPECTED, f"the lake's row at {_where(place)} is not {_name(fact)} but {_name(in_lake[place])}"
            )
    for place, fact in in_lake.items():
        if rows[place] > 1:
            yield Finding(DOUBLED, f"{_name(fact)} at {_where(place)} is in the lake {rows[place]} times")
        if place not in on_stream:
            yield Finding(UNEXPECTED, f"{_name(fact)} at {_where(place)} is in the lake, and not on the stream")


def _dropped(evidence: Evidence) -> Iterable[Finding]:
    """Every record is a row, or repeats one; and the log has counted each of those."""
    places = {fact.place for fact in evidence.lake}
    events = {fact.event_id for fact in evidence.lake}
    repeats = [fact for fact in evidence.stream if fact.place not in places and fact.event_id in events]
    if len(repeats) != evidence.dropped:
        named = f", the first of them {_name(repeats[0])} at {_where(repeats[0].place)}" if repeats else ""
        yield Finding(
            LOST if len(repeats) > evidence.dropped else UNEXPECTED,
            f"{len(repeats)} records of the stream repeat a row of the lake and are none themselves{named}; "
            f"the lake's log says that {evidence.dropped} were dropped",
        )


def _quarantine(evidence: Evidence) -> Iterable[Finding]:
    for place in sorted(evidence.unreadable - evidence.quarantined):
        yield Finding(LOST, f"the unreadable record at {_where(place)} is not in the archiver's dead letters")
    for place in sorted(evidence.quarantined - evidence.unreadable):
        yield Finding(UNEXPECTED, f"a dead letter for {_where(place)}, where the stream has no unreadable record")


def _distinct(facts: Iterable[Fact]) -> Iterable[Fact]:
    return {fact.event_id: fact for fact in facts}.values()


def _name(fact: Fact) -> str:
    return f"{fact.event_type} {fact.event_id} of order {fact.order_id}"


def _where(place: StreamPosition | None) -> str:
    if place is None:
        return "an unknown place"
    shard_id, number = place
    return f"{shard_id} {number}"
