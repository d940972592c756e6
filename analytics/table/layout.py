"""Where things are in the lake's bucket: data files by day, and one offsets object per shard beside the log."""

import re
from dataclasses import dataclass
from datetime import date

from foundation.kinesis import name_anew

# The root of the Delta table. Readers go through its log: a listing also shows files that never became visible.
TABLE_PREFIX = "events"
PARTITION_KEY = "event_date"
DATA_PREFIX = f"{TABLE_PREFIX}/{PARTITION_KEY}="
# Its underscore hides it from whoever lists the table's files, and from vacuum.
OFFSETS_PREFIX = f"{TABLE_PREFIX}/_offsets/"
NOTICE_KEY = f"{TABLE_PREFIX}/_READ_ME.txt"
LOG_PREFIX = f"{TABLE_PREFIX}/_delta_log/"

_BATCH = re.compile(r"(?P<n>\d{12})-(?P<epoch>\d+)-(?P<index>\d+)\.parquet")
_SHARD_FILE = re.compile(rf"(?P<stream>.+)-(?P<shard_id>shardId-\d+(~\w+)?)-{_BATCH.pattern}")
_UNIQUE = r"[0-9a-f]{32}"
_OURS = re.compile(
    rf"{PARTITION_KEY}=\d{{4}}-\d\d-\d\d/"
    rf"(.+-{_BATCH.pattern}|late-{_UNIQUE}\.parquet|compact-{_UNIQUE}-\d+\.parquet|backfill-\d{{6}}-{_UNIQUE}\.parquet)"
)
# Kinesis names shards so; "orders-eu" is another stream than "orders".
_OF_STREAM = re.compile(rf"(?P<shard_id>shardId-[^-]+)-{_BATCH.pattern}")


def table_uri(bucket: str) -> str:
    return f"s3://{bucket}/{TABLE_PREFIX}"


def object_key(path: str) -> str:
    """The key in the bucket of a path that the log knows."""
    return f"{TABLE_PREFIX}/{path}"


def late_file(day: date, batch_id: str) -> str:
    """The path of rows that no shard's batch brought; a name that `ShardPaths.batch_number` takes for no shard's."""
    return f"{PARTITION_KEY}={day.isoformat()}/late-{batch_id}.parquet"


def compacted_file(day: date, batch_id: str, index: int) -> str:
    """The path of one of the files that a compaction makes of a day's."""
    return f"{PARTITION_KEY}={day.isoformat()}/compact-{batch_id}-{index}.parquet"


def is_compacted(path: str) -> bool:
    return _name(path).startswith("compact-")


def compaction(day: date) -> str:
    """The application id of the day's compactions: of two at once, the log takes one."""
    return f"compact/{day.isoformat()}"


# The application id of every compaction, whatever its day: they follow one another, so that each has seen what the one
# before it left.
COMPACTIONS = "compact/any"


def backfill_file(day: date, slice_number: int, batch_id: str) -> str:
    """The path of rows that a backfill's slice brought."""
    return f"{PARTITION_KEY}={day.isoformat()}/backfill-{slice_number:06d}-{batch_id}.parquet"


def is_ours(path: str) -> bool:
    """Whether the name is one that this package gives to a data file."""
    return _OURS.fullmatch(path) is not None


def _name(path: str) -> str:
    return path.rpartition("/")[2]


@dataclass(frozen=True)
class BatchNumber:
    """Which of a shard's batches a file belongs to, and under which epoch it was written."""

    n: int
    epoch: int


@dataclass(frozen=True)
class ShardPaths:
    """The names that belong to one shard of one stream.

    The shards of a stream that was made anew under its name are `anew`, where a shard of an earlier one has theirs.
    """

    stream: str
    shard_id: str

    def anew(self, creation: str) -> "ShardPaths":
        return ShardPaths(self.stream, name_anew(self.shard_id, creation))

    @classmethod
    def of(cls, application: str) -> "ShardPaths | None":
        """The shard whose transactions have this application id; None for anybody else's."""
        kind, _, rest = application.partition("/")
        stream, _, shard_id = rest.partition("/")
        return cls(stream, shard_id) if kind == "archive" and shard_id else None

    @classmethod
    def of_file(cls, path: str) -> "ShardPaths | None":
        """The shard whose batch a file belongs to, by its name; None for other files."""
        batch = _SHARD_FILE.fullmatch(_name(path))
        return cls(batch["stream"], batch["shard_id"]) if batch else None

    @property
    def application(self) -> str:
        """The application id of the shard's transactions in the log."""
        return f"archive/{self.stream}/{self.shard_id}"

    @property
    def offsets_key(self) -> str:
        return f"{OFFSETS_PREFIX}{self.stream}/{self.shard_id}.json"

    def data_file(self, day: date, number: BatchNumber, index: int) -> str:
        """A path under the table's root. With the epoch in it, nobody replaces a file that a successor committed."""
        name = f"{self._stem}{number.n:012d}-{number.epoch}-{index}.parquet"
        return f"{PARTITION_KEY}={day.isoformat()}/{name}"

    def batch_number(self, key: str) -> BatchNumber | None:
        """Reads a data file's name; None when it is no file of this shard."""
        name = key.rpartition("/")[2]
        batch = _BATCH.fullmatch(name.removeprefix(self._stem)) if name.startswith(self._stem) else None
        return BatchNumber(int(batch["n"]), int(batch["epoch"])) if batch else None

    def batch_of_stream(self, key: str) -> tuple[str, int] | None:
        """Reads a data file's name: the shard of this stream, whichever it is, and its batch; None for other files."""
        name = key.rpartition("/")[2]
        batch = _OF_STREAM.fullmatch(name.removeprefix(f"{self.stream}-"))
        return (batch["shard_id"], int(batch["n"])) if batch and name.startswith(f"{self.stream}-") else None

    @property
    def _stem(self) -> str:
        return f"{self.stream}-{self.shard_id}-"
