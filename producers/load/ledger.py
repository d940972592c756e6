"""The ground truth of a load: which events must, and which may, be on the stream. JSON lines, one file a writer.

A command's events are written down before it is sent, and again when it is acknowledged: a killed writer hides none.
"""

import contextlib
import io
import itertools
import threading
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Self

import msgspec

from events.choreography import handler_steps
from events.envelope import derive_event_id
from events.orders import EVENT_TYPES, Event
from producers.commands import derive_cause


class LedgerEntry(msgspec.Struct, frozen=True, kw_only=True):
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

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def _write(self, entries: Iterable[LedgerEntry]) -> None:
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
    """Every `*.jsonl` in the directory. An event written down twice is one entry, acknowledged if any line says so."""
    entries: dict[str, LedgerEntry] = {}
    torn: list[str] = []
    for path in sorted(directory.glob("*.jsonl")):
        *lines, rest = path.read_bytes().split(b"\n")
        if rest:
            torn.append(path.name)
        for number, line in enumerate(lines, start=1):
            entry = _entry(line, path, number)
            if entry.event_id not in entries or entry.acknowledged_at:
                entries[entry.event_id] = entry
    return Ledger(tuple(entries.values()), tuple(torn))


def _entry(line: bytes, path: Path, number: int) -> LedgerEntry:
    try:
        return msgspec.json.decode(line, type=LedgerEntry)
    except msgspec.DecodeError as error:
        raise LedgerDamaged(
            f"{path}, line {number}: {error}. fix: audit with the untouched ledger; its files are written by loads only"
        ) from error
