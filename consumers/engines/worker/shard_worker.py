"""One shard's life in one thread: open the processor, read, process, checkpoint, and end in good order."""

from collections.abc import Callable, Iterable

from botocore.exceptions import BotoCoreError, ClientError

from consumers.diagnostics import CheckpointFailed, ShardFailed, ShardFinished, ShardStarted, ShardStopped
from consumers.engines.feeding import Feeder
from consumers.engines.health import ShardHealth
from consumers.engines.worker.leases import HeldLease, position_text
from consumers.engines.worker.reading import BatchReader, EndOfShard
from consumers.engines.worker.settings import WorkerSettings
from consumers.processing import ProcessorFactory, ShardAssignment, ShardStop
from foundation.backoff import pause_after
from foundation.clock import Wait
from foundation.kinesis import Position, Sentinel, SequenceNumber

# Whoever is next waits for us, so nothing is waited for here: but an answer may have been lost, or one call refused.
_TRIES = 3

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
        reader: BatchReader,
        factory: ProcessorFactory,
        begin_children: BeginChildren,
        settings: WorkerSettings,
        *,
        wait: Wait,
        health: ShardHealth,
    ) -> None:
        self.held = held
        self.is_over = False
        self._reader = reader
        self._factory = factory
        self._begin_children = begin_children
        self._settings = settings
        self._wait = wait
        self._health = health
        self._emit = health.emit

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
            self._let_go_of_lease()
        self.is_over = True

    def _live(self) -> None:
        held = self.held
        assignment = ShardAssignment(
            self._settings.stream, held.shard_id, held.checkpoint, held.creation, held.made_anew
        )
        processor = self._factory(assignment)
        self._emit(ShardStarted(self.held.shard_id, position_text(processor.resume_after)))
        feeder = Feeder(
            processor,
            assignment,
            checkpoint=self._checkpoint,
            wait=self._wait_unless_lost,
            emit=self._emit,
            at_most=self._settings.batch_records,
        )
        for batch in self._reader.batches(processor.resume_after):
            self._health.has_read()
            if self._must_end or not feeder.feed(batch):
                break
            # guarantee: what one of several fails on at the tip is no end of its trouble
            if batch.millis_behind_latest == 0 and feeder.is_done:
                self._health.has_got_on()
        if self.held.lost:
            return
        if self._reader.end is not None and not self._must_end:
            self._finish(feeder, self._reader.end)
        else:
            self._let_go(feeder)

    def _finish(self, feeder: Feeder, end: EndOfShard) -> None:
        # guarantee: a shard that is gone ends only when its processor puts up with the loss
        if end.gone and not feeder.tell_gone():
            return
        if not feeder.finish():
            return
        children = self._begin_children(self.held.shard_id, end)
        if self._write(Sentinel.SHARD_END, children):
            self.is_over = True
            self._emit(ShardFinished(self.held.shard_id, tuple(sorted(children))))

    def _let_go(self, feeder: Feeder) -> None:
        """What cannot be flushed now is read again by whoever is next."""
        error = feeder.flush()
        if error is not None:
            self._emit(ShardFailed(self.held.shard_id, error, 0))

    def _checkpoint(self, position: Position) -> bool:
        """The place before a gap, or the end of a shard that is gone, is no record's own: it is none to write down."""
        written = isinstance(position, SequenceNumber) and position != self._reader.gap and self._write(position)
        if written:
            self._health.has_got_on()
        return written

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
            if self._wait(pause) and failures >= _TRIES:
                return False

    @property
    def _must_end(self) -> bool:
        return self.held.ending.is_set() or self.held.lost

    def _wait_unless_lost(self, seconds: float) -> bool:
        return self._wait(seconds) or self.held.lost

    def _start_over_after(self, error: Exception, failures: int) -> None:
        if isinstance(error, ShardStop):
            pause = self._settings.stopped_seconds
            self._emit(ShardStopped(self.held.shard_id, error, pause))
        else:
            pause = pause_after(failures)
            self._emit(ShardFailed(self.held.shard_id, error, pause))
        self._wait(pause)

    def _let_go_of_lease(self) -> None:
        """What cannot be written runs out by itself; that is said, and the thread ends."""
        for _ in range(_TRIES):
            try:
                self.held.let_go()
            except Exception as error:  # noqa: BLE001 - whatever it is
                self._emit(ShardFailed(self.held.shard_id, error, 0))
            else:
                return
