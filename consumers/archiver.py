"""Archives every event of a shard: decodes, sets the unreadable apart, and hands the rows to the lake.

What is in the lake decides where reading begins, not the engine's checkpoint: it may lag, and be lost, at no cost.
"""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import replace

import pyarrow as pa

from analytics.archiving import LakeGap, LakeHalt, LakeSink, ShardSink, decode_records
from analytics.assembly import lake_sink
from analytics.privacy import CustomerKeys
from analytics.table import EVENT_SCHEMA, SchemaConflict
from consumers.dead_letters import Bad, DeadLetters, SetsApart
from consumers.processing import Pace, ProcessorFactory, Progress, RecordFailure, ShardAssignment, ShardStop, Standstill
from consumers.settings import ConsumerSettings
from consumers.verdicts import Verdict, loggable
from events import ARCHIVER, golden_bytes
from foundation.clock import SYSTEM_CLOCK, Clock, Moment
from foundation.diagnostics import Emit
from foundation.kinesis import Batch, Position, Record, Sentinel, SequenceNumber

# So often a batch is tried on which our own code fails, before the records that it fails on are looked for.
MOST_ATTEMPTS = 5
# So many records that all fail, and none that does not, are no odd records but broken code.
ALL_ALIKE = 10
# So many are kept while others are looked for on which it does not fail.
MOST_KEPT = 20_000
# Whoever goes on could lose or double rows, or write files that do not belong together.
_HALTS = (LakeHalt, SchemaConflict)


def archivers(
    settings: ConsumerSettings, environ: Mapping[str, str], emit: Emit, keys: CustomerKeys, letters: DeadLetters
) -> ProcessorFactory:
    """One for each shard; all of them share the process' one sink."""
    sink = lake_sink(environ, settings.stream, emit, keys)
    apart = SetsApart(ARCHIVER, letters, clock=SYSTEM_CLOCK, emit=emit)

    def factory(assignment: ShardAssignment) -> Archiver:
        return Archiver(assignment, sink=sink, keys=keys, apart=apart, clock=SYSTEM_CLOCK)

    return factory


class Archiver:
    """The `RecordProcessor` of one shard. Progress is what the lake has committed, and so lags behind the batches.

    Unreadable records are set apart, in any number. One that our own code fails on is as well, after five attempts and
    while the code reads others, or at least what it was built with. Where it fails on all alike nothing is: they are
    kept, and tried again with what follows.

    Raises `ShardStop` when records are missing between the lake and the batch, or went with a shard that is gone, and
    when the lake contradicts itself. Any other error means: wait, and call again with the same records.
    """

    def __init__(
        self,
        assignment: ShardAssignment,
        *,
        sink: LakeSink,
        keys: CustomerKeys,
        apart: SetsApart,
        clock: Clock,
    ) -> None:
        if assignment.checkpoint is Sentinel.LATEST:
            raise ShardStop(
                f"the archiver was to start {assignment.shard_id} at LATEST, which leaves out all that the stream "
                "holds. fix: start it at TRIM_HORIZON"
            )
        self._assignment = assignment
        self._keys = keys
        self._apart = apart
        self._clock = clock
        # Of the records at hand: those to set apart, and how often our own code has failed on any of them.
        self._bad: dict[SequenceNumber, Bad] = {}
        self._failures = 0
        # Records that our own code fails on, every one; and what they follow.
        self._kept: Sequence[Record] = ()
        self._kept_after: SequenceNumber | None = None
        # Before the batch at hand was read: it may be tried for long, and says nothing about what came meanwhile.
        self._read_since = Moment.now(clock)
        try:
            self._shard: ShardSink = sink.open(assignment.shard_id, assignment.creation)
        except _HALTS as error:
            raise ShardStop(str(error)) from error
        # Rows and letters go by the lake's name for the shard.
        self._assignment = replace(assignment, shard_id=self._shard.shard_id, made_anew=False)

    @property
    def resume_after(self) -> Position:
        return _position(self._shard.committed)

    def process(self, batch: Batch) -> Progress:
        try:
            self._shard.ready()
            if batch.after is Sentinel.SHARD_END:
                self._shard.check_gone()
                return Progress(_position(self._shard.advance()))
            after = self._kept_after if self._kept else self._after(batch)
            self._shard.check_gap(after)
            stands = self._take((*self._kept, *self._new(batch.records)), after)
            if batch.millis_behind_latest == 0 and stands is None:
                self._shard.at_tip(self._read_since)
            progress = Progress(_position(self._shard.advance()), stands)
        except (LakeGap, *_HALTS) as error:
            raise ShardStop(str(error)) from error
        self._read_since = Moment.now(self._clock)
        return progress

    def flush(self) -> Progress:
        try:
            stands = self._take(self._kept, self._kept_after)
            return Progress(_position(self._shard.flush()), stands)
        except _HALTS as error:
            raise ShardStop(str(error)) from error

    def _take(self, records: Sequence[Record], after: SequenceNumber | None) -> RecordFailure | None:
        """All of them; or none, while our own code fails on every one: then they are kept."""
        if not records:
            return None
        try:
            rows, unreadable = self._decoded(records)
        except Standstill as error:
            pace = Pace.SLOW if len(records) < MOST_KEPT else Pace.STILL
            if pace is Pace.SLOW:
                self._kept, self._kept_after = tuple(records), after
            return RecordFailure(records[0].sequence_number, error, pace, Verdict.OURS.value)
        bad = {one.record.sequence_number: self._bad.get(one.record.sequence_number, one) for one in unreadable}
        self._bad = bad
        self._apart.set_apart(self._assignment, list(bad.values()))
        self._shard.append(rows, after=after, upto=records[-1].sequence_number, set_apart=list(bad))
        self._bad, self._failures, self._kept = {}, 0, ()
        return None

    def _decoded(self, records: Sequence[Record]) -> tuple[pa.Table, list[Bad]]:
        """The rows, and what is to be set apart. Decoding asks nobody, so what it raises is our own code's."""
        try:
            return self._decode(records)
        except Exception as error:
            self._failures += 1
            if self._failures < MOST_ATTEMPTS:
                raise
            can_read = self._can_read()
            parts, bad = self._halved(records) if can_read else ([], [])
            # guarantee: the archiver sets nothing apart that only its own code is to blame for
            if not can_read or (not parts and len(bad) >= ALL_ALIKE):
                raise Standstill(
                    f"the archiver fails on every record of {self._assignment.shard_id}: {loggable(error)}. "
                    "fix: this looks like a bad deployment, not bad records; deploy one that can read them"
                ) from error
            return pa.concat_tables(parts) if parts else EVENT_SCHEMA.empty_table(), bad

    def _decode(self, records: Sequence[Record]) -> tuple[pa.Table, list[Bad]]:
        decoded = decode_records(self._assignment.shard_id, records, self._keys)
        return decoded.rows, [Bad(records[one.index], one.error) for one in decoded.unreadable]

    def _halved(self, records: Sequence[Record]) -> tuple[list[pa.Table], list[Bad]]:
        """The rows of what can be decoded; what cannot is set apart alone."""
        try:
            rows, bad = self._decode(records)
        except Exception as error:  # noqa: BLE001 - which record it is, is what is looked for
            if len(records) == 1:
                return [], [Bad(records[0], error, self._failures)]
            half = len(records) // 2
            first, second = self._halved(records[:half]), self._halved(records[half:])
            return first[0] + second[0], first[1] + second[1]
        return [rows], bad

    def _can_read(self) -> bool:
        """Whether our own code still reads what it was built with: a record that it fails on alone is then odd."""
        golden = [Record("0", None, data, 0.0) for data in golden_bytes().values()]
        try:
            return not self._decode(golden)[1]
        except Exception:  # noqa: BLE001 - whatever it is, the code is broken
            return False

    def _after(self, batch: Batch) -> SequenceNumber | None:
        if batch.after is Sentinel.LATEST:
            raise ShardStop(
                f"{batch.shard_id} was read from LATEST: whatever the stream held before is not in the lake. "
                "fix: start the archiver at TRIM_HORIZON"
            )
        return batch.after if isinstance(batch.after, SequenceNumber) else None

    def _new(self, records: Sequence[Record]) -> Sequence[Record]:
        """Those behind what was taken, or is kept: records come in the order of the stream."""
        taken = self._kept[-1].sequence_number if self._kept else self._shard.taken
        return records if taken is None else records[bisect_right(records, taken, key=_sequence_number) :]


def _sequence_number(record: Record) -> SequenceNumber:
    return record.sequence_number


def _position(committed: SequenceNumber | None) -> Position:
    return Sentinel.TRIM_HORIZON if committed is None else committed
