"""Which of the streams of one name: one that is deleted and made anew has other places, under the same names."""

from datetime import UTC
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mypy_boto3_kinesis import KinesisClient

# In no name that Kinesis gives, and in no need of escape in an object's key.
_SEPARATOR = "~"


def creation_of(kinesis: "KinesisClient", stream: str) -> str | None:
    """When the stream was made, as `20261129T014204123Z`; None where the service does not tell. Raises what it does."""
    summary = kinesis.describe_stream_summary(StreamName=stream)["StreamDescriptionSummary"]
    created = summary.get("StreamCreationTimestamp")
    if created is None:
        return None
    created = created.astimezone(UTC)
    return f"{created:%Y%m%dT%H%M%S}{created.microsecond // 1000:03d}Z"


def name_anew(shard_id: str, creation: str) -> str:
    """A shard of a stream that was made anew, among the shards of all streams of its name."""
    return f"{shard_id}{_SEPARATOR}{creation}"
