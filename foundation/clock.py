"""The one place that reads the machine's clocks. Everyone else is handed a `Clock`, and a `Wait` to pass time with."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

# Waits for that many seconds; True when the wait was cut short because the process is asked to stop.
Wait = Callable[[float], bool]


@dataclass(frozen=True)
class Clock:
    """`now` is UTC wall time, for facts; `monotonic` is seconds that never jump, for durations."""

    now: Callable[[], datetime]
    monotonic: Callable[[], float]


SYSTEM_CLOCK = Clock(now=lambda: datetime.now(UTC), monotonic=time.monotonic)


@dataclass(frozen=True)
class Moment:
    """When something was so. `monotonic` is None when another process noted it."""

    at: datetime
    monotonic: float | None = None

    @classmethod
    def now(cls, clock: Clock) -> "Moment":
        return cls(clock.now(), clock.monotonic())

    def age(self, clock: Clock) -> timedelta:
        """By the clock that says more: a wall clock that is set back makes it no younger, nor does a machine's sleep.

        Negative when the wall clock has not come there yet.
        """
        by_wall = clock.now() - self.at
        if self.monotonic is None or by_wall < timedelta(0):
            return by_wall
        return max(by_wall, timedelta(seconds=clock.monotonic() - self.monotonic))

    def is_within(self, span: timedelta, clock: Clock) -> bool:
        return timedelta(0) <= self.age(clock) <= span


def uninterrupted_wait() -> Wait:
    """A wait that nothing cuts short."""
    return threading.Event().wait
