"""What an audit holds against each other, as values."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from events import EVENT_TYPES, FINAL, TRANSITIONS, OrderState
from foundation.kinesis import Position, StreamPosition


@dataclass(frozen=True)
class Fact:
    """An event as the ledger, the stream or the lake has it. `certain` is false where its answer was lost.

    `at` is when it was acknowledged, in the ledger, or arrived, on the stream; `because_of` is the id of the event that
    it follows by itself.
    """

    event_id: str
    event_type: str
    order_id: str
    place: StreamPosition | None = None
    certain: bool = True
    at: datetime | None = field(default=None, compare=False)
    because_of: str | None = field(default=None, compare=False)


@dataclass(frozen=True)
class BadRecord:
    """A record of the stream that is no event. `read_by` are the consumers that read so much of it that they set it
    apart; others pass it over, since its type is none of theirs.
    """

    place: StreamPosition
    read_by: frozenset[str]
    at: datetime | None = None


@dataclass(frozen=True)
class Effect:
    """A message as received: `event_id` names the event that it answers, `sent_at` is the service's time stamp."""

    kind: str
    event_id: str
    sent_at: datetime | None = None


@dataclass(frozen=True)
class Evidence:
    """All that was found, read against the stream's direction, so that a flow that goes on contradicts nothing.

    First `ledger`, what is promised. Then `reached`: how far each consumer is, by its name and the shard's id. Then
    what has come of it: `effects`, `lake`, and `letters`, the places that each consumer set apart. Then the stream:
    `stream`, and `unreadable`. At last `intended`: the ids of all events that the ledger knows, acknowledged or not,
    and of its orders' expiries. So what a consumer has passed and what has not come of it is missing; what it has not
    passed is still to come; and what has no cause on the stream has none at all.

    `dropped` is how many records the lake's log says are no rows, since they repeat an event that is one; None when the
    log no longer tells all of its commits. `looked_at` is when the evidence was complete, None: long after everything.
    `paces` is how long each consumer may take that does not say how far it is.
    """

    ledger: tuple[Fact, ...]
    stream: tuple[Fact, ...]
    effects: tuple[Effect, ...]
    lake: tuple[Fact, ...]
    unreadable: tuple[BadRecord, ...] = ()
    letters: Mapping[str, frozenset[StreamPosition]] = field(default_factory=dict)
    dropped: int | None = 0
    intended: frozenset[str] = frozenset()
    reached: Mapping[str, Mapping[str, Position]] = field(default_factory=dict)
    paces: Mapping[str, timedelta] = field(default_factory=dict)
    looked_at: datetime | None = None


def outcomes(counts: Mapping[str, int]) -> dict[OrderState, int]:
    """How many orders came to each end; `counts` are of distinct events by type."""
    return {one.state: counts.get(EVENT_TYPES[one.event], 0) for one in TRANSITIONS if one.state in FINAL}


def in_words(ends: Mapping[OrderState, int]) -> list[str]:
    """Of the ends that there were."""
    return [f"{count:,} {state}" for state, count in ends.items() if count]
