"""Time that moves only when a test, or something that waits, moves it."""

import threading
from datetime import UTC, datetime, timedelta

from foundation.clock import Clock

START = datetime(2026, 3, 14, 12, 0, tzinfo=UTC)


class FakeClock:
    """`clock` is handed to the code under test; `wait` is a `Wait` that advances it. Safe to share among threads."""

    def __init__(self, start: datetime = START) -> None:
        self._start = start
        self._seconds = 0.0
        self._lock = threading.Lock()
        self.waits: list[float] = []
        self.stopping = False
        self.clock = Clock(now=self.now, monotonic=self.monotonic)

    def now(self) -> datetime:
        return self._start + timedelta(seconds=self.monotonic())

    def monotonic(self) -> float:
        with self._lock:
            return self._seconds

    def advance(self, seconds: float) -> None:
        with self._lock:
            self._seconds += seconds

    def wait(self, seconds: float) -> bool:
        """Passes the time at once and remembers that it was waited for; True once `stopping` is set."""
        self.waits.append(seconds)
        if not self.stopping:
            self.advance(seconds)
        return self.stopping
