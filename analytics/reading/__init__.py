"""Reading the lake's table as it stands: live files, repeats left out, orders as rows."""

from analytics.reading.contents import Contents
from analytics.reading.live_files import LiveFiles, lake_filesystem
from analytics.reading.orders import (
    ALWAYS,
    EVERY_ORDER,
    NEEDED_COLUMNS,
    UnclearTime,
    UnusableRecords,
    When,
    Window,
    common_tables,
    prepared,
)
from analytics.reading.pulled import Pulled, pulling
from analytics.reading.repeats import find_repeats, shared_days, without

__all__ = [
    "ALWAYS",
    "EVERY_ORDER",
    "NEEDED_COLUMNS",
    "Contents",
    "LiveFiles",
    "Pulled",
    "UnclearTime",
    "UnusableRecords",
    "When",
    "Window",
    "common_tables",
    "find_repeats",
    "lake_filesystem",
    "prepared",
    "pulling",
    "shared_days",
    "without",
]
