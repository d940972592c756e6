"""Gives a shard's batches to its processor; on failure waits, and goes on from the failed record."""

import math
from collections.abc import Callable, Iterator
from dataclasses import replace

from consumers.diagnostics import ShardStopped, ShardWaits
from consumers.processing import Pace, Progress, RecordProcessor, ShardAssignment, ShardStop, Standstill, rest_from
from foundation.backoff import pause_after
from foundation.clock import Wait
from foundation.diagnostics import Emit
from foundation.kinesis import Batch, Position, Sentinel, position_key


class Feeder:
    """Feeds one processor for as long as `wait` is not cut short, and loses nothing on the way.

    `checkpoint` is told how far it is safely done whenever that is news, and answers whether it was written down; what
    was not is told again with what follows. It raises what the engine cannot wait out itself. At most `at_most` records
    are given at a time, so that a checkpoint or a stop is never far. A `ShardStop` is raised, after the checkpoint.
    """

    def __init__(
        self,
        processor: RecordProcessor,
        assignment: ShardAssignment,
        *,
        checkpoint: Callable[[Position], bool],
        wait: Wait,
        emit: Emit,
        at_most: int | None = None,
    ) -> None:
        self._processor = processor
        self._stream = assignment.stream
        self._shard_id = assignment.shard_id
        self._checkpoint = checkpoint
        self._wait = wait
        self._emit = emit
        self._at_most = at_most
        self._written = assignment.checkpoint
        self._done = processor.resume_after
        self._fed = processor.resume_after
        # Where it failed the last time, and how often in a row.
        self._failed_at: Position | None = None
        self._failures = 0

    def feed(self, batch: Batch) -> bool:
        """Until the processor has taken every record; False when the wait was cut short before that."""
        first, *others = _parts(batch, self._at_most)
        return self._feed(first) and all(not self._wait(0) and self._feed(other) for other in others)

    def tell_gone(self) -> bool:
        """The shard is gone with what it still held: the processor passes that over, or stops. False as with `feed`."""
        # Not the tip: it was never seen.
        return self._feed(Batch(self._stream, self._shard_id, Sentinel.SHARD_END, (), millis_behind_latest=1))

    def finish(self, *, within: float = math.inf) -> bool:
        """Flushes until all that was fed is safely done; False when the wait was cut short before that, or took longer
        than so many seconds.
        """
        failures = 0
        while True:
            error, verdict = self._flush()
            if self.is_done:
                return True
            failures += 1
            within -= pause_after(failures)
            if within < 0 or self._pause(self._done, error, verdict, failures):
                return False

    @property
    def is_done(self) -> bool:
        """Whether all that was fed is safely done."""
        return position_key(self._done) >= position_key(self._fed)

    def flush(self) -> Exception | None:
        """Flushes once; answers what went wrong. What could not be flushed is read again by whoever is next."""
        return self._flush()[0]

    def _flush(self) -> tuple[Exception | None, str | None]:
        try:
            progress = self._processor.flush()
        except ShardStop:
            raise
        except Exception as raised:  # noqa: BLE001 - it is told, by a pause or as the last thing that is said
            return raised, None
        self._note(progress)
        return (progress.failure.error, progress.failure.verdict) if progress.failure else (None, None)

    def _feed(self, batch: Batch) -> bool:
        while True:
            pace, verdict = Pace.STILL, None
            try:
                # guarantee: a checkpoint follows its effect
                progress = self._processor.process(batch)
            except ShardStop:
                raise
            except Exception as raised:  # noqa: BLE001 - whatever it is, nothing is known to be done: all of it again
                at: Position = batch.records[0].sequence_number if batch.records else batch.after
                error = raised
            else:
                self._note(progress)
                if progress.failure is None:
                    self._failed_at = None
                    return self._took(batch)
                at, error, pace, verdict = (
                    progress.failure.at,
                    progress.failure.error,
                    progress.failure.pace,
                    progress.failure.verdict,
                )
                batch = batch if pace is not Pace.STILL else rest_from(batch, progress.failure)
            if pace is Pace.FULL:
                self._failed_at = None
                self._say(at, error, verdict, 0)
                return self._took(batch)
            self._failures = self._failures + 1 if at == self._failed_at else 1
            self._failed_at = at
            if self._pause(at, error, verdict, self._failures):
                return False
            if pace is Pace.SLOW:
                return self._took(batch)

    def _took(self, batch: Batch) -> bool:
        self._fed = batch.records[-1].sequence_number if batch.records else self._fed
        return True

    def _note(self, progress: Progress) -> None:
        """Has what is safely done written down, if that is news; then a deliberate stop takes effect."""
        self._done = progress.resume_after
        if position_key(self._done) > position_key(self._written) and self._checkpoint(self._done):
            self._written = self._done
        if progress.failure is not None and isinstance(progress.failure.error, ShardStop):
            raise progress.failure.error

    def _pause(self, at: Position, error: Exception | None, verdict: str | None, failures: int) -> bool:
        pause = pause_after(failures)
        self._say(at, error, verdict, pause)
        return self._wait(pause)

    def _say(self, at: Position, error: Exception | None, verdict: str | None, pause: float) -> None:
        if isinstance(error, Standstill):
            self._emit(ShardStopped(self._shard_id, error, pause))
        else:
            self._emit(ShardWaits(self._shard_id, str(at), error, pause, verdict))


def _parts(batch: Batch, at_most: int | None) -> Iterator[Batch]:
    if at_most is None or len(batch.records) <= at_most:
        yield batch
        return
    after = batch.after
    for end in range(at_most, len(batch.records), at_most):
        records = batch.records[end - at_most : end]
        # Not the tip, since more follows.
        yield replace(batch, after=after, records=records, millis_behind_latest=max(1, batch.millis_behind_latest))
        after = records[-1].sequence_number
    yield replace(batch, after=after, records=batch.records[(len(batch.records) - 1) // at_most * at_most :])
