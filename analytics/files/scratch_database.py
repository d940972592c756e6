"""A database that writes to this machine's disk what does not fit into memory."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb

# What DuckDB holds in memory before it writes to disk, beside the file that is being read and the one being written.
MEMORY = 384 * 1024 * 1024
# Each thread holds some of that for itself: shared by many, it is too little to go on with.
_MOST_THREADS = 2


@contextmanager
def scratch(memory: int = MEMORY, *, stored: bool = False) -> Iterator[duckdb.DuckDBPyConnection]:
    """An empty database that is gone afterwards, on UTC. `memory` is in bytes. TMPDIR says where.

    Tables are in memory, and spill as they are; `stored` ones are in a file, compressed: for those that are larger.
    """
    with tempfile.TemporaryDirectory(prefix="takeaway-") as folder:
        path = Path(folder)
        with duckdb.connect(str(path / "tables") if stored else ":memory:") as connection:
            connection.execute("SET TimeZone = 'UTC'")
            connection.execute("SET preserve_insertion_order = false")
            connection.execute(f"SET threads = least({_MOST_THREADS}, current_setting('threads'))")
            connection.execute(f"SET memory_limit = '{memory}B'")
            connection.execute(f"SET temp_directory = '{path / 'spilled'}'")
            yield connection
