"""When is a file due? Pure: asked with what waits and what time it is."""

import random
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import timedelta


@dataclass(frozen=True)
class Backlog:
    """What waits for a file. `since` is the monotonic second at which the oldest of it came, None for nothing."""

    rows: int = 0
    size: int = 0
    since: float | None = None

    def __add__(self, other: "Backlog") -> "Backlog":
        moments = [since for since in (self.since, other.since) if since is not None]
        return Backlog(self.rows + other.rows, self.size + other.size, min(moments, default=None))


@dataclass(frozen=True)
class RotationPolicy:
    """Any one limit closes the files of all days and all shards together: late events never hold a file open.

    `size` is bytes in memory; the Parquet made of it is several times smaller.
    """

    size: int = 64 * 1024 * 1024
    rows: int = 500_000
    age: timedelta = timedelta(seconds=60)

    def is_due(self, backlog: Backlog, now: float) -> bool:
        """`now` is the monotonic second, so a wall clock that jumps neither rushes nor delays a file."""
        if backlog.since is None:
            return False
        waited = now - backlog.since
        return backlog.size >= self.size or backlog.rows >= self.rows or waited >= self.age.total_seconds()

    def sooner(self, chance: random.Random) -> "RotationPolicy":
        """At a random share of the age: processes that begin together, and commit so first, go on one by one."""
        return replace(self, age=self.age * chance.random())


def total(backlogs: Iterable[Backlog]) -> Backlog:
    return sum(backlogs, start=Backlog())
