"""Does things at their times, on a bounded pool of threads."""

import heapq
import itertools
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Self

from foundation.clock import Clock, Wait

WORKERS = 48
# Nothing is more than this late, in seconds, as long as a worker is free.
TICK = 0.02


class Agenda:
    """A context manager; leaving it lets what has begun finish, and drops what is not due yet."""

    def __init__(self, clock: Clock, wait: Wait) -> None:
        self._clock = clock
        self._wait = wait
        self._lock = threading.Lock()
        self._entries: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = itertools.count()
        self._ended = False
        self._failure: BaseException | None = None
        self._pool = ThreadPoolExecutor(WORKERS, thread_name_prefix="restaurant")
        self._thread = threading.Thread(target=self._run, name="agenda", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended = True
        self._thread.join()
        self._pool.shutdown(wait=True)
        self.check()

    def after(self, seconds: float, action: Callable[[], None]) -> None:
        with self._lock:
            heapq.heappush(self._entries, (self._clock.monotonic() + seconds, next(self._numbers), action))

    def check(self) -> None:
        """Raises what an action raised: nothing that is done here fails in silence."""
        if self._failure:
            raise self._failure

    def _run(self) -> None:
        while not self._ended:
            for action in self._due():
                self._pool.submit(action).add_done_callback(self._note)
            self._wait(TICK)

    def _due(self) -> list[Callable[[], None]]:
        due: list[Callable[[], None]] = []
        with self._lock:
            while self._entries and self._entries[0][0] <= self._clock.monotonic():
                due.append(heapq.heappop(self._entries)[2])
        return due

    def _note(self, done: Future[None]) -> None:
        self._failure = self._failure or done.exception()
