"""What keeps the lake: compaction, vacuum, history loaded from files, and rows that come late."""

from analytics.maintenance.backfill import Backfill, BadLine
from analytics.maintenance.compaction import CompactionPolicy, Compactor
from analytics.maintenance.keeping import EVERY, Keeper
from analytics.maintenance.late import LateRecord, LateRows, NotYetPassed
from analytics.maintenance.log_care import LogCare
from analytics.maintenance.vacuum import RETENTION, Vacuum

__all__ = [
    "EVERY",
    "RETENTION",
    "Backfill",
    "BadLine",
    "CompactionPolicy",
    "Compactor",
    "Keeper",
    "LateRecord",
    "LateRows",
    "LogCare",
    "NotYetPassed",
    "Vacuum",
]
