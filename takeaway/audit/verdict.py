"""Reconciles the ledger with the stream, the effects as received, and the lake. Pure: evidence in, verdict out."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from events import (
    ARCHIVER,
    EVENT_TYPES,
    FINAL_EVENTS,
    Event,
    OrderPlaced,
    OrderState,
)
from foundation.kinesis import StreamPosition
from takeaway.audit.account import ANSWERED, SENT, TOLD_BY, Account, End, Ended, accounts, may_follow, record_ends
from takeaway.audit.facts import Evidence, Fact, in_words, outcomes
from takeaway.audit.rest import Rest, Waits


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

    `waits` is what is neither there nor lost yet; `at_rest` is False while there is any. `accounts` say how each
    consumer's records ended. `outcomes` are the orders by their end; `open_orders` were placed and have none yet: no
    finding in a flow that goes on, a failure of one that is over.
    """

    orders: int
    events: int
    quarantined: int
    findings: tuple[Finding, ...]
    bounds: Bounds
    open_orders: int = 0
    left_out: int = 0
    waits: tuple[Waits, ...] = ()
    accounts: tuple[Account, ...] = ()
    outcomes: Mapping[OrderState, int] = field(default_factory=dict)

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
    def at_rest(self) -> bool:
        return not self.waits

    @property
    def receipt(self) -> str:
        parts = [
            f"{self.orders:,} orders",
            *in_words(self.outcomes),
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
        if self.waits:
            parts.append("not at rest yet")
        return " · ".join(parts)

    @property
    def waiting_for(self) -> tuple[str, ...]:
        """For what, how much of it, and the first of it: a line each."""
        first: dict[str, str] = {}
        for waits in self.waits:
            first.setdefault(waits.for_what, waits.what)
        counts = Counter(waits.for_what for waits in self.waits)
        return tuple(
            f"waiting for {for_what}: {counts[for_what]:,}, the first is {what}" for for_what, what in first.items()
        )


def audit(evidence: Evidence, bounds: Bounds = Bounds(), *, ignore_others: bool = False) -> Audit:
    """Everything the ledger promises is there once, and nothing else is.

    With `ignore_others`, orders that the ledger's loads did not place, as those placed by hand, are left out.

    lost: promised by the ledger, or on the stream, and missing further down although its consumer is past it. doubled:
    one stream record twice in the lake. repeated: one happening published, or told to somebody, more than once, with
    the same event_id. unexpected: there, and without a cause.
    """
    left_out = 0
    # Of all orders, as the log and the consumers count them.
    accounted = tuple(record_ends(evidence))
    dropped = list(_dropped(evidence, accounted))
    if ignore_others:
        evidence, left_out = _without_others(evidence)
    ends = tuple(record_ends(evidence)) if left_out else accounted
    found = [*_stream(evidence, ends), *_ended(ends), *_effects(evidence), *_lake(evidence), *dropped]
    found += _strange_letters(evidence)
    distinct = {fact.event_id: fact.event_type for fact in evidence.stream}
    return Audit(
        orders=len({fact.order_id for fact in evidence.stream}),
        events=len(distinct),
        outcomes=outcomes(Counter(distinct.values())),
        quarantined=len(evidence.letters.get(ARCHIVER, ())),
        findings=tuple(one for one in found if isinstance(one, Finding)),
        bounds=bounds,
        open_orders=len(_orders(evidence, OrderPlaced) - _orders(evidence, *FINAL_EVENTS)),
        left_out=left_out,
        waits=tuple(one for one in found if isinstance(one, Waits)),
        accounts=accounts(accounted),
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


def _stream(evidence: Evidence, ends: Iterable[Ended]) -> Iterator[Finding | Waits]:
    known = {fact.event_id for fact in evidence.ledger} | evidence.intended
    found = Counter(fact.event_id for fact in evidence.stream)
    heard = {fact.event_id: fact for fact in evidence.stream}
    missing = _Missing(evidence, ends)
    for fact in evidence.ledger:
        if fact.certain and not found[fact.event_id] and (why := missing.why(fact)) is not None:
            yield why
    for fact in _distinct(evidence.stream):
        if fact.event_id not in known and not may_follow(fact, heard.get(fact.because_of or "")):
            yield Finding(UNEXPECTED, f"{_name(fact)} is on the stream, and not in the ledger")
        elif found[fact.event_id] > 1:
            yield Finding(REPEATED_EVENT, f"{_name(fact)} is on the stream {found[fact.event_id]} times")


class _Missing:
    """Why an event that the ledger promises is not on the stream: lost, still to come, or not to come at all."""

    def __init__(self, evidence: Evidence, ends: Iterable[Ended]) -> None:
        self._rest = Rest(evidence)
        self._promised = {fact.event_id: fact for fact in evidence.ledger}
        self._heard: dict[str, Fact] = {}
        for fact in evidence.stream:
            self._heard.setdefault(fact.event_id, fact)
        self._apart = {
            (one.consumer, one.fact.event_id) for one in ends if one.end is End.LETTER and one.fact is not None
        }

    def why(self, fact: Fact) -> Finding | Waits | None:
        """None for one that does not come because its cause was set apart."""
        if fact.because_of is None:
            if self._rest.older(fact.at):
                return self._lost(fact)
            return Waits("the stream", f"{_name(fact)}, acknowledged just now")
        consumer = TOLD_BY[fact.event_type]
        heard = self._heard.get(fact.because_of)
        if heard is None:
            cause = self._promised.get(fact.because_of)
            return self._lost(fact) if cause is None or isinstance(self.why(cause), Finding) else self.why(cause)
        if (consumer, heard.event_id) in self._apart:
            return None
        if self._rest.passed(consumer, heard.place, heard.at):
            return self._lost(fact)
        return Waits(consumer, f"{_name(heard)} at {_where(heard.place)}")

    def _lost(self, fact: Fact) -> Finding:
        return Finding(LOST, f"{_name(fact)} is in the ledger, and not on the stream")


def _ended(ends: Iterable[Ended]) -> Iterator[Finding | Waits]:
    """What a consumer was to make of a record, and did not, or has not yet."""
    for one in ends:
        named = f"{_name(one.fact)} at {_where(one.place)}" if one.fact else f"the bad record at {_where(one.place)}"
        if one.end is End.WAITING:
            yield Waits(one.consumer, named)
        elif one.end is End.LOST and one.fact is None:
            yield Finding(
                LOST, f"the unreadable record at {_where(one.place)} is not in the dead letters of {one.consumer}"
            )
        elif one.end is End.LOST and one.consumer == ARCHIVER:
            yield Finding(LOST, f"{named} is on the stream, and not in the lake")
        elif one.end is End.LOST and one.fact is not None:
            yield Finding(
                LOST, f"the {SENT[one.consumer][one.fact.event_type]} for {_name(one.fact)} was never received"
            )


def _effects(evidence: Evidence) -> Iterator[Finding]:
    """What was told was heard on the stream, and was told once."""
    for kind, event_types in ANSWERED.items():
        sent = Counter(effect.event_id for effect in evidence.effects if effect.kind == kind)
        heard = {fact.event_id: fact for fact in evidence.stream if fact.event_type in event_types}
        for event_id, fact in heard.items():
            if sent[event_id] > 1:
                yield Finding(REPEATED_EFFECT, f"the {kind} for {_name(fact)} was received {sent[event_id]} times")
        for event_id in sent.keys() - heard.keys():
            yield Finding(
                UNEXPECTED,
                f"the {kind} for {' or '.join(sorted(event_types))} {event_id} answers no event on the stream",
            )


def _lake(evidence: Evidence) -> Iterator[Finding]:
    rows = Counter(fact.place for fact in evidence.lake)
    on_stream = {fact.place: fact for fact in evidence.stream}
    in_lake = {fact.place: fact for fact in evidence.lake}
    for place, fact in in_lake.items():
        if place in on_stream and on_stream[place] != fact:
            yield Finding(
                UNEXPECTED, f"the lake's row at {_where(place)} is not {_name(on_stream[place])} but {_name(fact)}"
            )
        if rows[place] > 1:
            yield Finding(DOUBLED, f"{_name(fact)} at {_where(place)} is in the lake {rows[place]} times")
        if place not in on_stream:
            yield Finding(UNEXPECTED, f"{_name(fact)} at {_where(place)} is in the lake, and not on the stream")


def _dropped(evidence: Evidence, ends: Iterable[Ended]) -> Iterator[Finding]:
    """Every record is a row, or repeats one; and the log has counted each of those."""
    repeats = [one for one in ends if one.consumer == ARCHIVER and one.end is End.REPEAT]
    if evidence.dropped is not None and len(repeats) != evidence.dropped:
        first = repeats[0] if repeats else None
        named = f", the first of them {_name(first.fact)} at {_where(first.place)}" if first and first.fact else ""
        yield Finding(
            LOST if len(repeats) > evidence.dropped else UNEXPECTED,
            f"{len(repeats)} records of the stream repeat a row of the lake and are none themselves{named}; "
            f"the lake's log says that {evidence.dropped} were dropped",
        )


def _strange_letters(evidence: Evidence) -> Iterator[Finding]:
    """The archiver sets apart what no reader can read; a letter for anything else says something untrue."""
    unreadable = {bad.place for bad in evidence.unreadable}
    for place in sorted(evidence.letters.get(ARCHIVER, frozenset()) - unreadable):
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
