"""Sets records apart that nobody can process: whole, loudly, in any number."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass

from consumers.dead_letters.letters import DeadLetters, dead_letter
from consumers.diagnostics import RecordSetApart
from consumers.processing import ShardAssignment
from consumers.verdicts import loggable, told
from foundation.clock import Clock
from foundation.diagnostics import Emit
from foundation.kinesis import Record
from foundation.threads import StartThread, in_parallel

# Letters of a shard that go out at once. Together they are no more than a batch, which is in memory anyway.
LETTERS_AT_ONCE = 32


@dataclass(eq=False, slots=True)
class Bad:
    """A record to set apart, why, and after how many attempts; `is_safe` once its letter is written."""

    record: Record
    error: Exception
    attempts: int = 1
    is_safe: bool = False


class SetsApart:
    """For all shards of one consumer."""

    def __init__(
        self,
        consumer: str,
        dead_letters: DeadLetters,
        *,
        clock: Clock,
        emit: Emit,
        thread: StartThread = threading.Thread,
    ) -> None:
        self.consumer = consumer
        self._dead_letters = dead_letters
        self._clock = clock
        self._emit = emit
        self._thread = thread

    def set_apart(self, assignment: ShardAssignment, bad: Sequence[Bad]) -> None:
        """Comes back when all their letters are safe. Raises why one could not be written: call again with the same."""
        waiting = iter([one for one in bad if not one.is_safe])
        lock, failures = threading.Lock(), list[Exception]()

        def write() -> None:
            while True:
                with lock:
                    one = None if failures else next(waiting, None)
                if one is None:
                    return
                try:
                    self._write(assignment, one)
                except Exception as error:  # noqa: BLE001 - raised again by the thread that asked
                    failures.append(error)

        # guarantee: letters go out side by side
        in_parallel(
            write, min(LETTERS_AT_ONCE, len(bad)), name=f"letters of {assignment.shard_id}", thread=self._thread
        )
        if failures:
            raise failures[0]

    def _write(self, assignment: ShardAssignment, one: Bad) -> None:
        letter = dead_letter(
            consumer=self.consumer,
            stream=assignment.stream,
            shard_id=assignment.shard_name,
            record=one.record,
            failed_at=self._clock.now(),
            attempts=one.attempts,
            error=one.error,
        )
        self._dead_letters.put(letter)
        one.is_safe = True
        place = str(one.record.sequence_number)
        self._emit(RecordSetApart(self.consumer, assignment.shard_id, place, loggable(one.error), told(one.error)))
