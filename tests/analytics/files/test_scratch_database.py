"""What a database on disk may take of the machine."""

from typing import Any

import duckdb
import pytest

from analytics.files import MEMORY, scratch


def of_processors(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    connect = duckdb.connect

    def connected(path: str) -> Any:
        return connect(path, config={"threads": number})

    monkeypatch.setattr(duckdb, "connect", connected)


@pytest.mark.parametrize(("processors", "threads"), [(1, 1), (16, 2)])
def test_threads_are_few_enough_for_the_memory_they_share(
    processors: int, threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    of_processors(monkeypatch, processors)
    with scratch() as database:
        found = database.sql("SELECT current_setting('threads'), current_setting('memory_limit')").fetchall()
    assert found == [(threads, f"{MEMORY / 1024 / 1024:.1f} MiB")]
