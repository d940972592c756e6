"""What operators of a publisher may want to know. No customer's data in any of it."""

from dataclasses import dataclass

from foundation.diagnostics import Diagnostic


@dataclass(frozen=True)
class EntriesRejected(Diagnostic):
    """Kinesis took a request but not all its entries; they are sent again. `codes` are its reasons.

    `records` is how many events were in what was rejected.
    """

    stream: str
    rejected: int
    sent: int
    codes: str
    records: int


@dataclass(frozen=True)
class PutRecordsFailed(Diagnostic):
    """A whole request failed, botocore's retries included; it is repeated after `retry_in` seconds."""

    stream: str
    records: int
    error: str
    retry_in: float


@dataclass(frozen=True)
class RequestRefused(Diagnostic):
    """Kinesis takes a request for no valid one; it is divided until the record that it does not like stands alone."""

    stream: str
    records: int
    error: str


@dataclass(frozen=True)
class AggregateAstray(Diagnostic):
    """A reshard overtook an aggregate: shard `answered` does not own all its records. All of it is sent again."""

    stream: str
    predicted: str
    answered: str
    records: int


@dataclass(frozen=True)
class ShardMapFollowed(Diagnostic):
    """The publisher has learnt the stream's open shards, at its start or after a reshard."""

    stream: str
    open_shards: int


@dataclass(frozen=True)
class ShardMapUnknown(Diagnostic):
    """The stream's shards could not be learnt: what needs them waits, and it is tried again after so many seconds."""

    stream: str
    error: str
    retry_in: float


@dataclass(frozen=True)
class StreamSpreadsRecords(Diagnostic):
    """The stream puts records on its shards by itself, whatever their keys: events of an order have no order there.

    `how` says how that is known; `publishes` whether the settings allow it. If they do, each event goes as a plain
    record; if not, every event is refused. fix: RecordDistributionStrategy USER_PARTITION_KEY.
    """

    stream: str
    how: str
    publishes: bool


@dataclass(frozen=True)
class StreamFollowsKeys(Diagnostic):
    """The stream goes by partition keys again: events are aggregated, and in order."""

    stream: str


@dataclass(frozen=True)
class DistributionUnknown(Diagnostic):
    """Whether the stream follows keys could not be asked: it is taken to, until a record lands elsewhere.

    fix: allow `kinesis:DescribeStreamSummary` to the publisher.
    """

    stream: str
    error: str


@dataclass(frozen=True)
class RecordLimitUnknown(Diagnostic):
    """The stream does not tell how large its records may be: what it told last holds, and a mebibyte at first."""

    stream: str
    error: str


@dataclass(frozen=True)
class RecordsGivenUp(Diagnostic):
    """Records whose delivery deadline passed; their publishers were told."""

    stream: str
    records: int
    last_error: str
