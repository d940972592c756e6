"""The lake's files: how rows become Parquet objects, and how they are read back."""

from analytics.files.multipart import ObjectWriter
from analytics.files.scratch_database import MEMORY, scratch
from analytics.files.stored import MissingFile, TornFile, rows_of_orders, stored_file, stored_rows
from analytics.files.writing import ROW_GROUP_ROWS, ParquetFile, days, days_of, parquet, write_parquet

__all__ = [
    "MEMORY",
    "ROW_GROUP_ROWS",
    "MissingFile",
    "ObjectWriter",
    "ParquetFile",
    "TornFile",
    "days",
    "days_of",
    "parquet",
    "rows_of_orders",
    "scratch",
    "stored_file",
    "stored_rows",
    "write_parquet",
]
