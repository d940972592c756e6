"""What operators of the producers may want to know. No customer's data in any of it."""

from dataclasses import dataclass

from botocore.exceptions import ClientError

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


@dataclass(frozen=True)
class NotPublished(Diagnostic):
    """A stored event is not acknowledged yet; who sent its command, or a later one, was told to repeat the request."""

    event_type: str
    event_id: str
    order_id: str
    error: str


@dataclass(frozen=True)
class AcknowledgementNotNoted(Diagnostic):
    """An event is on the stream, but its order's item does not say so: the next command may publish it once more."""

    event_type: str
    event_id: str
    order_id: str
    error: str


@dataclass(frozen=True)
class RequestFailed(Diagnostic):
    """The orders API could not do its work: `error` is its `error_kind`, `where` the line it came from."""

    method: str
    route: str
    error: str
    where: str


def error_kind(error: Exception) -> str:
    """The error's class and, of an AWS service's error, its code. Never its message: that may quote data."""
    name = type(error).__name__
    code = error.response.get("Error", {}).get("Code", name) if isinstance(error, ClientError) else name
    return name if code == name else f"{name}: {code}"
