"""The ground truth of a load: which events must, and which may, be on the stream. JSON lines, one file a writer.

A command's events are written down before it is sent, and again when it is acknowledged: a killed writer hides none.
What was made to go wrong is in it too: each fault with its id, a scenario's phases with their answer, each silent end.
"""

import contextlib
import hashlib
import io
import itertools
import threading
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from typing import Literal, Self, cast

import msgspec

from events import (
    EVENT_TYPES,
    EXPIRED,
    Event,
    OrderExpired,
    OrderState,
    UnansweredState,
    derive_event_id,
    handler_steps,
)
from producers.orders import DEFAULT_KEYS, ExpireOrder, derive_cause


class LedgerEntry(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="event"):
    """One event. `acknowledged_at` null: nobody knows whether it is on the stream; set: it must be, or come to be.

    `because_of` is the event that it follows by itself, null for a command's own event; `customer_id` is null where
    the writer does not know it, as a restaurant does not.
    """

    event_id: str
    event_type: str
    order_id: str
    restaurant_id: str
    customer_id: str | None
    intended_at: datetime
    acknowledged_at: datetime | None
    because_of: str | None


Verdict = Literal["kept", "doubled", "newer", "quarantined"]


class FaultKind(StrEnum):
    """The names by which faults are asked for."""

    DUPLICATE = "duplicate"
    LATE = "late"
    OUT_OF_ORDER = "out-of-order"
    CLOCK_SKEW = "clock-skew"
    TRUNCATED = "truncated"
    NOT_UTF8 = "not-utf8"
    UNKNOWN_TYPE = "unknown-type"
    UNKNOWN_VERSION = "unknown-version"
    MISSING_FIELD = "missing-field"
    NEGATIVE_PRICE = "negative-price"
    ZERO_TIME = "zero-time"
    OVERSIZE = "oversize"
    POISON = "poison"


class InjectedFault(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="fault"):
    """Something done to an event on its way: `digest` is of the bytes that came of it.

    `verdict` is what has to become of these: kept, as the event's only ones; removed as doubled, since the event has
    come as well; kept as an event of its own that is newer than this release; or quarantined, as no event at all.
    """

    fault_id: str
    fault: str
    event_id: str
    order_id: str
    at: datetime
    digest: str
    verdict: Verdict


class ScenarioPhase(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="phase"):
    """A part of a scenario; `until` null: to the end. `answer` is what there is to find in the incident."""

    scenario: str
    phase: str
    since: datetime
    until: datetime | None
    answer: str | None


class SilentEnd(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="silent_end"):
    """A completion that was tapped late, which no event says. In older ledgers orders also end silently otherwise."""

    order_id: str
    outcome: Literal[UnansweredState, "tapped_late"]
    at: datetime


class RefusedEvent(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="refused"):
    """An event that must not be there: its command came too late, for what had won had brought the order to `state`."""

    event_id: str
    event_type: str
    order_id: str
    state: OrderState
    at: datetime


LedgerLine = LedgerEntry | RefusedEvent | InjectedFault | ScenarioPhase | SilentEnd


class LedgerDamaged(ValueError):
    """A line inside a ledger file is no entry. Only a file's last line may be torn."""


class LedgerUnwritable(RuntimeError):
    """The disk is full, or gone. Without its ledger a load proves nothing, so it ends."""


def expected_events(
    event: type[Event],
    idempotency_key: str,
    *,
    order_id: str,
    restaurant_id: str,
    intended_at: datetime,
    customer_id: str | None = None,
) -> tuple[LedgerEntry, ...]:
    """The event that a command under this idempotency key brings about, and all that must follow it by themselves."""
    command = LedgerEntry(
        event_id=derive_event_id(order_id, EVENT_TYPES[event], derive_cause(event, idempotency_key)),
        event_type=EVENT_TYPES[event],
        order_id=order_id,
        restaurant_id=restaurant_id,
        customer_id=customer_id,
        intended_at=intended_at,
        acknowledged_at=None,
        because_of=None,
    )
    return (command, *_followers(event, command))


def may_expire(of: LedgerEntry) -> tuple[LedgerEntry, ...]:
    """What time may bring about for the order of this entry, and what follows then: no command of a load's."""
    return expected_events(
        OrderExpired,
        DEFAULT_KEYS[ExpireOrder],
        order_id=of.order_id,
        restaurant_id=of.restaurant_id,
        customer_id=of.customer_id,
        intended_at=of.intended_at,
    )


def _followers(heard: type[Event], because_of: LedgerEntry) -> Iterator[LedgerEntry]:
    for step in handler_steps(heard):
        for event in step.publishes:
            event_type = EVENT_TYPES[event]
            follower = msgspec.structs.replace(
                because_of,
                event_id=derive_event_id(because_of.order_id, event_type, because_of.event_id),
                event_type=event_type,
                because_of=because_of.event_id,
            )
            yield follower
            yield from _followers(event, follower)


class LedgerWriter:
    """Appends to a file of its own, `<writer>.jsonl` or the next free `<writer>-2.jsonl`; from any thread."""

    def __init__(self, directory: Path, writer: str) -> None:
        try:
            directory.mkdir(parents=True, exist_ok=True)
            self._file = _new_file(directory, writer)
        except OSError as error:
            raise _unwritable(directory, error) from error
        self._lock = threading.Lock()

    def intend(self, entries: tuple[LedgerEntry, ...]) -> None:
        """Before a command is sent. When this returns, the lines survive the process."""
        self._write(entries)

    def acknowledge(self, entries: tuple[LedgerEntry, ...], at: datetime) -> None:
        """After the command was answered."""
        self._write(msgspec.structs.replace(entry, acknowledged_at=at) for entry in entries)

    def refuse(self, entries: tuple[LedgerEntry, ...], state: OrderState, at: datetime) -> None:
        """After the command was refused, since the order was in `state`. That what won is told, its sender notes."""
        self._write(
            RefusedEvent(
                event_id=entry.event_id, event_type=entry.event_type, order_id=entry.order_id, state=state, at=at
            )
            for entry in entries
        )
        if state == EXPIRED:
            # Which has no sender: that the API tells of it is the promise.
            self.acknowledge(may_expire(entries[0]), at)

    def note(self, lines: Iterable[LedgerLine]) -> None:
        """What is certain as it is."""
        self._write(lines)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def _write(self, entries: Iterable[LedgerLine]) -> None:
        lines = b"".join(msgspec.json.encode(entry) + b"\n" for entry in entries)
        with self._lock:
            try:
                while lines:
                    lines = lines[self._file.write(lines) :]
            except OSError as error:
                raise _unwritable(self._file.name, error) from error


def _unwritable(what: object, error: OSError) -> LedgerUnwritable:
    return LedgerUnwritable(
        f"{what} cannot be written: {error.strerror}. "
        "fix: make room, or name another folder; what is in it stays good for the audit"
    )


def _new_file(directory: Path, writer: str) -> io.FileIO:
    """A file nobody has written to: after a crash its last line may be torn, and nothing may be glued to it."""
    names = itertools.chain([f"{writer}.jsonl"], (f"{writer}-{number}.jsonl" for number in itertools.count(2)))
    while True:
        with contextlib.suppress(FileExistsError):
            return io.FileIO(directory / next(names), "x")


@dataclass(frozen=True)
class Ledger:
    """All writers' entries, one for each event; `torn` names the files whose last line was cut off."""

    entries: tuple[LedgerEntry, ...]
    torn: tuple[str, ...] = ()
    refused: tuple[RefusedEvent, ...] = ()
    faults: tuple[InjectedFault, ...] = ()
    phases: tuple[ScenarioPhase, ...] = ()
    silent_ends: tuple[SilentEnd, ...] = ()

    @cached_property
    def orders(self) -> dict[str, tuple[LedgerEntry, ...]]:
        """The entries of each order, by order_id."""
        grouped: dict[str, list[LedgerEntry]] = defaultdict(list)
        for entry in self.entries:
            grouped[entry.order_id].append(entry)
        return {order_id: tuple(entries) for order_id, entries in grouped.items()}

    @property
    def acknowledged(self) -> tuple[LedgerEntry, ...]:
        """What must be on the stream."""
        return tuple(entry for entry in self.entries if entry.acknowledged_at)

    @property
    def unacknowledged(self) -> tuple[LedgerEntry, ...]:
        """What may be on the stream."""
        return tuple(entry for entry in self.entries if not entry.acknowledged_at)

    @property
    def counts(self) -> Counter[str]:
        """Acknowledged events by type."""
        return Counter(entry.event_type for entry in self.acknowledged)


def read_ledger(directory: Path) -> Ledger:
    """Every `*.jsonl` in the directory. An event written down twice is one entry, acknowledged if any line says so.

    One that was refused, and acknowledged by no line, is none.
    """
    entries: dict[str, LedgerEntry] = {}
    others: defaultdict[type[LedgerLine], list[LedgerLine]] = defaultdict(list)
    torn: list[str] = []
    for line in ledger_lines(directory, torn):
        if not isinstance(line, LedgerEntry):
            others[type(line)].append(line)
        elif line.event_id not in entries or line.acknowledged_at:
            entries[line.event_id] = line
    refused = cast("tuple[RefusedEvent, ...]", tuple(others[RefusedEvent]))
    for never in refused:
        # guarantee: the event of a command that was refused is unexpected
        if never.event_id in entries and not entries[never.event_id].acknowledged_at:
            del entries[never.event_id]
    return Ledger(
        tuple(entries.values()),
        tuple(torn),
        refused=refused,
        faults=cast("tuple[InjectedFault, ...]", tuple(others[InjectedFault])),
        phases=cast("tuple[ScenarioPhase, ...]", tuple(others[ScenarioPhase])),
        silent_ends=cast("tuple[SilentEnd, ...]", tuple(others[SilentEnd])),
    )


def ledger_lines(directory: Path, torn: list[str]) -> Iterator[LedgerLine]:
    """Line by line, however many there are; `torn` is given the files whose last line was cut off."""
    for path in sorted(directory.glob("*.jsonl")):
        with path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                if line.endswith(b"\n"):
                    yield _line(line, path, number)
                else:
                    torn.append(path.name)


def digest(data: bytes) -> str:
    """What stands for these bytes in a ledger."""
    return hashlib.sha256(data).hexdigest()


def _line(line: bytes, path: Path, number: int) -> LedgerLine:
    try:
        return _decoder.decode(line)
    # Of what somebody else has written there, nesting and numbers may be beyond the decoder, too.
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise LedgerDamaged(
            f"{path}, line {number}: {error}. fix: audit with the untouched ledger; its files are written by loads only"
        ) from error


_decoder: msgspec.json.Decoder[LedgerLine] = msgspec.json.Decoder(LedgerLine)
