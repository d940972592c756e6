"""A log whose commits wait for each other."""

import threading
from dataclasses import dataclass, field
from typing import Any

from analytics.table.log import CommitLog, Snapshot

TIMEOUT = 20


class HeldSnapshot:
    """A snapshot whose commit waits until all who take part have come to theirs, once each."""

    def __init__(self, snapshot: Snapshot, barrier: threading.Barrier, passed: list[None]) -> None:
        self._snapshot = snapshot
        self._barrier = barrier
        self._passed = passed

    def __getattr__(self, name: str) -> Any:
        return getattr(self._snapshot, name)

    def commit(self, *arguments: Any, **options: Any) -> None:
        if not self._passed:
            self._barrier.wait(TIMEOUT)
            self._passed.append(None)
        self._snapshot.commit(*arguments, **options)


@dataclass(frozen=True)
class HeldLog:
    log: CommitLog
    barrier: threading.Barrier
    passed: list[None] = field(default_factory=list)

    def exists(self) -> bool:
        return self.log.exists()

    def snapshot(self) -> Any:
        return HeldSnapshot(self.log.snapshot(), self.barrier, self.passed)
