"""Threads are started by an injected function, so that a test can run them one at a time on simulated time."""

import threading
from collections.abc import Callable
from typing import Protocol


class StartThread(Protocol):
    """`threading.Thread`, as far as it is used here."""

    def __call__(self, *, target: Callable[[], None], name: str, daemon: bool) -> threading.Thread: ...


def in_parallel(work: Callable[[], None], threads: int, *, name: str, thread: StartThread) -> None:
    """Does `work` in so many threads at once, in this very one when one is enough.

    Comes back when all of them have; then raises what one of them raised. They are daemons: a process that must end
    does not wait for work that hangs.
    """
    if threads <= 1:
        work()
        return
    raised: list[BaseException] = []

    def run() -> None:
        try:
            work()
        except BaseException as error:  # noqa: BLE001 - raised again where somebody hears it
            raised.append(error)

    started: list[threading.Thread] = []
    try:
        for number in range(1, threads + 1):
            each = thread(target=run, name=f"{name} {number}", daemon=True)
            each.start()
            started.append(each)
    finally:
        for each in started:
            each.join()
    if raised:
        raise raised[0]
