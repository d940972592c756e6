"""Whether the stream follows keys, or spreads records over its shards by itself: then an order's events have no order.

https://docs.aws.amazon.com/streams/latest/dev/service-managed-pk-kpl-aggregation.html
"""

from typing import TYPE_CHECKING

from foundation.diagnostics import Emit
from foundation.kinesis import HASH_KEYS, HashKeyRange, Shard
from foundation.settings import variable
from producers.publishing.diagnostics import DistributionUnknown, StreamFollowsKeys, StreamSpreadsRecords
from producers.publishing.shard_map import ShardMap

if TYPE_CHECKING:
    from mypy_boto3_kinesis import KinesisClient

_SPREADS = "AUTO"
_TOLD_CHARACTERS = 500


class Distribution:
    """What is known of it: by asking, and by where records land. For the sending thread alone.

    On a stream that spreads records nothing is published, unless `allowed`: then plain records, in no order.
    """

    def __init__(self, client: "KinesisClient", stream: str, *, allowed: bool, emit: Emit) -> None:
        self._client = client
        self._stream = stream
        self._allowed = allowed
        self._emit = emit
        self._spreads: str | None = None
        self._unknown: str | None = None

    @property
    def is_plain(self) -> bool:
        """Whether each record goes by itself, wherever Kinesis puts it."""
        return self._spreads is not None and self._allowed

    @property
    def refusal(self) -> str | None:
        """Why nothing may be published, and the fix."""
        if self._spreads is None or self._allowed:
            return None
        return (
            f"stream {self._stream} spreads records over its shards by itself ({self._spreads}), so events of an order "
            "would have no order. fix: `aws kinesis update-stream-record-distribution-strategy --stream-arn ARN "
            "--record-distribution-strategy USER_PARTITION_KEY`; or publish without order, and without aggregation, "
            f"with {variable('allow_unordered')}=true"
        )

    def ask(self) -> None:
        """Never raises: not to be allowed to ask is told, and what was known before holds."""
        try:
            summary = self._client.describe_stream_summary(StreamName=self._stream)["StreamDescriptionSummary"]
        except Exception as error:  # noqa: BLE001 - whatever it is, it is no reason to publish nothing
            unknown = f"{type(error).__name__}: {error}"[:_TOLD_CHARACTERS]
            if self._unknown is None:
                self._emit(DistributionUnknown(self._stream, unknown))
            self._unknown = unknown
            return
        self._unknown = None
        if summary.get("RecordDistributionStrategy") == _SPREADS:
            self._learn(f"RecordDistributionStrategy is {_SPREADS}")
        elif self._spreads is not None:
            self._spreads = None
            self._emit(StreamFollowsKeys(self._stream))

    def landed(self, hash_key: int, shard: Shard | None) -> None:
        """A record of this key is on that shard, whose keys never change; None when it is not listed."""
        # guarantee: a stream that spreads records is noticed by where they land
        if shard is not None and hash_key not in shard.hash_keys:
            self._learn(f"a record landed on {shard.shard_id}, which does not have its hash key")

    def _learn(self, how: str) -> None:
        if self._spreads is None:
            self._emit(StreamSpreadsRecords(self._stream, how, publishes=self._allowed))
        self._spreads = how


def lanes_of_no_shard(count: int) -> ShardMap:
    """As many lanes as one request has room for, where shards mean nothing: a key's records go one after the other."""
    bounds = [HASH_KEYS * index // count for index in range(count + 1)]
    shards = (Shard(f"lane {index}", HashKeyRange(bounds[index], bounds[index + 1] - 1)) for index in range(count))
    return ShardMap.of(shards)
