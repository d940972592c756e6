"""The model of the commit protocol, twice: a stream, and the one that was made anew under its name, in one lake.

Each name in the lake goes through the steps of `commit_model`. New here is which name a holder goes by, and what the
offsets say of the stream whose places they are; that is judged by the very `is_anothers` that the holder asks.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from analytics.table.offsets import Offsets, is_anothers
from tests.analytics.archiving.commit_model import (
    RESTARTED,
    Bounds,
    Flaw,
    Holder,
    Log,
    Move,
    Step,
    Stored,
    _rebuilt,
    moves,
    rows,
)

CREATIONS = (0, 1)
# The name that whichever stream comes first has; each creation's own is behind it.
SHARED = 0


@dataclass(frozen=True)
class Name:
    """What the lake has under a shard's name; `whose` tells for each batch of the log which stream it was read from."""

    stored: Stored = field(default_factory=Stored)
    log: Log = ()
    whose: tuple[int, ...] = ()
    creation: int | None = None


@dataclass(frozen=True)
class Reader:
    """A holder that reads one of the streams, and the name that it goes by since it looked."""

    creation: int
    holder: Holder = RESTARTED
    name: int = SHARED


@dataclass(frozen=True)
class World:
    names: tuple[Name, ...]
    readers: tuple[Reader, ...]


def rows_of(names: tuple[Name, ...], creation: int) -> list[int]:
    """The records of one stream that are in the lake, under whichever name."""
    return sorted(
        row
        for name in names
        for batch, whose in zip(name.log, name.whose, strict=True)
        if whose == creation
        for row in rows((batch,))
    )


def explore(bounds: Bounds, *, knows_creations: bool = True) -> tuple[int, str]:
    """As `commit_model.explore`, with `bounds.holders` readers of each of the two streams.

    Offsets are lost while no holder is at work: that of one whose commit is in flight is what `commit_model` has.
    """
    readers = tuple(Reader(creation) for creation in CREATIONS for _ in range(bounds.holders))
    start = World((Name(),) * 3, readers)
    seen, waiting = {start}, [start]
    finishing: dict[tuple[Name, ...], str] = {}
    while waiting:
        world = waiting.pop()
        for creation in CREATIONS:
            there = rows_of(world.names, creation)
            if there != list(range(1, len(there) + 1)):
                return len(seen), f"rows {there} of stream {creation} in {world}"
        if world.names not in finishing:
            finishing[world.names] = _unfinished(world.names, bounds, knows_creations)
        if finishing[world.names]:
            return len(seen), finishing[world.names]
        for reached in _next_worlds(world, bounds, knows_creations):
            if reached not in seen:
                seen.add(reached)
                waiting.append(reached)
    return len(seen), ""


def _next_worlds(world: World, bounds: Bounds, knows_creations: bool) -> Iterator[World]:
    shared = world.names[SHARED]
    at_rest = all(reader.holder.step in {Step.READ, Step.GONE} for reader in world.readers)
    if bounds.offsets_may_be_lost and at_rest and shared.stored.epoch < 5 and shared.stored.revision < bounds.writes:
        lost = replace(shared, stored=_rebuilt(shared.stored, shared.log), creation=None)
        if shared.log:
            lost = replace(lost, creation=shared.creation)
        yield replace(world, names=(lost, *world.names[1:]))
    for index, reader in enumerate(world.readers):
        for names, moved, move in _moves(world.names, reader, bounds, knows_creations):
            if move.stored.revision <= bounds.writes and len(move.log) <= bounds.commits:
                yield World(names, (*world.readers[:index], moved, *world.readers[index + 1 :]))


def _moves(
    names: tuple[Name, ...], reader: Reader, bounds: Bounds, knows_creations: bool
) -> Iterator[tuple[tuple[Name, ...], Reader, Move]]:
    at = _name_for(names, reader) if reader.holder.step is Step.READ and knows_creations else reader.name
    name = names[at]
    for move in moves(name.stored, name.log, reader.holder, bounds, Flaw.NONE):
        is_claim = reader.holder.step is Step.CLAIM and move.stored != name.stored
        after = Name(
            move.stored,
            move.log,
            name.whose + (reader.creation,) * (len(move.log) - len(name.log)),
            reader.creation if is_claim and name.creation is None else name.creation,
        )
        yield (*names[:at], after, *names[at + 1 :]), Reader(reader.creation, move.holder, at), move


def _name_for(names: tuple[Name, ...], reader: Reader) -> int:
    """What `Holder.open` decides; a lost object that says nothing of its stream does not call back who has moved on."""
    own, shared = 1 + reader.creation, names[SHARED]
    found = Offsets(epoch=0, n=0, hi=None, creation=None if shared.creation is None else str(shared.creation))
    is_lost = shared.creation is None
    return own if is_anothers(found, str(reader.creation)) or (is_lost and names[own].log) else SHARED


def _unfinished(names: tuple[Name, ...], bounds: Bounds, knows_creations: bool) -> str:
    """Where a fresh reader of either stream, alone and without faults, does not bring all of it; else empty."""
    for creation in CREATIONS:
        left, reader = names, Reader(creation)
        while reader.holder.step is not Step.GONE:
            left, reader, move = next(one for one in _moves(left, reader, bounds, knows_creations) if not one[2].fault)
            if move.halts:
                return "" if bounds.offsets_may_be_lost else f"a reader of stream {creation} halts in {names}"
        if rows_of(left, creation) != list(range(1, bounds.records + 1)):
            return f"a fresh reader of stream {creation} does not finish in {names}"
    return ""
