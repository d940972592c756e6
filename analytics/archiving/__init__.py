"""The archiver's way into the lake: records become rows, wait for a file, and are committed with their offsets."""

from analytics.archiving.decode import Decoded, decode_records
from analytics.archiving.diagnostics import DayCompacted, KeepingFailed, LakeKept, LateRowsCommitted, SliceLoaded
from analytics.archiving.holder import LakeHalt, Verdict, judge
from analytics.archiving.shard_sink import LakeGap, ShardSink
from analytics.archiving.sink import LakeSink

__all__ = [
    "DayCompacted",
    "Decoded",
    "KeepingFailed",
    "LakeGap",
    "LakeHalt",
    "LakeKept",
    "LakeSink",
    "LateRowsCommitted",
    "ShardSink",
    "SliceLoaded",
    "Verdict",
    "decode_records",
    "judge",
]
