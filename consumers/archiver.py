"""Archives every event of a shard: decodes, sets the unreadable apart, and hands the rows to the lake.

What is in the lake decides where reading begins, not the engine's checkpoint: it may lag, and be lost, at no cost.
"""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import replace

from analytics.archiving import Decoded, LakeGap, LakeHalt, LakeSink, ShardSink, decode_records
from analytics.assembly import lake_sink
from analytics.privacy import CustomerKeys
from analytics.table import SchemaConflict
from consumers.dead_letters import BadRuns, DeadLetters, dead_letter
from consumers.diagnostics import RecordSetApart
from consumers.processing import ProcessorFactory, Progress, ShardAssignment, ShardStop
from consumers.settings import ConsumerSettings
from events import ARCHIVER
from foundation.clock import SYSTEM_CLOCK, Clock, Moment
from foundation.diagnostics import Emit
from foundation.kinesis import Batch, Position, Record, Sentinel, SequenceNumber

_READING = "reading"
# Whoever goes on could lose or double rows, or write files that do not belong together.
_HALTS = (LakeHalt, SchemaConflict)


def archivers(
    settings: ConsumerSettings, environ: Mapping[str, str], emit: Emit, keys: CustomerKeys, letters: DeadLetters
) -> ProcessorFactory:
    """One for each shard; all of them share the process' one sink."""
    sink, bad_runs = lake_sink(environ, settings.stream, emit, keys), BadRuns(ARCHIVER)

    def factory(assignment: ShardAssignment) -> Archiver:
        return Archiver(
            assignment,
            sink=sink,
            keys=keys,
            dead_letters=letters,
            bad_runs=bad_runs,
            clock=SYSTEM_CLOCK,
            emit=emit,
        )

    return factory


class Archiver:
    """The `RecordProcessor` of one shard. Progress is what the lake has committed, and so lags behind the batches.

    Raises `ShardStop` when records are missing between the lake and the batch, or went with a shard that is gone, when
    the lake contradicts itself, and after ten unreadable records in a row. Any other error means: wait, and call
    again with the same records.
    """

    def __init__(
        self,
        assignment: ShardAssignment,
        *,
        sink: LakeSink,
        keys: CustomerKeys,
        dead_letters: DeadLetters,
        bad_runs: BadRuns,
        clock: Clock,
        emit: Emit,
    ) -> None:
        if assignment.checkpoint is Sentinel.LATEST:
            raise ShardStop(
                f"the archiver was to start {assignment.shard_id} at LATEST, which leaves out all that the stream "
                "holds. fix: start it at TRIM_HORIZON"
            )
        self._assignment = assignment
        self._keys = keys
        self._dead_letters = dead_letters
        self._clock = clock
        self._emit = emit
        self._bad_runs = bad_runs
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
            self._shard.check_gap(self._after(batch))
            self._take(self._new(batch.records), self._after(batch))
            if batch.millis_behind_latest == 0:
                self._shard.at_tip(self._read_since)
            progress = Progress(_position(self._shard.advance()))
        except (LakeGap, *_HALTS) as error:
            raise ShardStop(str(error)) from error
        self._read_since = Moment.now(self._clock)
        return progress

    def flush(self) -> Progress:
        try:
            return Progress(_position(self._shard.flush()))
        except _HALTS as error:
            raise ShardStop(str(error)) from error

    def _take(self, records: Sequence[Record], after: SequenceNumber | None) -> None:
        if not records:
            return
        decoded = decode_records(self._assignment.shard_id, records, self._keys)
        self._require_not_a_deployment(records, decoded)
        for unreadable in decoded.unreadable:
            self._set_apart(records[unreadable.index], unreadable.error)
        upto = records[-1].sequence_number
        set_apart = [records[unreadable.index].sequence_number for unreadable in decoded.unreadable]
        self._shard.append(decoded.rows, after=after, upto=upto, set_apart=set_apart)
        for unreadable in decoded.unreadable:
            place = records[unreadable.index].sequence_number
            self._emit(RecordSetApart(ARCHIVER, self._assignment.shard_id, str(place), str(unreadable.error)))

    def _after(self, batch: Batch) -> SequenceNumber | None:
        if batch.after is Sentinel.LATEST:
            raise ShardStop(
                f"{batch.shard_id} was read from LATEST: whatever the stream held before is not in the lake. "
                "fix: start the archiver at TRIM_HORIZON"
            )
        return batch.after if isinstance(batch.after, SequenceNumber) else None

    def _new(self, records: Sequence[Record]) -> Sequence[Record]:
        """Those behind what was taken: records come in the order of the stream."""
        taken = self._shard.taken
        return records if taken is None else records[bisect_right(records, taken, key=_sequence_number) :]

    def _require_not_a_deployment(self, records: Sequence[Record], decoded: Decoded) -> None:
        """Stops the shard before any of these is set apart, when nobody can read ten in a row."""
        shard_id = self._assignment.shard_id
        if not decoded.unreadable:
            self._bad_runs.over(shard_id, _READING)
            return
        errors = {unreadable.index: unreadable.error for unreadable in decoded.unreadable}
        for index, record in enumerate(records):
            if index in errors:
                at = record.sequence_number
                self._bad_runs.require_not_a_deployment(shard_id, _READING, at, errors[index])
                self._bad_runs.another(shard_id, _READING, at)
            else:
                self._bad_runs.over(shard_id, _READING)

    def _set_apart(self, record: Record, error: Exception) -> None:
        letter = dead_letter(
            consumer=ARCHIVER,
            stream=self._assignment.stream,
            shard_id=self._assignment.shard_id,
            record=record,
            failed_at=self._clock.now(),
            attempts=1,
            error=error,
        )
        self._dead_letters.put(letter)


def _sequence_number(record: Record) -> SequenceNumber:
    return record.sequence_number


def _position(committed: SequenceNumber | None) -> Position:
    return Sentinel.TRIM_HORIZON if committed is None else committed
