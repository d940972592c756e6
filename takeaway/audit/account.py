"""How each record of the stream ended at each consumer: the equation that leaves none over."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum

from events import ARCHIVER, EVENT_TYPES, EVENTS, OrderAccepted, OrderPlaced, handler_steps
from foundation.kinesis import StreamPosition
from takeaway.audit.facts import Evidence, Fact
from takeaway.audit.rest import Rest

# The events that a message to somebody must answer, and where that message is looked for.
EFFECTS = {EVENT_TYPES[OrderPlaced]: "ticket", EVENT_TYPES[OrderAccepted]: "e-mail"}
# Those events, by the consumer that sends the message.
SENDERS = {
    step.actor: EVENT_TYPES[event] for event in EVENTS if EVENT_TYPES[event] in EFFECTS for step in handler_steps(event)
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
        done = "rows" if self.consumer == ARCHIVER else f"{EFFECTS[SENDERS[self.consumer]]}s"
        names = {end: done if end is End.DONE else end.value for end in End}
        parts = [f"{self.counts[end]:,} {names[end]}" for end in End if end is End.DONE or self.counts.get(end)]
        return f"{self.consumer}: {self.records:,} records = {' + '.join(parts)}"


def accounts(ends: Iterable[Ended]) -> tuple[Account, ...]:
    """By consumer, the archiver first."""
    counts: dict[str, Counter[End]] = {consumer: Counter() for consumer in (ARCHIVER, *SENDERS)}
    for ended in ends:
        counts[ended.consumer][ended.end] += 1
    return tuple(Account(consumer, ends_of) for consumer, ends_of in counts.items())


def record_ends(evidence: Evidence) -> Iterator[Ended]:
    """Every record of the stream, once for each consumer."""
    yield from _archived(evidence)
    for consumer, event_type in SENDERS.items():
        yield from _sent(evidence, consumer, event_type)


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


def _sent(evidence: Evidence, consumer: str, event_type: str) -> Iterator[Ended]:
    rest = Rest(evidence)
    kind = EFFECTS[event_type]
    sent = {effect.event_id for effect in evidence.effects if effect.kind == kind}
    letters = evidence.letters.get(consumer, frozenset())
    told = {fact.because_of: fact for fact in evidence.stream if fact.because_of}
    heard: set[tuple[str, str]] = set()
    for fact in evidence.stream:
        happening = fact.order_id, fact.event_id
        if fact.event_type != event_type:
            end = End.PASSED_OVER if rest.passed(consumer, fact.place, fact.at) else End.WAITING
        elif fact.event_id in sent:
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
