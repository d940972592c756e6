"""The live screen: looks again and again beside the keys, and opens the trace of an order that it names."""

import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from foundation.clock import SYSTEM_CLOCK, uninterrupted_wait
from takeaway.errors import UserError
from takeaway.overview.facts import Overview
from takeaway.overview.gathering import Gatherer
from takeaway.overview.keys import BACK, DOWN, ENTER, UP, Keys, single_keys
from takeaway.overview.screen import lines, order_ids

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
    """Until q or Ctrl-C, at once: what is under way is read only, and is left alone."""
    looked: list[Overview | Exception] = []
    ended = threading.Event()
    threading.Thread(target=_look_on, args=(gatherer, every, looked, ended), name="looking", daemon=True).start()
    shown = Shown()
    try:
        with single_keys() as keys, Live(console=console, screen=True, auto_refresh=False) as live:
            while _step(shown, keys, looked, lambda order_id: _traced(environ, order_id)):
                live.update(Group(*shown.lines(console.width, console.height)), refresh=True)
    except KeyboardInterrupt:
        return
    finally:
        ended.set()


def _step(
    shown: Shown,
    keys: Keys,
    looked: list[Overview | Exception],
    ask: "Callable[[str], Future[Sequence[str]]]",
) -> bool:
    key = keys.read(_GLANCE_SECONDS)
    while looked:
        found = looked.pop(0)
        if isinstance(found, Exception):
            raise found
        shown.looked(found)
    shown.answered()
    return key is None or shown.pressed(key, ask)


def _look_on(gatherer: Gatherer, every: float, looked: list[Overview | Exception], ended: threading.Event) -> None:
    while not ended.is_set():
        began = SYSTEM_CLOCK.monotonic()
        try:
            looked.append(gatherer.look())
        except Exception as error:  # noqa: BLE001 - raised where the screen is
            looked.append(error)
            return
        ended.wait(max(0.0, every - (SYSTEM_CLOCK.monotonic() - began)))


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
