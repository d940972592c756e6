"""What a handler answers to an event, as the events that follow and as the bytes that are remembered of them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import msgspec

from consumers.processing import ShardStop, Unprocessable
from events import EVENT_TYPES, EncodedEvent, Event, EventEnvelope, UnreadableEvent, decoded, encoded, following

# None where nothing follows, or an effect alone has happened.
Answer = Event | Sequence[Event] | None

# An item of DynamoDB has at most 400 KB, with its names.
MOST_BYTES = 350_000


class Attempts(msgspec.Struct, frozen=True):
    """How often an effect was begun until it was had, 2 and more, and what its last failure was, in no word of data."""

    count: int
    last_failure: str | None = None


@dataclass(frozen=True)
class Outcome:
    """The events that follow from one heard, in order, and the bytes they are remembered by.

    `attempts` is None where the first one worked, and where nothing is known of them.
    """

    follows: tuple[EncodedEvent[Event], ...]
    data: bytes
    attempts: Attempts | None = None


class _Several(msgspec.Struct, frozen=True, omit_defaults=True):
    """Of no event, of several, or after several attempts. `order_id` is that of the event heard: outcomes are told
    apart by it.
    """

    order_id: str
    events: tuple[msgspec.Raw, ...]
    attempts: Attempts | None = None


def outcome_of(heard: EventEnvelope[Event], answer: Answer, *, actor: str, at: datetime) -> Outcome:
    """Raises `ShardStop` for an answer that is none, and `Unprocessable` for one too large to be remembered."""
    events = _events(answer, actor)
    # guarantee: each event of an answer has an id of its own
    follows = tuple(
        encoded(following(heard, event, occurred_at=at, producer=actor, position=position))
        for position, event in enumerate(events)
    )
    data = follows[0].data if len(follows) == 1 else _several(heard.order_id, follows)
    if len(data) > MOST_BYTES:
        raise Unprocessable(
            f"{actor} answers {len(follows)} events of {len(data):,} bytes in all, and {MOST_BYTES:,} can be remembered"
        )
    return Outcome(follows, data)


def after_attempts(outcome: Outcome, order_id: str, attempts: Attempts) -> Outcome:
    """The outcome with how many attempts it took, remembered too. An older release reads it as one without."""
    return replace(outcome, data=_several(order_id, outcome.follows, attempts), attempts=attempts)


def read_outcome(data: bytes) -> Outcome:
    """What is remembered. Raises `UnreadableEvent` for what is no outcome."""
    try:
        read = msgspec.json.decode(data, type=_Remembered)
    except msgspec.DecodeError as error:
        raise UnreadableEvent(f"this is no outcome: {error}") from error
    if read.events is None:
        return Outcome((decoded(data),), data)
    return Outcome(tuple(decoded(bytes(raw)) for raw in read.events), data, read.attempts)


class _Remembered(msgspec.Struct, frozen=True):
    """An event has no field `events`."""

    events: tuple[msgspec.Raw, ...] | None = None
    attempts: Attempts | None = None


def nothing(order_id: str) -> bytes:
    """The outcome of an event from which nothing follows, or nothing any more."""
    return _several(order_id, ())


def _several(order_id: str, follows: tuple[EncodedEvent[Event], ...], attempts: Attempts | None = None) -> bytes:
    return msgspec.json.encode(_Several(order_id, tuple(msgspec.Raw(one.data) for one in follows), attempts))


def _events(answer: object, actor: str) -> tuple[Event, ...]:
    events = () if answer is None else tuple(answer) if isinstance(answer, list | tuple) else (answer,)
    for event in events:
        if type(event) not in EVENT_TYPES:
            raise ShardStop(
                f"{actor}'s handler answered {type(event).__name__}, no event, and so its effect cannot be remembered. "
                "fix: return the events that the step publishes, in a list, one of them, or None, and restart"
            )
    return events
