"""What keeps the lake: compaction, vacuum, history loaded from files, and rows that come late."""

from analytics.maintenance.backfill import Backfill, BadLine
from analytics.maintenance.compaction import CompactionPolicy, Compactor
from analytics.maintenance.late import LateRecord, LateRows, NotYetPassed
from analytics.maintenance.scratch_database import scratch
from analytics.maintenance.vacuum import Vacuum

__all__ = [
    "Backfill",
    "BadLine",
    "CompactionPolicy",
    "Compactor",
    "LateRecord",
    "LateRows",
    "NotYetPassed",
    "Vacuum",
    "scratch",
]
