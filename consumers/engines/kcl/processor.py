"""The KCL's engine: `amazon_kclpy` hands a shard's records to its processor, and its progress to the daemon.

The daemon reads, and holds the leases: https://github.com/awslabs/amazon-kinesis-client-python
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

from amazon_kclpy import messages
from amazon_kclpy.checkpoint_error import CheckpointError
from amazon_kclpy.kcl import Checkpointer
from amazon_kclpy.v3.processor import RecordProcessorBase

from consumers.diagnostics import (
    CheckpointFailed,
    LeaseLost,
    ShardFailed,
    ShardFinished,
    ShardGone,
    ShardHandedBack,
    ShardStarted,
    ShardStopped,
)
from consumers.engines.feeding import Feeder
from consumers.engines.health import ShardHealth
from consumers.processing import ProcessorFactory, RecordProcessor, ShardAssignment, ShardStop, Trouble
from foundation.backoff import pause_after
from foundation.clock import Clock, Wait
from foundation.diagnostics import Emit
from foundation.kinesis import Batch, Position, Record, Sentinel, SequenceNumber, position_key

# How a checkpoint is refused, by the simple names of the KCL's exceptions:
# https://github.com/awslabs/amazon-kinesis-client/tree/master/amazon-kinesis-client/src/main/java/software/amazon/kinesis/exceptions
_LEASE_IS_LOST = "ShutdownException"
_WORTH_ANOTHER_TRY = ("ThrottlingException", "KinesisClientLibDependencyException")

# Is told what keeps a shard from getting on, or None when it is over.
Tell = Callable[[str, Trouble | None], None]

# The daemon may not know how far behind a read was; then nobody may take it for the tip.
_BEHIND = 1


class _LeaseIsLost(Exception):
    """Whatever is done now, somebody else does too."""


class KclProcessor(RecordProcessorBase):
    """One shard's `RecordProcessor`, called as the KCL calls one.

    While the world is broken it waits inside the call, and the daemon goes on renewing the lease. When `wait` is cut
    short the call ends undone, and no batch is taken from then on: nothing behind it may be checkpointed. A daemon that
    goes on giving batches for more than `grace_seconds` is not about to stop. For that, and for whatever kclpy would
    swallow and report as done, the process ends, and with it the daemon: `SystemExit`. `is_gone` says whether the
    stream lists a shard no more; `tell` is told by the shard's id what keeps it from getting on.
    """

    version = 3

    _checkpointer: Checkpointer
    _delivered: Position
    _written: Position

    def __init__(
        self,
        stream: str,
        factory: ProcessorFactory,
        *,
        is_gone: Callable[[str], bool],
        batch_records: int,
        grace_seconds: float,
        clock: Clock,
        wait: Wait,
        emit: Emit,
        tell: Tell,
    ) -> None:
        self._stream = stream
        self._factory = factory
        self._is_gone = is_gone
        self._batch_records = batch_records
        self._grace_seconds = grace_seconds
        self._clock = clock
        self._wait = wait
        self._health = ShardHealth("", tell=lambda _: None, clock=clock, emit=emit)
        self._emit = emit
        self._tell = tell
        self._shard_id = ""
        self._feeder: Feeder | None = None
        self._over_since: float | None = None

    def initialize(self, initialize_input: messages.InitializeInput) -> None:
        self._shard_id = initialize_input.shard_id
        self._tell(self._shard_id, None)  # whatever was noted by the child before
        tell = partial(self._tell, self._shard_id)
        self._health = ShardHealth(self._shard_id, tell=tell, clock=self._clock, emit=self._emit)
        self._emit = self._health.emit
        with self._swallowing_nothing():
            assignment = ShardAssignment(self._stream, self._shard_id, _position(initialize_input))
            self._delivered = self._written = assignment.checkpoint
            processor = self._opened(assignment)
            if processor is None:
                self._end()
                return
            self._require_no_gap(processor, assignment)
            self._feeder = Feeder(
                processor,
                assignment,
                checkpoint=self._checkpoint,
                wait=self._wait,
                emit=self._emit,
                at_most=self._batch_records,
            )
            self._emit(ShardStarted(self._shard_id, str(processor.resume_after)))

    def process_records(self, process_records_input: messages.ProcessRecordsInput) -> None:
        with self._swallowing_nothing():
            if self._is_over() or self._feeder is None:
                return
            self._checkpointer = process_records_input.checkpointer
            batch = self._batch(process_records_input)
            if batch.records:
                self._delivered = batch.records[-1].sequence_number
            if not self._feeder.feed(batch):
                # guarantee: under the KCL nothing is taken behind a batch that was cut short
                self._end()
            elif batch.millis_behind_latest == 0 and self._feeder.is_done:
                self._health.has_got_on()

    def shard_ended(self, shard_ended_input: messages.ShardEndedInput) -> None:
        """Without a checkpoint at its very end the shard's children never start."""
        with self._swallowing_nothing():
            if self._is_over() or self._feeder is None:
                return
            self._checkpointer = shard_ended_input.checkpointer
            if self._is_told_if_gone(self._feeder) and self._feeder.finish() and self._write(Sentinel.SHARD_END):
                self._emit(ShardFinished(self._shard_id, ()))
            self._end()

    def shutdown_requested(self, shutdown_requested_input: messages.ShutdownRequestedInput) -> None:
        """A daemon that stops cannot be ended any more: what fails now is said, and read again by the next holder."""
        self._checkpointer = shutdown_requested_input.checkpointer
        self._end()
        if self._feeder is None:
            return
        try:
            error = self._feeder.flush()
        except Exception as raised:  # noqa: BLE001 - whatever it is, it is said
            error = raised
        if error is not None:
            self._emit(ShardFailed(self._shard_id, error, 0))
        self._emit(ShardHandedBack(self._shard_id, str(self._written)))

    def lease_lost(self, lease_lost_input: messages.LeaseLostInput) -> None:  # noqa: ARG002 - the KCL's signature
        """Also the last call after a shutdown that was requested."""
        if self._over_since is None:
            self._lose()

    def _opened(self, assignment: ShardAssignment) -> RecordProcessor | None:
        """The shard's processor; None when the wait was cut short."""
        failures = 0
        while True:
            try:
                return self._factory(assignment)
            except ShardStop:
                raise
            except Exception as error:  # noqa: BLE001 - whatever it is, it is said, and tried again
                failures += 1
                pause = pause_after(failures)
                self._emit(ShardFailed(self._shard_id, error, pause))
            if self._wait(pause):
                return None

    def _require_no_gap(self, processor: RecordProcessor, assignment: ShardAssignment) -> None:
        done = processor.resume_after
        if position_key(done) < position_key(assignment.checkpoint):
            raise ShardStop(
                f"{self._shard_id} is done up to {done}, but the KCL reads on after its checkpoint "
                f"{assignment.checkpoint}: what lies between would be left out. "
                "fix: run it with --engine worker, which reads from where it is done, until it has caught up"
            )

    def _batch(self, given: messages.ProcessRecordsInput) -> Batch:
        millis = given.millis_behind_latest
        return Batch(
            stream=self._stream,
            shard_id=self._shard_id,
            after=self._delivered,
            records=tuple(_record(record) for record in given.records),
            millis_behind_latest=_BEHIND if millis is None else millis,
        )

    def _checkpoint(self, position: Position) -> bool:
        """The daemon refuses what it has not delivered: a processor that is further ahead is told again later."""
        # guarantee: the KCL is told of no record that it has not delivered
        upto = min(position, self._delivered, key=position_key)
        if isinstance(upto, SequenceNumber) and position_key(upto) > position_key(self._written):
            return self._write(upto) and upto == position
        return False

    def _write(self, position: Position) -> bool:
        """Tried until it is written, since the effects are done; False when the wait was cut short."""
        failures = 0
        while (error := self._refusal(position)) is not None:
            if error.value == _LEASE_IS_LOST:
                raise _LeaseIsLost(self._shard_id) from error
            if error.value not in _WORTH_ANOTHER_TRY:
                raise error
            failures += 1
            pause = pause_after(failures)
            self._emit(CheckpointFailed(self._shard_id, str(position), error, pause))
            if self._wait(pause):
                return False
        self._written = position
        self._health.has_got_on()
        return True

    def _refusal(self, position: Position) -> CheckpointError | None:
        try:
            if isinstance(position, SequenceNumber):
                self._checkpointer.checkpoint(position.number, position.sub)
            else:
                self._checkpointer.checkpoint()
        except CheckpointError as error:
            return error
        return None

    def _is_told_if_gone(self, feeder: Feeder) -> bool:
        """False when the wait was cut short. A shard that the daemon does not find it calls ended, and no more."""
        # guarantee: under the KCL a shard that is gone is told from one that was read to its end
        if not self._is_gone(self._shard_id):
            return True
        self._emit(ShardGone(self._shard_id, str(self._delivered)))
        return feeder.tell_gone()

    def _lose(self) -> None:
        """What is not done is somebody else's; it is neither flushed nor checkpointed here."""
        self._emit(LeaseLost(self._shard_id))
        self._feeder = None
        self._end()

    def _end(self) -> None:
        if self._over_since is None:
            self._over_since = self._clock.monotonic()

    def _is_over(self) -> bool:
        """Whether nothing is taken any more. Raises when the daemon has not heard of it for too long."""
        if self._over_since is None:
            return False
        if self._clock.monotonic() - self._over_since > self._grace_seconds:
            raise TimeoutError(
                f"the daemon still gives batches {self._grace_seconds:g} s after {self._shard_id} took its last. "
                "fix: stop the daemon rather than its child"
            )
        return True

    @contextmanager
    def _swallowing_nothing(self) -> Iterator[None]:
        try:
            yield
        except _LeaseIsLost:
            self._lose()
        except ShardStop as error:
            self._emit(ShardStopped(self._shard_id, error, 0))
            raise SystemExit(1) from error
        except Exception as error:
            self._emit(ShardFailed(self._shard_id, error, 0))
            # guarantee: what kclpy would swallow and report as done ends the daemon
            raise SystemExit(1) from error


def _position(given: messages.InitializeInput) -> Position:
    number = given.sequence_number
    if number is None:
        raise ValueError(f"the daemon gave {given.shard_id} no position. fix: use version 3 of the KCL")
    if number in Sentinel.__members__:
        return Sentinel[number]
    return SequenceNumber(number, given.sub_sequence_number or 0)


def _record(given: messages.Record) -> Record:
    return Record(
        number=given.sequence_number,
        partition_key=given.partition_key,
        data=given.binary_data,
        arrived=given.timestamp_millis / 1000,
        sub=given.sub_sequence_number or 0,
    )
