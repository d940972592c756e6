"""Reading the lake's table as it stands: live files, repeats left out, orders as rows."""

from analytics.reading.live_files import LiveFiles, lake_filesystem
from analytics.reading.orders import ALWAYS, EVERY_ORDER, NEEDED_COLUMNS, Window, common_tables, prepared
from analytics.reading.repeats import PLACE, doubtful, find_repeats, without

__all__ = [
    "ALWAYS",
    "EVERY_ORDER",
    "NEEDED_COLUMNS",
    "PLACE",
    "LiveFiles",
    "Window",
    "common_tables",
    "doubtful",
    "find_repeats",
    "lake_filesystem",
    "prepared",
    "without",
]
