"""Sets records apart that nobody can process: whole, loudly, and never ten in a row."""

from consumers.blame import loggable
from consumers.dead_letters.bad_runs import BadRuns
from consumers.dead_letters.letters import DeadLetters, dead_letter
from consumers.diagnostics import RecordSetApart
from consumers.processing import ShardAssignment
from foundation.clock import Clock
from foundation.diagnostics import Emit
from foundation.kinesis import Record

READING, PERFORMING = "reading", "performing"


class SetsApart:
    """For all shards of one consumer; outlives the processors that a stopped shard is opened anew with."""

    def __init__(self, consumer: str, dead_letters: DeadLetters, *, clock: Clock, emit: Emit) -> None:
        self.consumer = consumer
        self._dead_letters = dead_letters
        self._bad_runs = BadRuns(consumer)
        self._clock = clock
        self._emit = emit

    def set_apart(
        self, assignment: ShardAssignment, record: Record, error: Exception, kind: str | None, *, attempts: int
    ) -> None:
        """Comes back when the letter is safe. Raises `ShardStop` for the tenth in a row of its kind, if it has one."""
        shard_id, place = assignment.shard_id, record.sequence_number
        if kind:
            self._bad_runs.require_not_a_deployment(shard_id, kind, place, error)
        letter = dead_letter(
            consumer=self.consumer,
            stream=assignment.stream,
            shard_id=assignment.shard_name,
            record=record,
            failed_at=self._clock.now(),
            attempts=attempts,
            error=error,
        )
        self._dead_letters.put(letter)
        if kind:
            self._bad_runs.another(shard_id, kind, place)
        self._emit(RecordSetApart(self.consumer, shard_id, str(place), loggable(error)))

    def went_well(self, shard_id: str, kind: str) -> None:
        """One that could be processed ends the row."""
        self._bad_runs.over(shard_id, kind)
