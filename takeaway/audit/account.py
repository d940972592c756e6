"""How each record of the stream ended at each consumer: the equation that leaves none over."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum

from events import (
    ARCHIVER,
    CHOREOGRAPHY,
    EVENT_TYPES,
    EVENTS,
    Bound,
    Event,
    RestaurantNotified,
    Step,
    TicketWithdrawn,
    UserNotified,
    VoucherIssued,
    derive_event_id,
    handler_steps,
)
from foundation.kinesis import StreamPosition
from takeaway.audit.facts import Evidence, Fact
from takeaway.audit.rest import Rest

# A message to somebody, by the event that tells of it; and where that message is looked for.
_KINDS: dict[type[Event], str] = {RestaurantNotified: "ticket", TicketWithdrawn: "withdrawal", UserNotified: "e-mail"}
# Where no event tells of it, by the one that it answers.
_UNTOLD: dict[type[Event], str] = {VoucherIssued: "e-mail"}
_SENDING = [step for heard in EVENTS for step in handler_steps(heard)]


def _kinds(step: Step) -> list[str]:
    if not step.publishes and step.listens_to in _UNTOLD:
        return [_UNTOLD[step.listens_to]]
    return [_KINDS[told] for told in step.publishes if told in _KINDS]


# By consumer, the kind of the message that each event heard must be answered by.
SENT: dict[str, dict[str, str]] = {
    actor: {
        EVENT_TYPES[step.listens_to]: kind
        for step in _SENDING
        if step.actor == actor and step.listens_to is not None
        for kind in _kinds(step)
    }
    for actor in dict.fromkeys(step.actor for step in _SENDING if _kinds(step))
}
# The consumer that tells an event by itself.
TOLD_BY = {EVENT_TYPES[told]: step.actor for step in _SENDING for told in step.publishes}
# What a consumer may tell about an event, and need not: by what it hears and what it then tells.
_MAY_FOLLOW = {
    (EVENT_TYPES[step.listens_to], EVENT_TYPES[told])
    for step in CHOREOGRAPHY
    if step.bound_by is Bound.HANDLER and step.deadline is None and step.listens_to is not None
    for told in step.publishes
}
# More events of one type are in no answer that is looked for.
_MOST_POSITIONS = 100
# The events that messages of a kind answer.
ANSWERED: dict[str, frozenset[str]] = {
    kind: frozenset(heard for kinds in SENT.values() for heard, of in kinds.items() if of == kind)
    for kind in (*_KINDS.values(), *_UNTOLD.values())
}


class End(Enum):
    """What became of a record: a row or a message, a repeat of one, a dead letter, or nothing that was to be done.

    WAITING is still to come, LOST is none of these.
    """

    DONE = "done"
    REPEAT = "repeats"
    LETTER = "letters"
    PASSED_OVER = "passed over"
    WAITING = "waiting"
    LOST = "lost"


@dataclass(frozen=True)
class Ended:
    """A record at a consumer. `fact` is None for one that cannot be read."""

    consumer: str
    place: StreamPosition | None
    fact: Fact | None
    end: End


@dataclass(frozen=True)
class Account:
    """How a consumer's records ended: each once, so that the counts sum up to `records`."""

    consumer: str
    counts: Mapping[End, int]

    @property
    def records(self) -> int:
        return sum(self.counts.values())

    def __str__(self) -> str:
        done = "rows" if self.consumer == ARCHIVER else _plural(SENT[self.consumer].values())
        names = {end: done if end is End.DONE else end.value for end in End}
        parts = [f"{self.counts[end]:,} {names[end]}" for end in End if end is End.DONE or self.counts.get(end)]
        return f"{self.consumer}: {self.records:,} records = {' + '.join(parts)}"


def _plural(kinds: Iterable[str]) -> str:
    return " and ".join(f"{kind}s" for kind in dict.fromkeys(kinds))


def may_follow(fact: Fact, heard: Fact | None) -> bool:
    """Whether it is what a consumer may have told about `heard`, under the id that it then has."""
    if heard is None or (heard.event_type, fact.event_type) not in _MAY_FOLLOW:
        return False
    named = fact.order_id, fact.event_type, heard.event_id
    return any(derive_event_id(*named, position) == fact.event_id for position in range(_MOST_POSITIONS))


def accounts(ends: Iterable[Ended]) -> tuple[Account, ...]:
    """By consumer, the archiver first."""
    counts: dict[str, Counter[End]] = {consumer: Counter() for consumer in (ARCHIVER, *SENT)}
    for ended in ends:
        counts[ended.consumer][ended.end] += 1
    return tuple(Account(consumer, ends_of) for consumer, ends_of in counts.items())


def record_ends(evidence: Evidence) -> Iterator[Ended]:
    """Every record of the stream, once for each consumer."""
    yield from _archived(evidence)
    for consumer, kinds in SENT.items():
        yield from _sent(evidence, consumer, kinds)


def _archived(evidence: Evidence) -> Iterator[Ended]:
    rest = Rest(evidence)
    rows = {fact.place for fact in evidence.lake}
    events = {(fact.order_id, fact.event_id) for fact in evidence.lake}
    letters = evidence.letters.get(ARCHIVER, frozenset())
    for fact in evidence.stream:
        if fact.place in rows:
            end = End.DONE
        elif fact.place in letters:
            end = End.LETTER
        elif not rest.passed(ARCHIVER, fact.place, fact.at):
            end = End.WAITING
        elif (fact.order_id, fact.event_id) in events:
            end = End.REPEAT
        else:
            end = End.LOST
        yield Ended(ARCHIVER, fact.place, fact, end)
    yield from _bad(evidence, ARCHIVER)


def _sent(evidence: Evidence, consumer: str, kinds: Mapping[str, str]) -> Iterator[Ended]:
    rest = Rest(evidence)
    sent = {(effect.kind, effect.event_id) for effect in evidence.effects}
    letters = evidence.letters.get(consumer, frozenset())
    told = {fact.because_of: fact for fact in evidence.stream if TOLD_BY.get(fact.event_type) == consumer}
    heard: set[tuple[str, str]] = set()
    for fact in evidence.stream:
        happening = fact.order_id, fact.event_id
        if fact.event_type not in kinds:
            end = End.PASSED_OVER if rest.passed(consumer, fact.place, fact.at) else End.WAITING
        elif (kinds[fact.event_type], fact.event_id) in sent:
            end = End.REPEAT if happening in heard else End.DONE
        elif fact.place in letters:
            end = End.LETTER
        elif not rest.passed(consumer, fact.place, fact.at) or _just_sent(rest, told.get(fact.event_id)):
            end = End.WAITING
        else:
            end = End.LOST
        heard.add(happening)
        yield Ended(consumer, fact.place, fact, end)
    yield from _bad(evidence, consumer)


def _bad(evidence: Evidence, consumer: str) -> Iterator[Ended]:
    rest, letters = Rest(evidence), evidence.letters.get(consumer, frozenset())
    for bad in evidence.unreadable:
        if bad.place in letters:
            end = End.LETTER
        elif not rest.passed(consumer, bad.place, bad.at):
            end = End.WAITING
        else:
            # guarantee: a bad record that is no letter is lost
            end = End.LOST if consumer in bad.read_by else End.PASSED_OVER
        yield Ended(consumer, bad.place, None, end)


def _just_sent(rest: Rest, told: Fact | None) -> bool:
    """The event that tells of a message comes after it; the message may still be on its way to where we look."""
    return told is not None and not rest.older(told.at)
