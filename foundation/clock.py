"""The one place that reads the machine's clocks. Everyone else is handed a `Clock`, and a `Wait` to pass time with."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

# Waits for that many seconds; True when the wait was cut short because the process is asked to stop.
Wait = Callable[[float], bool]


@dataclass(frozen=True)
class Clock:
    """`now` is UTC wall time, for facts; `monotonic` is seconds that never jump, for durations."""

    now: Callable[[], datetime]
    monotonic: Callable[[], float]


SYSTEM_CLOCK = Clock(now=lambda: datetime.now(UTC), monotonic=time.monotonic)


def uninterrupted_wait() -> Wait:
    """A wait that nothing cuts short."""
    return threading.Event().wait
