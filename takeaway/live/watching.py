"""The live screen: looks again and again beside the keys, and opens the trace of an order that it names."""

import signal
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import FrameType

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from foundation.clock import SYSTEM_CLOCK, uninterrupted_wait
from takeaway.errors import UserError
from takeaway.live.keys import BACK, DOWN, ENTER, UP, Keys, single_keys
from takeaway.live.looks import looking
from takeaway.overview import Gatherer, Overview, lines, order_ids
from takeaway.terminal import say

# A key is heard at once; what was gathered is shown this soon.
_GLANCE_SECONDS = 0.25
_TRACE_SECONDS = 10.0


@dataclass
class Shown:
    """What is on the screen: the overview, or a trace. `chosen` is an order that the overview names."""

    overview: Overview | None = None
    chosen: str | None = None
    trace: Sequence[str] | None = None
    top: int = 0
    asked: "Future[Sequence[str]] | None" = field(default=None, compare=False)

    def looked(self, overview: Overview) -> None:
        self.overview = overview
        if self.chosen not in order_ids(overview):
            self.chosen = None

    def pressed(self, key: str, ask: "Callable[[str], Future[Sequence[str]]]") -> bool:
        """False where the key ends it."""
        if self.trace is not None:
            if key in {BACK, ENTER, "q"}:
                self.trace = self.asked = None
            elif key in {UP, DOWN}:
                self.top = max(0, min(self.top + (1 if key == DOWN else -1), len(self.trace) - 1))
            return True
        if key in {"q", BACK}:
            return False
        if key in {UP, DOWN} and self.overview is not None:
            self._choose(order_ids(self.overview), 1 if key == DOWN else -1)
        elif key in {ENTER, "t"} and self.chosen is not None:
            self.trace, self.top = [f"looking for order {self.chosen} in lake, stream and dead letters"], 0
            self.asked = ask(self.chosen)
        return True

    def answered(self) -> None:
        """Takes the trace that was asked for, once it is there."""
        if self.asked is not None and self.asked.done() and self.trace is not None:
            self.trace, self.asked = self.asked.result(), None

    def lines(self, width: int, height: int) -> list[Text]:
        if self.trace is not None:
            shown = [Text(line) for line in self.trace[self.top : self.top + height - 1]]
            return [*shown, Text("↑↓ scroll · enter back", "dim")]
        if self.overview is None:
            return [Text("looking", "dim")]
        return lines(self.overview, width, height, chosen=self.chosen, keys=True)

    def _choose(self, named: Sequence[str], by: int) -> None:
        if not named:
            return
        at = named.index(self.chosen) if self.chosen in named else (-1 if by > 0 else 0)
        self.chosen = named[(at + by) % len(named)]


def watch(gatherer: Gatherer, environ: Mapping[str, str], *, every: float, console: Console) -> None:
    """Until q, Ctrl-C or SIGTERM, at once: what is under way is read only, and is left alone."""
    shown = Shown()
    with _ended_by_signals(), looking(gatherer, every) as newest:
        try:
            with single_keys() as keys, Live(console=console, screen=True, auto_refresh=False) as live:
                while _step(shown, keys, newest, lambda order_id: _traced(environ, order_id)):
                    live.update(Group(*shown.lines(console.width, console.height)), refresh=True)
        except KeyboardInterrupt:
            say("takeaway top has ended; the stack goes on as it was", file=sys.stderr)


@contextmanager
def _ended_by_signals() -> Iterator[None]:
    """The first Ctrl-C or SIGTERM ends what is inside. More would only disturb the terminal being put back."""
    numbers = (signal.SIGINT, signal.SIGTERM)

    def heard(_number: int, _frame: FrameType | None) -> None:
        for number in numbers:
            signal.signal(number, signal.SIG_IGN)
        raise KeyboardInterrupt

    before = {number: signal.signal(number, heard) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _step(
    shown: Shown,
    keys: Keys,
    newest: Callable[[], Overview | None],
    ask: "Callable[[str], Future[Sequence[str]]]",
) -> bool:
    key = keys.read(_GLANCE_SECONDS)
    found = newest()
    if found is not None and found is not shown.overview:
        shown.looked(found)
    shown.answered()
    return key is None or shown.pressed(key, ask)


def _traced(environ: Mapping[str, str], order_id: str) -> "Future[Sequence[str]]":
    found: Future[Sequence[str]] = Future()

    def trace() -> None:
        try:
            found.set_result(_trace(environ, order_id))
        except UserError as error:
            found.set_result([f"error: {error.what}", f"fix: {error.fix}"])
        except Exception as error:  # noqa: BLE001 - raised where the screen is
            found.set_exception(error)

    threading.Thread(target=trace, name="tracing", daemon=True).start()
    return found


def _trace(environ: Mapping[str, str], order_id: str) -> Sequence[str]:
    from takeaway.trace import as_lines, not_found, order_facts, timeline_of

    facts = order_facts(environ, order_id, within=_TRACE_SECONDS, clock=SYSTEM_CLOCK, wait=uninterrupted_wait())
    if facts.found_nothing:
        raise not_found(facts)
    return as_lines(timeline_of(facts), SYSTEM_CLOCK.now())
