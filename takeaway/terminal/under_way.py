"""What a command waits for, for how long by now, and how far it is: on standard error, so that answers stay alone."""

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from foundation.clock import SYSTEM_CLOCK, Clock, Wait
from takeaway.terminal.saying import PlainConsole, say

# How far it is, in words and numbers; the latest counts.
Tell = Callable[[str], None]

_FIRST_SECONDS, _AGAIN_SECONDS = 2.0, 10.0


@contextmanager
def waiting(what: str) -> Iterator[Tell]:
    """Around what may take more than two seconds. At a terminal one line that goes when it is over.

    Elsewhere nothing for two seconds, and then a line now and each ten seconds. `what` is said in the present
    participle: `asking the lake`.
    """
    console = PlainConsole(stderr=True, highlight=False)
    if console.is_terminal:
        columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
        with Progress(*columns, console=console, transient=True) as progress:
            task = progress.add_task(what)
            yield lambda told: progress.update(task, description=_line(what, told))
        return
    over, latest = threading.Event(), [""]
    telling = threading.Thread(target=tell_until_over, args=(what, latest, over.wait), name="waiting", daemon=True)
    telling.start()
    try:
        yield lambda told: latest.__setitem__(0, told)
    finally:
        over.set()
        telling.join()


def tell_until_over(what: str, latest: list[str], wait: Wait, clock: Clock = SYSTEM_CLOCK) -> None:
    """A line after two seconds, and each ten seconds from then on, until `wait` says that it is over."""
    began, pause = clock.monotonic(), _FIRST_SECONDS
    while not wait(pause):
        seconds, pause = clock.monotonic() - began, _AGAIN_SECONDS
        say(f"{_line(what, latest[0])}, {seconds:.0f} s", file=sys.stderr)


def _line(what: str, told: str) -> str:
    return f"{what}: {told}" if told else what
