"""An exhaustive model of the commit protocol for one shard: every interleaving of holders, crashes and lost answers.

It walks the steps of `analytics.archiving.holder` and `analytics.archiving.sink` and asks
the very `judge` that they ask.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from enum import Enum

from analytics.archiving.holder import Verdict, judge
from analytics.table.offsets import Offsets, Pending
from foundation.kinesis.records import SequenceNumber


class Flaw(Enum):
    """What a broken variant leaves out."""

    NONE = "nothing"
    NO_FENCE = "an unknown commit is taken for one that never comes"
    NO_CHECK = "nobody compares the log with the batch before the commit"
    NO_CONDITION = "the offsets are written over whatever is there"
    NO_BATCH_ID = "any batch of the right number passes for one's own"


class Step(Enum):
    """What a holder does next."""

    READ = "read"
    CLAIM = "claim"
    LOAD = "load"
    DECIDE = "decide"
    CLEAR = "clear"
    BATCH = "batch"
    INTENT = "intent"
    CHECK = "check"
    COMMIT = "commit"
    FINALISE = "finalise"
    GONE = "gone"


@dataclass(frozen=True)
class Batch:
    """Records lo+1 to hi. A fence is a batch of none, whose id is 0."""

    n: int
    lo: int
    hi: int
    batch_id: int


@dataclass(frozen=True)
class Stored:
    """The offsets object; `revision` stands for its ETag."""

    revision: int = 0
    epoch: int = 0
    n: int = 0
    hi: int = 0
    pending: Batch | None = None


@dataclass(frozen=True)
class Holder:
    """A process that knows what it last read or wrote, and the log's length and number when it last looked."""

    step: Step = Step.READ
    known: Stored = Stored()
    snapshot: int = 0
    version: int = 0


Log = tuple[Batch, ...]
GONE = Holder(Step.GONE)
RESTARTED = Holder(Step.READ)


@dataclass(frozen=True)
class Move:
    """One atomic step, applied. `halts` is a loud stop for a person; `fault` is one that a lucky run does not meet."""

    stored: Stored
    log: Log
    holder: Holder
    halts: bool = False
    fault: bool = False


@dataclass(frozen=True)
class Bounds:
    holders: int
    records: int
    writes: int
    commits: int = 6
    offsets_may_be_lost: bool = False


@dataclass(frozen=True)
class World:
    stored: Stored = Stored()
    log: Log = ()
    holders: tuple[Holder, ...] = ()


def rows(log: Log) -> list[int]:
    return [record for batch in log for record in range(batch.lo + 1, batch.hi + 1)]


def explore(bounds: Bounds, flaw: Flaw = Flaw.NONE) -> tuple[int, str]:
    """Visits every world within the bounds. Answers how many there are, and the first violation, empty for none."""
    start = World(holders=(RESTARTED,) * bounds.holders)
    seen, waiting = {start}, [start]
    finishing: dict[tuple[Stored, Log], bool] = {}
    while waiting:
        world = waiting.pop()
        there = rows(world.log)
        if there != list(range(1, len(there) + 1)):
            return len(seen), f"rows {there} in {world}"
        key = world.stored, world.log
        if key not in finishing:
            finishing[key] = _fresh_holder_finishes(world, bounds, flaw)
            if not finishing[key]:
                return len(seen), f"a fresh holder cannot finish in {world}"
        for reached, halts in _next_worlds(world, bounds, flaw):
            if halts:
                if not bounds.offsets_may_be_lost:
                    return len(seen), f"a holder halts in {world}"
            elif reached not in seen:
                seen.add(reached)
                waiting.append(reached)
    return len(seen), ""


def _next_worlds(world: World, bounds: Bounds, flaw: Flaw) -> Iterator[tuple[World, bool]]:
    if bounds.offsets_may_be_lost and world.stored.epoch < 5 and world.stored.revision < bounds.writes:
        yield replace(world, stored=_rebuilt(world.stored, world.log)), False
    for index, holder in enumerate(world.holders):
        others = world.holders[:index] + world.holders[index + 1 :]
        for move in moves(world.stored, world.log, holder, bounds, flaw):
            if move.stored.revision <= bounds.writes and len(move.log) <= bounds.commits:
                # Holders differ by what they know only, so their order says nothing.
                holders = tuple(sorted((*others, move.holder), key=_order))
                yield World(move.stored, move.log, holders), move.halts


def _fresh_holder_finishes(world: World, bounds: Bounds, flaw: Flaw) -> bool:
    """Alone and without faults; after a loss of the offsets a loud stop is an answer too."""
    stored, log, holder = world.stored, world.log, RESTARTED
    while holder.step is not Step.GONE:
        move = next(move for move in moves(stored, log, holder, bounds, flaw) if not move.fault)
        if move.halts:
            return bounds.offsets_may_be_lost
        stored, log, holder = move.stored, move.log, move.holder
    return rows(log) == list(range(1, bounds.records + 1))


def _rebuilt(stored: Stored, log: Log) -> Stored:
    """The object is lost and made anew from the log, with an epoch above any in a file's name."""
    return Stored(
        revision=stored.revision + 1,
        epoch=stored.epoch + 5,
        n=log[-1].n if log else 0,
        hi=max((batch.hi for batch in log), default=0),
    )


def moves(stored: Stored, log: Log, holder: Holder, bounds: Bounds, flaw: Flaw) -> Iterator[Move]:
    """All that may happen when this holder takes its next step."""
    if holder.step is Step.GONE:
        return
    yield Move(stored, log, GONE, fault=True)
    yield from _MOVES[holder.step](stored, log, holder, bounds, flaw)


def _read(stored: Stored, log: Log, _holder: Holder, _bounds: Bounds, _flaw: Flaw) -> Iterator[Move]:
    yield Move(stored, log, Holder(Step.CLAIM, stored))


def _claim(stored: Stored, log: Log, holder: Holder, _bounds: Bounds, flaw: Flaw) -> Iterator[Move]:
    yield from _write(stored, log, holder, replace(holder.known, epoch=holder.known.epoch + 1), Step.LOAD, flaw)


def _load(stored: Stored, log: Log, holder: Holder, _bounds: Bounds, _flaw: Flaw) -> Iterator[Move]:
    yield Move(stored, log, Holder(Step.DECIDE, holder.known, len(log), log[-1].n if log else 0))


def _decide(stored: Stored, log: Log, holder: Holder, _bounds: Bounds, flaw: Flaw) -> Iterator[Move]:
    verdict = _judged(holder, log, flaw)
    pending = holder.known.pending
    if verdict is Verdict.CLEAN:
        yield Move(stored, log, replace(holder, step=Step.BATCH))
    elif verdict is Verdict.LANDED:
        yield Move(stored, log, replace(holder, step=Step.FINALISE))
    elif verdict is Verdict.FENCED or (verdict is Verdict.UNKNOWN and flaw is Flaw.NO_FENCE):
        yield Move(stored, log, replace(holder, step=Step.CLEAR))
    elif verdict is Verdict.UNKNOWN and pending is not None:
        fence = Batch(pending.n + 1, 0, 0, 0)
        yield from _commit_to_log(stored, log, holder, fence, Step.LOAD, rejected=replace(holder, step=Step.LOAD))
    elif stored.epoch != holder.known.epoch:
        yield Move(stored, log, RESTARTED)
    else:
        yield Move(stored, log, GONE, halts=True)


def _clear(stored: Stored, log: Log, holder: Holder, _bounds: Bounds, flaw: Flaw) -> Iterator[Move]:
    assert holder.known.pending
    n = holder.known.pending.n + (-1 if flaw is Flaw.NO_FENCE else 1)
    yield from _write(stored, log, holder, replace(holder.known, n=n, pending=None), Step.BATCH, flaw)


def _batch(stored: Stored, log: Log, holder: Holder, bounds: Bounds, flaw: Flaw) -> Iterator[Move]:
    known = holder.known
    if known.hi >= bounds.records:
        yield Move(stored, log, GONE)
    for size in (1, 2):
        if known.hi + size <= bounds.records:
            # No two holders write the same revision, so it makes the id unique.
            batch = Batch(known.n + 1, known.hi, known.hi + size, known.revision * 10 + known.epoch % 10)
            yield Move(stored, log, replace(holder, step=Step.INTENT, known=replace(known, pending=batch)))
    # A refresh: all that is modelled here stays.
    yield from _write(stored, log, holder, known, Step.BATCH, flaw)


def _intent(stored: Stored, log: Log, holder: Holder, _bounds: Bounds, flaw: Flaw) -> Iterator[Move]:
    yield from _write(stored, log, holder, holder.known, Step.CHECK, flaw)


def _check(stored: Stored, log: Log, holder: Holder, _bounds: Bounds, flaw: Flaw) -> Iterator[Move]:
    assert holder.known.pending
    version = log[-1].n if log else 0
    follows = version == holder.known.pending.n - 1 or flaw is Flaw.NO_CHECK
    yield Move(stored, log, Holder(Step.COMMIT, holder.known, len(log), version) if follows else RESTARTED)


def _commit(stored: Stored, log: Log, holder: Holder, _bounds: Bounds, _flaw: Flaw) -> Iterator[Move]:
    assert holder.known.pending
    yield from _commit_to_log(stored, log, holder, holder.known.pending, Step.FINALISE, rejected=RESTARTED)


def _finalise(stored: Stored, log: Log, holder: Holder, _bounds: Bounds, flaw: Flaw) -> Iterator[Move]:
    pending = holder.known.pending
    assert pending
    final = replace(holder.known, n=pending.n, hi=pending.hi, pending=None)
    yield from _write(stored, log, holder, final, Step.BATCH, flaw)


_MOVES: dict[Step, Callable[[Stored, Log, Holder, Bounds, Flaw], Iterator[Move]]] = {
    Step.READ: _read,
    Step.CLAIM: _claim,
    Step.LOAD: _load,
    Step.DECIDE: _decide,
    Step.CLEAR: _clear,
    Step.BATCH: _batch,
    Step.INTENT: _intent,
    Step.CHECK: _check,
    Step.COMMIT: _commit,
    Step.FINALISE: _finalise,
}


def _write(stored: Stored, log: Log, holder: Holder, written: Stored, step: Step, flaw: Flaw) -> Iterator[Move]:
    """A conditional write of the offsets: applied, applied with its answer lost, or refused."""
    if stored.revision != holder.known.revision and flaw is not Flaw.NO_CONDITION:
        yield Move(stored, log, RESTARTED)
        return
    revised = replace(written, revision=stored.revision + 1)
    yield Move(revised, log, Holder(step, revised))
    yield Move(revised, log, RESTARTED, fault=True)


def _commit_to_log(
    stored: Stored, log: Log, holder: Holder, batch: Batch, step: Step, *, rejected: Holder
) -> Iterator[Move]:
    """The log takes it unless something came since the snapshot; it does not compare numbers."""
    if len(log) != holder.snapshot:
        yield Move(stored, log, rejected)
        return
    yield Move(stored, (*log, batch), replace(holder, step=step))
    yield Move(stored, (*log, batch), RESTARTED, fault=True)


def _judged(holder: Holder, log: Log, flaw: Flaw) -> Verdict:
    """The project's own judgement of these offsets."""
    known = holder.known
    logged = str(log[holder.snapshot - 1].batch_id) if holder.snapshot else None
    pending = None
    if known.pending:
        if flaw is Flaw.NO_BATCH_ID and holder.version == known.pending.n:
            logged = str(known.pending.batch_id)
        pending = Pending(
            batch_id=str(known.pending.batch_id),
            n=known.pending.n,
            lo=SequenceNumber(str(known.pending.lo)),
            hi=SequenceNumber(str(known.pending.hi)),
            files=(),
            rows=0,
            schema="",
        )
    offsets = Offsets(epoch=known.epoch, n=known.n, hi=SequenceNumber(str(known.hi)), pending=pending)
    return judge(offsets, holder.version, logged)


def _order(holder: Holder) -> tuple[str, int, int, int, int, int, int, int]:
    known = holder.known
    batch_id = known.pending.batch_id if known.pending else -1
    return (
        holder.step.value,
        known.revision,
        known.epoch,
        known.n,
        known.hi,
        batch_id,
        holder.snapshot,
        holder.version,
    )
