"""One shard's life in one thread: open the processor, read, process, checkpoint, and end in good order."""

from collections.abc import Callable
from dataclasses import replace

from consumers.diagnostics import ShardFailed, ShardFinished, ShardStarted, ShardStopped, ShardWaits
from consumers.engines.worker.lease import position_text
from consumers.engines.worker.lease_keeper import HeldLease
from consumers.engines.worker.settings import WorkerSettings, pause_after
from consumers.engines.worker.shard_reader import EndOfShard, ShardReader
from consumers.processing import ProcessorFactory, Progress, RecordFailure, RecordProcessor, ShardAssignment, ShardStop
from consumers.records import Batch, Position, Sentinel, SequenceNumber, position_key
from foundation.clock import Wait
from foundation.diagnostics import Emit

# Makes the leases of an ended shard's children; answers who they are.
BeginChildren = Callable[[str, EndOfShard], frozenset[str]]


class ShardWorker:
    """Feeds one processor with one shard for as long as the lease is held.

    A checkpoint follows the progress it reports, always. Whatever breaks, the shard waits and goes on from what is
    safely done: a failure that the processor reports is tried again from the failed record on; after any other error
    the processor is thrown away and opened again, since nobody knows what state it is in.
    """

    def __init__(
        self,
        held: HeldLease,
        reader: ShardReader,
        factory: ProcessorFactory,
        begin_children: BeginChildren,
        settings: WorkerSettings,
        *,
        wait: Wait,
        emit: Emit,
    ) -> None:
        self.held = held
        self.is_over = False
        self._reader = reader
        self._factory = factory
        self._begin_children = begin_children
        self._settings = settings
        self._wait = wait
        self._emit = emit
        self._last: Position = held.checkpoint

    def run(self) -> None:
        """Until the shard is finished, its lease lost, or the worker stops."""
        failures = 0
        while not (self.is_over or self.held.ending.is_set() or self.held.lost):
            before = self.held.checkpoint
            try:
                self._live()
            except Exception as error:  # noqa: BLE001 - whatever it is, the shard starts again, and says so
                failures = failures + 1 if self.held.checkpoint == before else 1
                self._pause_after(error, failures)
        if self.held.lost:
            self.held.give_up()
        elif not self.is_over:
            self._evict()
        self.is_over = True

    def _live(self) -> None:
        assignment = ShardAssignment(self._settings.stream, self.held.shard_id, self.held.checkpoint)
        processor = self._factory(assignment)
        self._last = processor.resume_after
        self._emit(ShardStarted(self.held.shard_id, position_text(self._last)))
        for batch in self._reader.batches(processor.resume_after):
            self._process(processor, batch)
            if self.held.ending.is_set() or self.held.lost:
                break
        if self.held.lost:
            return
        if self._reader.end is not None:
            self._finish(processor, self._reader.end)
        else:
            self._checkpoint(self._flushed(processor))

    def _process(self, processor: RecordProcessor, batch: Batch) -> None:
        failures = 0
        while not (self.held.ending.is_set() or self.held.lost):
            progress = processor.process(batch)
            self._checkpoint(progress)
            if progress.failure is None:
                self._last = batch.records[-1].sequence_number if batch.records else self._last
                return
            rest = _from(batch, progress.failure)
            failures = failures + 1 if rest.after == batch.after else 1
            batch = rest
            pause = pause_after(failures)
            at, error = str(progress.failure.at), progress.failure.error
            self._emit(ShardWaits(self.held.shard_id, at, error, pause))
            self._wait(pause)

    def _finish(self, processor: RecordProcessor, end: EndOfShard) -> None:
        failures = 0
        progress = self._flushed(processor)
        while position_key(progress.resume_after) < position_key(self._last):
            self._checkpoint(progress)
            failures += 1
            pause = pause_after(failures)
            error = progress.failure.error if progress.failure else None
            self._emit(ShardWaits(self.held.shard_id, position_text(progress.resume_after), error, pause))
            if self._wait(pause):
                return
            progress = self._flushed(processor)
        children = self._begin_children(self.held.shard_id, end)
        if self.held.write_checkpoint(Sentinel.SHARD_END, children):
            self.is_over = True
            self._emit(ShardFinished(self.held.shard_id, tuple(sorted(children))))

    def _flushed(self, processor: RecordProcessor) -> Progress:
        progress = processor.flush()
        if progress.failure is not None and isinstance(progress.failure.error, ShardStop):
            raise progress.failure.error
        return progress

    def _checkpoint(self, progress: Progress) -> None:
        """Writes down what is safely done, if that is news; then a deliberate stop takes effect."""
        done = progress.resume_after
        if done != self._reader.gap and position_key(done) > position_key(self.held.checkpoint):
            self.held.write_checkpoint(done)
        if progress.failure is not None and isinstance(progress.failure.error, ShardStop):
            raise progress.failure.error

    def _pause_after(self, error: Exception, failures: int) -> None:
        if isinstance(error, ShardStop):
            pause = self._settings.stopped_seconds
            self._emit(ShardStopped(self.held.shard_id, error, pause))
        else:
            pause = pause_after(failures)
            self._emit(ShardFailed(self.held.shard_id, error, pause))
        self._wait(pause)

    def _evict(self) -> None:
        try:
            self.held.evict()
        except Exception as error:  # noqa: BLE001 - the lease runs out by itself; that is said, and the thread ends
            self._emit(ShardFailed(self.held.shard_id, error, 0))


def _from(batch: Batch, failure: RecordFailure) -> Batch:
    """What is left of the batch from the failed record on."""
    done = [record.sequence_number for record in batch.records if record.sequence_number < failure.at]
    rest = batch.records[len(done) :]
    if not rest:
        raise ValueError(
            f"{batch.shard_id}: the processor failed at {failure.at}, which is behind the batch it was given. "
            "fix: name a record of the batch"
        ) from failure.error
    return replace(batch, after=_after(batch, done), records=rest)


def _after(batch: Batch, done: list[SequenceNumber]) -> Position:
    return done[-1] if done else batch.after
