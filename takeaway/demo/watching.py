"""Watches a demo's load until the last event of the last order is in the lake."""

from collections.abc import Callable
from dataclasses import dataclass

from foundation.clock import Clock, Wait
from takeaway.audit import StreamAway, StreamObserver, lake_has, lake_rows, ledger_facts
from takeaway.demo.screen import View
from takeaway.errors import UserError
from takeaway.local import Running, exit_code, stop_processes
from takeaway.stack import Stack, require_alive
from takeaway.terminal import Interrupted

# After the load has ended: how long the last events may take to reach the lake before that is called a loss.
DRAIN_SECONDS = 45.0
_LAKE_LOOK_SECONDS = 2.0
_LOAD_GRACE_SECONDS = 20.0


@dataclass(frozen=True)
class Pace:
    """In seconds: how often the stream is read, and how often the view is shown."""

    look: float
    show: float


@dataclass
class Watch:
    """One demo's load being watched. `expected` is for how many seconds, about."""

    stack: Stack
    orders: int
    expected: float
    load: Running
    observer: StreamObserver
    interrupted: Interrupted
    clock: Clock
    wait: Wait
    lake_rows: int = 0
    phase: str = "orders are being placed"

    def __post_init__(self) -> None:
        self._started = self.clock.monotonic()
        self._drain_deadline: float | None = None
        self._looked = self._lake_looked = self._shown = float("-inf")

    def view(self) -> View:
        return View(
            self.phase,
            self.clock.monotonic() - self._started,
            self.expected,
            self.orders,
            dict(self.observer.counts),
            self.observer.records,
            self.lake_rows,
            self.interrupted.told if self.interrupted.event.is_set() else "",
        )

    def until_done(self, show: Callable[[View], None], pace: Pace) -> None:
        while not self._is_done(pace):
            if self.clock.monotonic() - self._shown >= pace.show:
                self._show(show)
            if self.interrupted.event.is_set() and self.load.process() is not None:
                # What it waits for is to be seen before it is waited for.
                self._show(show)
                stop_processes([self.load], grace=_LOAD_GRACE_SECONDS)
            self.wait(min(pace.look, pace.show))
        self._show(show)

    def _show(self, show: Callable[[View], None]) -> None:
        show(self.view())
        self._shown = self.clock.monotonic()

    def _is_done(self, pace: Pace) -> bool:
        """Looks, if it is time to."""
        now = self.clock.monotonic()
        if now - self._looked < pace.look:
            return False
        self._looked = now
        self._look()
        if now - self._lake_looked >= _LAKE_LOOK_SECONDS:
            self.lake_rows, self._lake_looked = lake_rows(self.stack.environ), now
        if self._drain_deadline is not None:
            return self._drained() or now > self._drain_deadline
        if self.load.process() is None:
            self._require_load_ended_well()
            self.phase = "the last events are on their way into the lake"
            self._drain_deadline = now + DRAIN_SECONDS
        else:
            self._require_others()
        return False

    def _look(self) -> None:
        try:
            self.observer.look()
        except StreamAway:
            # One bad answer is nothing; a local AWS that is gone is what there is to say.
            self._require_others()

    def _require_others(self) -> None:
        require_alive(one for one in self.stack.running if one is not self.load)

    def _drained(self) -> bool:
        promised = {fact.event_id for fact in ledger_facts(self.stack.home / "ledger") if fact.certain}
        if not promised <= self.observer.seen:
            return False
        return self.lake_rows >= self.observer.records or lake_has(self.stack.environ, self.observer.records)

    def _require_load_ended_well(self) -> None:
        if exit_code(self.load) not in (0, 1) and not self.interrupted.event.is_set():
            raise UserError("the load ended with an error", f"read {self.load.log}")
