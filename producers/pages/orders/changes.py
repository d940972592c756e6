"""Who has a page open hears which of their orders has changed: one stream a browser, one reader for all of them."""

import asyncio
import threading
from collections import deque
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from http import HTTPStatus

import msgspec

from events import OrderState
from foundation.backoff import pause_after
from foundation.diagnostics import Emit
from foundation.threads import StartThread
from producers.api import RETRY, STILL_THERE, Problem, is_over, may_see
from producers.orders import Order, Principal, TrackerUnread, error_kind
from producers.tracking import TrackedOrder, TrackedOrders

HERE = b"event: here\ndata: {}\n\n"
_encoder = msgspec.json.Encoder()


@dataclass(frozen=True)
class ChangesLimits:
    """How many streams there may be, in all and for each principal, who may have several browsers.

    One lasts `longest` at most. The tracker is asked every `look` for each principal's `newest` orders, and for one
    that is over `quiet_looks` times more: what follows from its end, as a voucher, comes behind it.
    """

    streams: int = 128
    of_principal: int = 4
    longest: timedelta = timedelta(hours=1)
    heartbeat: timedelta = timedelta(seconds=15)
    look: timedelta = timedelta(seconds=0.5)
    newest: int = 30
    quiet_looks: int = 60
    recent: int = 256


CHANGES_LIMITS = ChangesLimits()


class Watcher:
    """The stream of one browser. Its methods are for the event loop's thread."""

    def __init__(self, principal: Principal, longest: timedelta) -> None:
        self.principal = principal
        self.longest = longest
        self.changed = asyncio.Event()
        self.closed_for = ""
        self._versions: dict[str, int] = {}
        self._pending: dict[str, OrderState] = {}

    def show(self, order: TrackedOrder) -> None:
        """As the tracker has it."""
        if self._versions.get(order.order_id) != order.version:
            self._versions[order.order_id] = order.version
            self.tell(order.order_id, order.timeline.order_state)

    def tell(self, order_id: str, state: OrderState) -> None:
        self._pending[order_id] = state
        self.changed.set()

    def close(self, why: str) -> None:
        self.closed_for = self.closed_for or why
        self.changed.set()

    def take(self) -> bytes:
        """What is to be sent: ids and states alone, each order once."""
        pending, self._pending = self._pending, {}
        told = [_encoder.encode({"order_id": order_id, "state": state}) for order_id, state in pending.items()]
        return b"".join(b"data: " + one + b"\n\n" for one in told)


class Changes:
    """All such streams of this process. `start` and `stop` are called in its event loop, `carried_out` on any thread.

    What a command of this process has done is told at once, everything else as soon as the tracker has seen it.
    """

    def __init__(
        self,
        tracked: TrackedOrders,
        emit: Emit,
        limits: ChangesLimits = CHANGES_LIMITS,
        *,
        thread: StartThread = threading.Thread,
    ) -> None:
        self.limits = limits
        self._tracked = tracked
        self._emit = emit
        self._thread = thread
        self._watchers: dict[Watcher, None] = {}
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._looks_left: dict[str, int] = {}
        self._recent: deque[Order] = deque(maxlen=limits.recent)

    async def start(self) -> None:
        self._stop = stop = threading.Event()
        self._loop = loop = asyncio.get_running_loop()
        self._thread(target=lambda: self._read(loop, stop), name="changed orders", daemon=True).start()

    async def stop(self) -> None:
        self._stop.set()
        self._loop = None

    def carried_out(self, order: Order) -> None:
        with self._lock:
            self._recent.append(order)
        if (loop := self._loop) is not None:
            loop.call_soon_threadsafe(self._tell, order)

    def recent(self, principal: Principal) -> list[str]:
        """Ids of this principal's orders that a command of this process has led on lately, the newest first."""
        with self._lock:
            orders = list(self._recent)
        return list(dict.fromkeys(order.order_id for order in reversed(orders) if may_see(principal, order)))

    def follow(self, principal: Principal, admitted_for: timedelta) -> Watcher:
        """Raises a 503 `Problem` when there are as many streams as there may be. `admitted_for`: by the session."""
        mine = [one for one in self._watchers if one.principal == principal and not one.closed_for]
        for oldest in mine[: len(mine) + 1 - self.limits.of_principal]:
            oldest.close("replaced")
            self.leave(oldest)
        # guarantee: pages' streams are bounded in all
        if len(self._watchers) >= self.limits.streams:
            raise Problem(
                "too-many-streams",
                HTTPStatus.SERVICE_UNAVAILABLE,
                "So many pages are open that no more can be kept up to date.",
                "It goes on by itself when others are closed.",
                {"Retry-After": "5"},
            )
        watcher = Watcher(principal, min(self.limits.longest, admitted_for))
        with self._lock:
            self._watchers[watcher] = None
        return watcher

    def leave(self, watcher: Watcher) -> None:
        with self._lock:
            self._watchers.pop(watcher, None)

    async def parts(self, watcher: Watcher) -> AsyncIterator[bytes]:
        """What is sent, until the stream is over. It begins with `here`: what was before is asked for by the page."""
        loop = asyncio.get_running_loop()
        ends_at = loop.time() + watcher.longest.total_seconds()
        yield RETRY + HERE
        while True:
            watcher.changed.clear()
            if part := watcher.take():
                yield part
            # guarantee: a page's stream ends with its session
            if watcher.closed_for or ends_at <= loop.time():
                yield b"event: end\ndata: " + _encoder.encode({"reason": watcher.closed_for or "idle"}) + b"\n\n"
                return
            try:
                async with asyncio.timeout(min(self.limits.heartbeat.total_seconds(), ends_at - loop.time())):
                    await watcher.changed.wait()
            except TimeoutError:
                yield STILL_THERE

    def _tell(self, order: Order) -> None:
        for watcher in self._watchers:
            # guarantee: a page hears of its own orders alone
            if may_see(watcher.principal, order):
                watcher.tell(order.order_id, order.state)

    def _read(self, loop: asyncio.AbstractEventLoop, stop: threading.Event) -> None:
        """In the thread: asks for the newest orders of all who have a page open, as long as any has."""
        failures, every = 0, self.limits.look.total_seconds()
        while not stop.wait(max(every, pause_after(failures)) if failures else every):
            with self._lock:
                principals = {watcher.principal for watcher in self._watchers}
            if not principals:
                continue
            try:
                listed = {principal: self._listed(principal) for principal in principals}
                orders = self._changed({order_id for ids in listed.values() for order_id in ids})
            except Exception as error:  # noqa: BLE001 - told; this is the only reader that they have
                failures += 1
                if failures == 1:
                    self._emit(TrackerUnread(error_kind(error)))
                continue
            failures = 0
            if not stop.is_set():
                loop.call_soon_threadsafe(self._show, listed, orders)

    def _listed(self, principal: Principal) -> list[str]:
        own = self._tracked.of_customer if principal.role == "customer" else self._tracked.of_restaurant
        return [order.order_id for order in own(principal.subject, limit=self.limits.newest).orders]

    def _changed(self, order_ids: set[str]) -> Mapping[str, TrackedOrder]:
        """Those of which something may be to come."""
        left = self._looks_left = {name: looks for name, looks in self._looks_left.items() if name in order_ids}
        orders = self._tracked.get_many([name for name in order_ids if left.get(name) != 0], consistent=False)
        for name, order in orders.items():
            if is_over(order):
                left[name] = left.get(name, self.limits.quiet_looks) - 1
        return orders

    def _show(self, listed: Mapping[Principal, Sequence[str]], orders: Mapping[str, TrackedOrder]) -> None:
        for watcher in self._watchers:
            for order_id in listed.get(watcher.principal, ()):
                if order_id in orders:
                    watcher.show(orders[order_id])
