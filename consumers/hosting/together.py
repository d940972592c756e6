"""A processor made of several: each is given all of a shard; what they have done together is what the least has."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from consumers.hosting.member import Member, earliest, not_the_tip
from consumers.processing import (
    Pace,
    ProcessorFactory,
    Progress,
    RecordFailure,
    RecordProcessor,
    ShardAssignment,
    ShardStop,
    Standstill,
)
from foundation.clock import Clock
from foundation.diagnostics import PlainlyTold, in_words
from foundation.kinesis import Batch, Position, Sentinel


class HostedFails(PlainlyTold):
    """One of several consumers of a process fails, the one that is named; the others go on."""


class HostedStands(Standstill):
    """One of several consumers of a process refuses to go on, or fails on every record; the others go on."""


_FIX = ". fix: "
_MEND = "mend that, and deploy again; nothing is lost"


def hosting(factories: Mapping[str, ProcessorFactory], *, clock: Clock) -> ProcessorFactory:
    """What processes a shard for all of these consumers, by their names. One alone stays as it is."""
    if len(factories) == 1:
        return next(iter(factories.values()))

    def factory(assignment: ShardAssignment) -> RecordProcessor:
        return Together([Member(name, make, assignment, clock=clock) for name, make in factories.items()])

    return factory


class Together:
    """The `RecordProcessor` of several, one after the other in the shard's thread.

    One that fails keeps its own place, and so the checkpoint; what follows is given to the others, and waits for it up
    to a bound. Then the shard waits, or stops if the one has refused to go on: as it does at once when all have, and
    when the shard is gone. Where none can be opened, that is raised as if it were one's own.
    """

    def __init__(self, members: Sequence[Member]) -> None:
        self._members = members
        # The engine waits: after that, all are due.
        self._stands = False
        if not any(member.is_open for member in members):
            passing = next((member for member in members if not member.stopped), None)
            raise passing.held_up_by.error if passing else _stop_of(members[0])

    @property
    def resume_after(self) -> Position:
        # guarantee: the checkpoint of several consumers of a process is the least of theirs
        return min((member.place for member in self._members), key=earliest)

    def process(self, batch: Batch) -> Progress:
        stood, self._stands = self._stands, False
        for member in self._members:
            member.catch_up(everything=stood)
        full = [member for member in self._members if not member.has_room(batch)]
        given = not_the_tip(replace(batch, records=())) if full else batch
        for member in self._members:
            # guarantee: one of several consumers of a process that fails keeps no record from the others
            member.give(given)
        return self._progress(self._holding_up(batch, full))

    def flush(self) -> Progress:
        for member in self._members:
            member.catch_up(everything=True)
            # guarantee: all of several consumers of a process are flushed, whichever fails
            member.flush()
        return self._progress([member for member in self._members if member.stopped])

    def _holding_up(self, batch: Batch, full: Sequence[Member]) -> Sequence[Member]:
        """Those for whose sake the engine does not go on."""
        if batch.after is Sentinel.SHARD_END:
            # guarantee: a shard that is gone ends when all consumers of a process put up with it
            return [member for member in self._members if member.waits]
        if all(member.stopped for member in self._members):
            return self._members
        return [member for member in self._members if member.is_behind or member in full]

    def _progress(self, holding_up: Sequence[Member]) -> Progress:
        told = [(member, failure) for member in self._members if (failure := member.tell())]
        if stopped := [member for member in holding_up if member.stopped]:
            first = min(stopped, key=_place)
            return Progress(self.resume_after, RecordFailure(first.held_up_by.at, _stop_of(first)))
        if holding_up:
            self._stands = True
            first = min(holding_up, key=_place)
            return Progress(self.resume_after, _named(first, first.held_up_by, Pace.STILL))
        if told:
            first, failure = min(told, key=lambda one: earliest(one[0].place))
            return Progress(self.resume_after, _named(first, failure, Pace.FULL))
        return Progress(self.resume_after)


def _place(member: Member) -> tuple[float, int]:
    return earliest(member.place)


def _stop_of(member: Member) -> ShardStop:
    stop = ShardStop(_sentence(member, str(member.stopped)))
    stop.__cause__ = member.stopped
    return stop


def _sentence(member: Member, why: str) -> str:
    """Which consumer of a process has stopped on which shard, why, and what to do."""
    what, _, fix = why.partition(_FIX)
    return f"{member.name} refuses to go on with {member.shard_id}: {what}{_FIX}{fix or _MEND}"


def _named(member: Member, failure: RecordFailure, pace: Pace) -> RecordFailure:
    """As the engine is told it: whose failure it is."""
    stands = isinstance(failure.error, (Standstill, ShardStop))
    if isinstance(failure.error, Standstill):
        # It names consumer and shard, and says what to do.
        said = str(failure.error)
    elif stands:
        said = _sentence(member, str(failure.error))
    else:
        said = f"{member.name} fails on {member.shard_id}: {in_words(failure.error)}"
    error = (HostedStands if stands else HostedFails)(said)
    error.__cause__ = failure.error
    return replace(failure, error=error, pace=pace)
