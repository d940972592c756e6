"""One shard's life in one thread: open the processor, read, process, checkpoint, and end in good order."""

from collections.abc import Callable, Iterable
from dataclasses import replace

from botocore.exceptions import BotoCoreError, ClientError

from consumers.diagnostics import CheckpointFailed, ShardFailed, ShardFinished, ShardStarted, ShardStopped, ShardWaits
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
    safely done: the processor is called again, from the failed record on when it named one. When the reading itself or
    the shard's end broke off, and after a deliberate stop, the processor is opened anew from its own position.
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
        while not (self.is_over or self._must_end):
            before = self.held.checkpoint
            try:
                self._live()
            except Exception as error:  # noqa: BLE001 - whatever it is, the shard starts again, and says so
                failures = failures + 1 if self.held.checkpoint == before else 1
                self._start_over_after(error, failures)
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
            if self._must_end:
                break
        if self.held.lost:
            return
        if self._reader.end is not None:
            self._finish(processor, self._reader.end)
        else:
            self._let_go(processor)

    def _process(self, processor: RecordProcessor, batch: Batch) -> None:
        failures = 0
        while not self._must_end:
            try:
                progress = processor.process(batch)
            except ShardStop:
                raise
            except Exception as raised:  # noqa: BLE001 - whatever it is, nothing is known to be done: all of it again
                rest, error = batch, raised
            else:
                self._checkpoint(progress)
                if progress.failure is None:
                    self._last = batch.records[-1].sequence_number if batch.records else self._last
                    return
                rest, error = _from(batch, progress.failure), progress.failure.error
            failures = failures + 1 if rest.after == batch.after else 1
            batch = rest
            self._pause(batch.records[0].sequence_number if batch.records else batch.after, error, failures)

    def _finish(self, processor: RecordProcessor, end: EndOfShard) -> None:
        failures = 0
        done, error = self._flush(processor)
        while position_key(done) < position_key(self._last):
            failures += 1
            if self._pause(done, error, failures):
                return
            done, error = self._flush(processor)
        children = self._begin_children(self.held.shard_id, end)
        if self._write(Sentinel.SHARD_END, children):
            self.is_over = True
            self._emit(ShardFinished(self.held.shard_id, tuple(sorted(children))))

    def _let_go(self, processor: RecordProcessor) -> None:
        """What cannot be flushed now is read again by whoever is next."""
        _, error = self._flush(processor)
        if error is not None:
            self._emit(ShardFailed(self.held.shard_id, error, 0))

    def _flush(self, processor: RecordProcessor) -> tuple[Position, Exception | None]:
        """How far it is safely done, checkpointed; and what went wrong."""
        try:
            progress = processor.flush()
        except ShardStop:
            raise
        except Exception as raised:  # noqa: BLE001 - it is told, by a pause or as the last thing that is said
            return self.held.checkpoint, raised
        self._checkpoint(progress)
        return progress.resume_after, progress.failure.error if progress.failure else None

    def _checkpoint(self, progress: Progress) -> None:
        """Writes down what is safely done, if that is news; then a deliberate stop takes effect."""
        done = progress.resume_after
        if done != self._reader.gap and position_key(done) > position_key(self.held.checkpoint):
            self._write(done)
        if progress.failure is not None and isinstance(progress.failure.error, ShardStop):
            raise progress.failure.error

    def _write(self, position: Position, children: Iterable[str] = ()) -> bool:
        """Tried until it is written, since the effects are done; False when the lease is lost, or time is up."""
        failures = 0
        while True:
            try:
                return self.held.write_checkpoint(position, children)
            except (ClientError, BotoCoreError) as error:
                failures += 1
                pause = pause_after(failures)
                self._emit(CheckpointFailed(self.held.shard_id, position_text(position), error, pause))
            if self._wait(pause):
                return False

    @property
    def _must_end(self) -> bool:
        return self.held.ending.is_set() or self.held.lost

    def _pause(self, at: Position, error: Exception | None, failures: int) -> bool:
        pause = pause_after(failures)
        self._emit(ShardWaits(self.held.shard_id, position_text(at), error, pause))
        return self._wait(pause)

    def _start_over_after(self, error: Exception, failures: int) -> None:
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
