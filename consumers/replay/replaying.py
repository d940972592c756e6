"""Gives a consumer the events of the past, through the very processor that its engines feed."""

from collections.abc import Iterator, Sequence
from typing import Protocol

from consumers.engines.feeding import Feeder
from consumers.processing import ProcessorFactory, ShardAssignment
from consumers.replay.diagnostics import ReplayedSoFar
from foundation.clock import Wait
from foundation.diagnostics import Emit
from foundation.kinesis import Batch, Position, Record, Sentinel

_TOLD_EACH = 10_000


class PastEvents(Protocol):
    """One version of the lake."""

    def shards(self) -> Sequence[str]:
        """The shards' names, parents before their children."""

    def records(self, shard: str) -> Iterator[list[Record]]:
        """The shard's events, each once, in the order of the stream, some at a time."""


def replay(past: PastEvents, factory: ProcessorFactory, stream: str, *, wait: Wait, emit: Emit) -> int | None:
    """How many events it was given, all of them done; None when the wait was cut short before that.

    An order's events lie on one shard, and behind a reshard on that one's child: so each order is given in order. Given
    again, by a job that was broken off, an event counts no second time, as outcomes and states see to. Raises
    `ShardStop`.
    """
    events = 0
    for shard in past.shards():
        assignment = ShardAssignment(stream, shard, Sentinel.TRIM_HORIZON)
        feeder = Feeder(factory(assignment), assignment, checkpoint=lambda _: True, wait=wait, emit=emit)
        after: Position = Sentinel.TRIM_HORIZON
        for records in past.records(shard):
            if not records:
                continue
            if not feeder.feed(Batch(stream, shard, after, tuple(records), millis_behind_latest=1)):
                return None
            after = records[-1].sequence_number
            if (events + len(records)) // _TOLD_EACH > events // _TOLD_EACH:
                emit(ReplayedSoFar(shard, events + len(records)))
            events += len(records)
        # guarantee: a replay is over when all of it is done
        if not feeder.finish():
            return None
    return events
