"""Looks at a stack again and again, in a thread of its own: what is shown waits for no service."""

import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from foundation.clock import SYSTEM_CLOCK
from takeaway.overview import Gatherer, Overview


@contextmanager
def looking(gatherer: Gatherer, every: float) -> Iterator[Callable[[], Overview | None]]:
    """Each `every` seconds, until left. Yields what answers with the newest look, None before the first one.

    It raises what a look has raised. A look that is under way at the end is read only, and is left alone.
    """
    looked: deque[Overview | Exception] = deque(maxlen=1)
    ended = threading.Event()

    def look_on() -> None:
        while not ended.is_set():
            began = SYSTEM_CLOCK.monotonic()
            try:
                looked.append(gatherer.look())
            except Exception as error:  # noqa: BLE001 - raised where the screen is
                looked.append(error)
                return
            ended.wait(max(0.0, every - (SYSTEM_CLOCK.monotonic() - began)))

    def newest() -> Overview | None:
        found = looked[0] if looked else None
        if isinstance(found, Exception):
            raise found
        return found

    threading.Thread(target=look_on, name="looking", daemon=True).start()
    try:
        yield newest
    finally:
        ended.set()
