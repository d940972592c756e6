"""What a transport does to events: twice, late, out of order, broken bytes. Composable, seeded, off unless asked for.

No fault loses an event: broken bytes come beside the event they were made from. Each one goes into the ledger.
"""

import heapq
import itertools
import random
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import msgspec

from events import derive_event_id
from foundation.kinesis import MAX_RECORD_BYTES
from producers.load.ledger import FaultKind, InjectedFault, Verdict, digest
from producers.load.market import seeded


@dataclass(frozen=True)
class Delivery:
    """Bytes as they come off the stream at `arrives_at`; the ids are those of the event they were made from."""

    arrives_at: datetime
    data: bytes
    event_id: str
    order_id: str


Rates = Callable[[datetime], Mapping[FaultKind, float]]
"""The share of the events that each fault befalls, at a moment."""

# Beyond what a record could be before Kinesis took large ones.
OVERSIZE_BYTES = MAX_RECORD_BYTES
POISON_DEPTH = 5_000


def constant(rates: Mapping[FaultKind, float]) -> Rates:
    return lambda _: rates


def inject(
    deliveries: Iterable[Delivery], rates: Rates, seed: int, note: Callable[[InjectedFault], None]
) -> Iterator[Delivery]:
    """The deliveries, which come in order of time, with the faults among them, in order of time again."""
    waiting: list[tuple[datetime, int, Delivery]] = []
    numbers = itertools.count()
    for delivery in deliveries:
        while waiting and waiting[0][0] <= delivery.arrives_at:
            yield heapq.heappop(waiting)[2]
        arriving = [delivery]
        for kind, share in rates(delivery.arrives_at).items():
            dice = seeded(seed, "fault", kind, delivery.event_id)
            if dice.random() < share:
                arriving = _befall(kind, arriving, dice, note)
        for one in arriving:
            if one is delivery:
                yield one
            else:
                heapq.heappush(waiting, (one.arrives_at, next(numbers), one))
    while waiting:
        yield heapq.heappop(waiting)[2]


def _befall(
    kind: FaultKind, arriving: list[Delivery], dice: random.Random, note: Callable[[InjectedFault], None]
) -> list[Delivery]:
    """The first of `arriving` is the event itself; what else there is has its fault already."""
    event, *others = arriving
    verdict, made = _made(kind, event, dice)
    if verdict is None:
        return arriving
    note(
        InjectedFault(
            fault_id=f"{kind}-{dice.getrandbits(64):016x}",
            fault=kind.value,
            event_id=event.event_id,
            order_id=event.order_id,
            at=made.arrives_at,
            digest=digest(made.data),
            verdict=verdict,
        )
    )
    # guarantee: no injected fault loses an event
    return [made, *others] if verdict == "kept" else [event, *others, made]


def _made(kind: FaultKind, event: Delivery, dice: random.Random) -> tuple[Verdict | None, Delivery]:  # noqa: PLR0911 - one for each kind
    """What should become of it, and what comes; nothing where this fault cannot befall this event."""
    match kind:
        case FaultKind.DUPLICATE:
            return "doubled", _delayed(event, dice.lognormvariate(0, 1.5))
        case FaultKind.LATE:
            return "kept", _delayed(event, 3600 * dice.uniform(0.5, 30))
        case FaultKind.OUT_OF_ORDER:
            return "kept", _delayed(event, dice.uniform(30, 1800))
        case FaultKind.CLOCK_SKEW:
            return "kept", replace(event, data=_skewed(event.data, dice))
        case FaultKind.OVERSIZE:
            return "doubled", _with(event, _padding="x" * OVERSIZE_BYTES)
        case FaultKind.UNKNOWN_TYPE | FaultKind.UNKNOWN_VERSION:
            return "newer", _newer(event, _NEWER[kind])
        case _:
            data = _BROKEN[kind](event, dice)
            return ("quarantined" if data != event.data else None), replace(event, data=data)


def _delayed(event: Delivery, seconds: float) -> Delivery:
    return replace(event, arrives_at=event.arrives_at + timedelta(seconds=seconds))


def _fields(event: Delivery) -> dict[str, object]:
    fields: dict[str, object] = msgspec.json.decode(event.data)
    return fields


def _with(event: Delivery, **changes: object) -> Delivery:
    return replace(event, data=msgspec.json.encode(_fields(event) | changes))


def _newer(event: Delivery, changes: dict[str, object]) -> Delivery:
    """An event of its own, as a release to come might tell it."""
    event_type = str((_fields(event) | changes)["event_type"])
    event_id = derive_event_id(event.order_id, event_type, f"newer than {event.event_id}")
    return _with(event, **changes, event_id=event_id)


def _skewed(data: bytes, dice: random.Random) -> bytes:
    """By half a minute to five minutes, either way; the text of the time alone is changed."""
    fields = msgspec.json.decode(data)
    off = timedelta(seconds=dice.uniform(30, 300) * dice.choice((-1, 1)))
    told = datetime.fromisoformat(fields["occurred_at"]) + off
    return msgspec.json.encode(fields | {"occurred_at": told})


def _truncated(event: Delivery, dice: random.Random) -> bytes:
    return event.data[: dice.randrange(1, len(event.data))]


def _not_utf8(event: Delivery, dice: random.Random) -> bytes:
    """A byte that UTF-8 never has, in the order's id."""
    at = event.data.index(event.order_id.encode()) + dice.randrange(len(event.order_id))
    return event.data[:at] + b"\xff" + event.data[at + 1 :]


def _missing_field(event: Delivery, dice: random.Random) -> bytes:
    fields = _fields(event)
    del fields[dice.choice(("event_id", "event_type", "order_id", "occurred_at", "cause"))]
    return msgspec.json.encode(fields)


def _negative_price(event: Delivery, _: random.Random) -> bytes:
    return _with(event, total=-86).data if b'"total":' in event.data else event.data


_NEWER: Mapping[FaultKind, dict[str, object]] = {
    FaultKind.UNKNOWN_TYPE: {"event_type": "order_teleported"},
    FaultKind.UNKNOWN_VERSION: {"schema_version": 99},
}

_BROKEN: Mapping[FaultKind, Callable[[Delivery, random.Random], bytes]] = {
    FaultKind.TRUNCATED: _truncated,
    FaultKind.NOT_UTF8: _not_utf8,
    FaultKind.MISSING_FIELD: _missing_field,
    FaultKind.NEGATIVE_PRICE: _negative_price,
    FaultKind.ZERO_TIME: lambda event, _: _with(event, occurred_at=0).data,
    FaultKind.POISON: lambda event, _: b"[" * POISON_DEPTH + event.event_id.encode(),
}
