"""What may happen while a stream is read, as values: to the worker, to its leases, and to a shard."""

from dataclasses import dataclass

from foundation.diagnostics import Diagnostic

# The worker.


@dataclass(frozen=True)
class WorkerStarted(Diagnostic):
    worker_id: str
    stream: str


@dataclass(frozen=True)
class WorkerStopped(Diagnostic):
    worker_id: str


@dataclass(frozen=True)
class RoundFailed(Diagnostic):
    """Looking after the leases did not work out this time; shards that are held go on being read."""

    error: Exception
    retry_in_seconds: float


# Its leases.


@dataclass(frozen=True)
class LeaseCreated(Diagnostic):
    shard_id: str
    checkpoint: str


@dataclass(frozen=True)
class LeaseTaken(Diagnostic):
    """From now on the shard is read here. `from_worker` let it run out, or did not hand it over when asked."""

    shard_id: str
    from_worker: str | None


@dataclass(frozen=True)
class LeaseRenewalFailed(Diagnostic):
    """The table could not be written; the lease is given up only when it has stood still for the failover time."""

    shard_id: str
    error: Exception


@dataclass(frozen=True)
class CheckpointFailed(Diagnostic):
    """The table could not be written; it is tried again while the lease lasts."""

    shard_id: str
    checkpoint: str
    error: Exception
    retry_in_seconds: float


@dataclass(frozen=True)
class LeaseLost(Diagnostic):
    """Another worker has it, or it could not be renewed in time. Nothing more is checkpointed."""

    shard_id: str


@dataclass(frozen=True)
class LeaseEvicted(Diagnostic):
    """Let go in good order, for anybody to take at once."""

    shard_id: str
    checkpoint: str


@dataclass(frozen=True)
class LeaseRequested(Diagnostic):
    """Its holder reads more than a fair share of the shards, and is asked to hand this one over to us."""

    shard_id: str
    from_worker: str


@dataclass(frozen=True)
class LeaseAskedFor(Diagnostic):
    """Another worker is to read the shard. What is under way is finished and checkpointed first."""

    shard_id: str
    by_worker: str


@dataclass(frozen=True)
class LeaseHandedOver(Diagnostic):
    """Given in good order to who asked for it, who goes on behind `checkpoint`: no effect is repeated."""

    shard_id: str
    to_worker: str
    checkpoint: str


@dataclass(frozen=True)
class LeaseUnreadable(Diagnostic):
    """A row of the lease table makes no sense, so its shard and that shard's children are not read; others are.

    fix: repair the row, or remove it to begin the shard anew.
    """

    shard_id: str
    trouble: str


@dataclass(frozen=True)
class NewerLettersWait(Diagnostic):
    """Letters of newer events could not be given again, which this release may know by now. It is tried once a minute.

    fix: allow `s3:ListBucket`, `GetObject`, `PutObject` and `DeleteObject` on the bucket of dead letters.
    """

    consumer: str
    error: Exception


@dataclass(frozen=True)
class LeaseNotNoted(Diagnostic):
    """How the shard stands could not be written beside its lease, where `takeaway doctor` looks. Work goes on."""

    shard_id: str
    error: Exception


@dataclass(frozen=True)
class LeaseNotOurs(Diagnostic):
    """A row of the lease table belongs to no shard of our stream, as `why` says. It is left alone.

    fix: give each application and stream a table of its own, by another TAKEAWAY_STACK; remove rows of no further use.
    """

    key: str
    why: str


@dataclass(frozen=True)
class StreamMadeAnew(Diagnostic):
    """The stream was deleted and made anew under its name: the shard is read from its beginning.

    Kept: what was done, and all rows of the lake, where the new stream's shards have names of their own. Lost: what the
    old stream held behind `checkpoint`. fix: replay that from another copy, or from the lake; nothing else is needed.
    """

    stream: str
    shard_id: str
    checkpoint: str
    creation_before: str
    creation: str


@dataclass(frozen=True)
class StreamCreationUnknown(Diagnostic):
    """Which of the streams of this name is there could not be asked: one made anew is not told from the one before.

    fix: allow `kinesis:DescribeStreamSummary`.
    """

    stream: str
    error: Exception


@dataclass(frozen=True)
class LeaseDeleted(Diagnostic):
    shard_id: str


# A shard.


@dataclass(frozen=True)
class ShardStarted(Diagnostic):
    shard_id: str
    after: str


@dataclass(frozen=True)
class ShardWaits(Diagnostic):
    """The processor could not get past `position`; it is tried again. No error: it has not caught up yet.

    `verdict` says whose fault that is. No seconds: others go on meanwhile, and the processor itself tries it again.
    """

    shard_id: str
    position: str
    error: Exception | None
    retry_in_seconds: float
    verdict: str | None = None


@dataclass(frozen=True)
class ShardFailed(Diagnostic):
    """Opening, flushing or ending it broke off. It goes on from what is safely done, here or with the next holder."""

    shard_id: str
    error: Exception
    retry_in_seconds: float


@dataclass(frozen=True)
class ShardStopped(Diagnostic):
    """The processor refuses to go on, or fails on every record: a bad deployment, and nothing is lost.

    Another record is tried after each pause; it goes on by itself when that works. fix: look at `error`, deploy again.
    """

    shard_id: str
    error: Exception
    retry_in_seconds: float


@dataclass(frozen=True)
class ShardGoesOn(Diagnostic):
    """What kept it from getting on, told before, is over."""

    shard_id: str
    after_seconds: float


@dataclass(frozen=True)
class ShardFinished(Diagnostic):
    """Read to its end and processed whole; its children may start."""

    shard_id: str
    children: tuple[str, ...]


@dataclass(frozen=True)
class ShardHandedBack(Diagnostic):
    """The KCL's daemon asked for it: flushed and checkpointed, for the next holder to go on from."""

    shard_id: str
    checkpoint: str


@dataclass(frozen=True)
class BatchHandedBack(Diagnostic):
    """A Lambda invocation's time was up, or its processor stopped: Lambda gives these again, from `first` on."""

    shard_id: str
    first: str
    records: int


@dataclass(frozen=True)
class ShardThreadDied(Diagnostic):
    """A shard's thread ended without finishing. Its lease is taken again, and a new thread starts."""

    shard_id: str


@dataclass(frozen=True)
class ShardDidNotDrain(Diagnostic):
    """The processor did not come back before the worker had to stop; the lease runs out by itself."""

    shard_id: str
    waited_seconds: float


@dataclass(frozen=True)
class ReadFailed(Diagnostic):
    """Kinesis could not be read from; it is tried again."""

    shard_id: str
    error: Exception
    retry_in_seconds: float


@dataclass(frozen=True)
class PositionRefused(ReadFailed):
    """Kinesis does not know the place to go on from: the stream may have been made anew, or the lease is another's.

    fix: if it was made anew, stop the consumer and delete the shard's row of the lease table, to read from the
    beginning: what the old stream still held is lost, all that was done is kept. The archiver goes by its offsets in
    the lake: allow it `kinesis:DescribeStreamSummary`, so that it tells the streams apart.
    """

    position: str


@dataclass(frozen=True)
class ReadThrottled(Diagnostic):
    """All readers together ask more than 5 reads or 2 MB a second. fix: fewer polling applications, or more shards."""

    shard_id: str
    retry_in_seconds: float


@dataclass(frozen=True)
class StreamConsumerRegistered(Diagnostic):
    """The application reads by enhanced fan-out from now on, which costs money for each shard until it is deregistered.

    fix: `aws kinesis deregister-stream-consumer` when no worker of the application is to run any more.
    """

    stream: str
    consumer: str


@dataclass(frozen=True)
class RecordsTrimmed(Diagnostic):
    """The stream no longer holds the record to resume after, so records up to `first` may be lost.

    fix: lengthen the stream's retention; replay the span between the two from another copy.
    """

    shard_id: str
    checkpoint: str
    first: str


@dataclass(frozen=True)
class ShardGone(Diagnostic):
    """The shard vanished before it was read to its end: all that it still held behind `after` is lost to this consumer.

    The archiver stops, unless it knows that nothing was left; other consumers go on with the shard's children.
    fix: lengthen the stream's retention; replay what is lost from another copy, or from the lake.
    """

    shard_id: str
    after: str


@dataclass(frozen=True)
class AggregateDropped(Diagnostic):
    """A KPL aggregate with records of another shard. Its producer sends all of them again, so none is lost."""

    shard_id: str
    sequence_number: str
    user_records: int


@dataclass(frozen=True)
class ReadUntilNotNoted(Diagnostic):
    """How far the tracker has read this shard could not be written down; orders are tracked, and it is tried again."""

    shard_id: str
    error: Exception


# A step.


@dataclass(frozen=True)
class StepPerformed(Diagnostic):
    """A step was performed for the first time, as far as is remembered; `told` are the types of events that follow."""

    actor: str
    order_id: str
    heard_event_id: str
    told: str


@dataclass(frozen=True)
class RecordSetApart(Diagnostic):
    """Nobody can process this record: it is in the dead letters, whole, and the shard moves on.

    `verdict` says whose fault that is. `Suspected` in `error`: a dependency failed for it while it worked for others.
    """

    consumer: str
    shard_id: str
    sequence_number: str
    error: str
    verdict: str


@dataclass(frozen=True)
class LetterRedriven(Diagnostic):
    """A dead letter was given again to its consumer, or was about to be; `fate` says what became of it."""

    consumer: str
    shard_id: str
    sequence_number: str
    fate: str
