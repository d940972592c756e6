"""Those who follow an order: a budget for all of them, and one thread that asks the tracker for them all."""

import asyncio
import threading
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from http import HTTPStatus

from foundation.backoff import pause_after
from foundation.diagnostics import Emit
from foundation.threads import StartThread
from producers.api.problems import Problem
from producers.api.server_sent import RETRY, STILL_THERE, Why, end, is_over, told
from producers.orders import Principal, TrackerUnread, error_kind
from producers.tracking import TrackedOrder, TrackedOrders

RETRY_AFTER_SECONDS = 5


@dataclass(frozen=True)
class StreamLimits:
    """How many streams there may be, in all and for each principal, and how long one lasts.

    `idle`: without an event; `longest`: in all. Between events a comment is sent every `heartbeat`, and the tracker is
    asked every `look`.
    """

    streams: int = 128
    of_principal: int = 1
    idle: timedelta = timedelta(minutes=10)
    longest: timedelta = timedelta(hours=1)
    heartbeat: timedelta = timedelta(seconds=15)
    look: timedelta = timedelta(seconds=1)


STREAM_LIMITS = StreamLimits()


class Follower:
    """A stream of one order, which lasts `longest` at most. Its methods are for the event loop's thread.

    What it has not sent yet is never more than the order as it is now.
    """

    def __init__(self, principal: Principal, order: TrackedOrder, longest: timedelta) -> None:
        self.principal = principal
        self.order = order
        self.longest = longest
        self.changed = asyncio.Event()
        self.closed_for: Why | None = None

    def show(self, order: TrackedOrder) -> None:
        # What was read from another replica may be older.
        if order.version > self.order.version:
            self.order = order
            self.changed.set()

    def close(self, why: Why) -> None:
        self.closed_for = self.closed_for or why
        self.changed.set()


class OrderStreams:
    """All streams of this process. `start` and `stop` are called in its event loop."""

    def __init__(
        self,
        tracked: TrackedOrders,
        limits: StreamLimits,
        emit: Emit,
        *,
        thread: StartThread = threading.Thread,
    ) -> None:
        self.limits = limits
        self._tracked = tracked
        self._emit = emit
        self._thread = thread
        self._followers: dict[Follower, None] = {}
        self._lock = threading.Lock()
        self._stop = threading.Event()

    async def start(self) -> None:
        self._stop = stop = threading.Event()
        loop = asyncio.get_running_loop()
        self._thread(target=lambda: self._read(loop, stop), name="followed orders", daemon=True).start()

    async def stop(self) -> None:
        self._stop.set()

    def follow(self, principal: Principal, order: TrackedOrder, admitted_for: timedelta) -> Follower:
        """Raises a 503 `Problem` when there are as many streams as there may be. `admitted_for`: by its token."""
        mine = [one for one in self._followers if one.principal == principal and one.closed_for is None]
        # guarantee: a client has one stream, and the oldest makes room
        for oldest in mine[: len(mine) + 1 - self.limits.of_principal]:
            oldest.close(Why.REPLACED)
            self.leave(oldest)
        # guarantee: streams are bounded in all
        if len(self._followers) >= self.limits.streams:
            raise Problem(
                "too-many-streams",
                HTTPStatus.SERVICE_UNAVAILABLE,
                f"{self.limits.streams} streams of orders are open, and no more can be.",
                "Come back a little later, or ask for the order itself now and then.",
                {"Retry-After": str(RETRY_AFTER_SECONDS)},
            )
        follower = Follower(principal, order, min(self.limits.longest, admitted_for))
        with self._lock:
            self._followers[follower] = None
        return follower

    def leave(self, follower: Follower) -> None:
        with self._lock:
            self._followers.pop(follower, None)

    async def parts(self, follower: Follower, after: str | None) -> AsyncIterator[bytes]:
        """What is sent, until the order or the stream is over."""
        loop = asyncio.get_running_loop()
        ends_at = loop.time() + follower.longest.total_seconds()
        idle_at = loop.time() + self.limits.idle.total_seconds()
        yield RETRY
        while True:
            follower.changed.clear()
            order = follower.order
            parts, after = told(order, after)
            if parts:
                yield b"".join(parts)
                idle_at = loop.time() + self.limits.idle.total_seconds()
            # guarantee: a stream ends with its order, or when nothing comes of it for long
            why = self._why_over(follower, min(idle_at, ends_at) <= loop.time())
            if why is not None:
                yield end(follower.order, why)
                return
            try:
                async with asyncio.timeout(min(self.limits.heartbeat.total_seconds(), ends_at - loop.time())):
                    await follower.changed.wait()
            except TimeoutError:
                yield STILL_THERE

    def _why_over(self, follower: Follower, lasted: bool) -> Why | None:
        if is_over(follower.order):
            return Why.OVER
        return follower.closed_for or (Why.IDLE if lasted else None)

    def _read(self, loop: asyncio.AbstractEventLoop, stop: threading.Event) -> None:
        """In the thread: asks for every order that is followed, all at once, as long as any is."""
        failures, every = 0, self.limits.look.total_seconds()
        while not stop.wait(max(every, pause_after(failures)) if failures else every):
            with self._lock:
                followed = {follower.order.order_id for follower in self._followers}
            if not followed:
                continue
            try:
                orders = self._tracked.get_many(followed, consistent=False)
            # guarantee: those who follow orders are read for again, whatever a read fails with
            except Exception as error:  # noqa: BLE001 - told; this is the only reader that they have
                failures += 1
                if failures == 1:
                    self._emit(TrackerUnread(error_kind(error)))
                continue
            failures = 0
            if not stop.is_set():
                loop.call_soon_threadsafe(self._show, orders)

    def _show(self, orders: Mapping[str, TrackedOrder]) -> None:
        for follower in self._followers:
            if (order := orders.get(follower.order.order_id)) is not None:
                follower.show(order)
