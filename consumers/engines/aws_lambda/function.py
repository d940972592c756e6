"""Lambda's engine: a Kinesis event source mapping hands over a batch, and is told which record is not done.

https://docs.aws.amazon.com/lambda/latest/dg/services-kinesis-batchfailurereporting.html
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from consumers.diagnostics import AggregateDropped, BatchHandedBack, ShardFailed, ShardStopped
from consumers.engines.aws_lambda.delivery import Delivery, delivery
from consumers.engines.feeding import Feeder
from consumers.processing import ProcessorFactory, RecordProcessor, ShardAssignment, ShardStop
from foundation.backoff import pause_after
from foundation.clock import Wait
from foundation.diagnostics import Emit
from foundation.kinesis import AGGREGATE_KEY, Batch, HashKeyRange, Position, Record, Sentinel, position_key
from foundation.kinesis.deaggregation import Aggregate, unpack

# A record that fails by a handler's error is tried several times in one invocation, with pauses: shorter is too short.
LEAST_SECONDS = 60.0
# What is left for a flush and the answer when nothing more is begun.
RESERVED_SECONDS = 10.0
# What is left undone when others work is tried again for so long, which are five attempts. Then Lambda is to come back
# with what follows: others than these show whose fault it is.
_FINISH_WITHIN = 20.0

# The hash keys of a stream's shard; None for one that the stream does not list any more.
HashKeysOf = Callable[[str, str], HashKeyRange | None]

Answer = dict[str, list[dict[str, str]]]

# Nobody says how far behind a batch is; then nobody may take it for the tip.
_BEHIND = 1


class KinesisFunction:
    """One container's part: each invocation feeds a processor of its own, flushes it, and says where it failed.

    Lambda keeps the position and does not tell it: a batch is taken to follow what was done before. So the mapping must
    try again without end, set nothing apart by itself, and report batch item failures. Inside an aggregate its number
    is all there is to name: what was done of it is given again, for the processor to know it again.
    """

    def __init__(
        self, factory: ProcessorFactory, *, hash_keys_of: HashKeysOf, batch_records: int, wait: Wait, emit: Emit
    ) -> None:
        self._factory = factory
        self._hash_keys_of = hash_keys_of
        self._batch_records = batch_records
        self._wait = wait
        self._emit = emit
        self._hash_keys: dict[tuple[str, str], HashKeyRange | None] = {}

    def handle(self, event: Any, seconds_left: Callable[[], float]) -> Answer:
        """Raises when the processor could not be opened, and for a bad deployment: Lambda counts that as an error."""
        _require_time(seconds_left())
        given = delivery(event)
        wait = _while_time_lasts(self._wait, seconds_left)
        assignment = ShardAssignment(given.stream, given.shard_id, Sentinel.TRIM_HORIZON)
        processor = self._opened(assignment, wait)
        after = processor.resume_after
        # What the processor has already is left out, as an engine does that chooses where to read from.
        new = _behind(after, self._user_records(given))
        batch = Batch(given.stream, given.shard_id, after, new, _BEHIND)
        done = self._fed(processor, assignment, batch, wait) if batch.records else batch.after
        # guarantee: an invocation answers for what it has flushed, no more
        undone = _behind(done, batch.records)
        if not undone:
            return {"batchItemFailures": []}
        self._emit(BatchHandedBack(given.shard_id, str(undone[0].sequence_number), len(undone)))
        # guarantee: Lambda is told the first record that is not done
        return {"batchItemFailures": [{"itemIdentifier": undone[0].number}]}

    def _opened(self, assignment: ShardAssignment, wait: Wait) -> RecordProcessor:
        failures = 0
        while True:
            try:
                return self._factory(assignment)
            except ShardStop as error:
                self._emit(ShardStopped(assignment.shard_id, error, 0))
                raise
            except Exception as error:
                failures += 1
                pause = pause_after(failures)
                self._emit(ShardFailed(assignment.shard_id, error, pause))
                if wait(pause):
                    raise

    def _fed(self, processor: RecordProcessor, assignment: ShardAssignment, batch: Batch, wait: Wait) -> Position:
        """How far it is safely done, once all of it is, or the time is up, or the processor refuses to go on."""
        done = [batch.after]

        def note(position: Position) -> bool:
            done.append(position)
            return True

        feeder = Feeder(processor, assignment, checkpoint=note, wait=wait, emit=self._emit, at_most=self._batch_records)
        try:
            if feeder.feed(batch):
                # guarantee: an invocation flushes before it answers
                feeder.finish(within=_FINISH_WITHIN)
            elif (error := feeder.flush()) is not None:
                self._emit(ShardFailed(assignment.shard_id, error, 0))
        except ShardStop as error:
            self._emit(ShardStopped(assignment.shard_id, error, 0))
            if done[-1] == batch.after:
                raise
        return done[-1]

    def _user_records(self, given: Delivery) -> Iterator[Record]:
        for record in given.records:
            aggregate = unpack(record)
            if aggregate is None:
                yield record
            elif self._is_stray(record, aggregate, given):
                self._emit(AggregateDropped(given.shard_id, record.number, len(aggregate.records)))
            else:
                yield from aggregate.records

    def _is_stray(self, record: Record, aggregate: Aggregate, given: Delivery) -> bool:
        if record.partition_key != AGGREGATE_KEY:
            return False
        place = given.stream, given.shard_id
        if place not in self._hash_keys:
            self._hash_keys[place] = self._hash_keys_of(*place)
        hash_keys = self._hash_keys[place]
        return hash_keys is not None and aggregate.is_stray(hash_keys)


def _behind(position: Position, records: Iterable[Record]) -> tuple[Record, ...]:
    limit = position_key(position)
    return tuple(record for record in records if record.sequence_number.key > limit)


def _require_time(seconds: float) -> None:
    if seconds < LEAST_SECONDS:
        raise TimeoutError(
            f"the function may run for {seconds:.0f} s. fix: set its timeout to {LEAST_SECONDS:.0f} s or more"
        )


def _while_time_lasts(wait: Wait, seconds_left: Callable[[], float]) -> Wait:
    """Cut short at once when the wait would leave too little time."""
    return lambda seconds: seconds + RESERVED_SECONDS > seconds_left() or wait(seconds)
