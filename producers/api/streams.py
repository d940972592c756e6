"""Streams of server-sent events about orders: a budget for all, and one thread that asks the tracker for all."""

import asyncio
import threading
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from http import HTTPStatus

from foundation.backoff import pause_after
from foundation.diagnostics import Emit
from foundation.threads import StartThread
from producers.api.asgi import EventStream
from producers.api.problems import Problem
from producers.api.server_sent import RETRY, STILL_THERE, Why, is_over
from producers.orders import Order, Principal, TrackerUnread, error_kind
from producers.tracking import TrackedOrder, TrackedOrders

RETRY_AFTER_SECONDS = 5


@dataclass(frozen=True)
class StreamLimits:
    """How many streams there may be in all, and how long one lasts.

    `longest`: in all; `idle`: without an event, for the kinds that end so. Between events a comment is sent every
    `heartbeat`, and the tracker is asked every `look`: for a principal's `newest` orders where a stream is of them, and
    for one of these that is over `quiet_looks` times more, since what follows from its end, as a voucher, comes behind.
    """

    streams: int = 128
    idle: timedelta = timedelta(minutes=10)
    longest: timedelta = timedelta(hours=1)
    heartbeat: timedelta = timedelta(seconds=15)
    look: timedelta = timedelta(seconds=0.5)
    newest: int = 30
    quiet_looks: int = 60


STREAM_LIMITS = StreamLimits()


class Stream(ABC):
    """What one client is sent. Its methods are for the event loop's thread.

    It follows one order, or the newest ones of its principal where `order_id` is None, and lasts as long as its client
    is admitted for. A kind says how many streams of it a principal has, how one begins, and whether it ends idle.
    """

    of_principal: int = 1
    begins: bytes = RETRY
    ends_idle: bool = True

    def __init__(self, principal: Principal, admitted_for: timedelta, order_id: str | None = None) -> None:
        self.principal = principal
        self.admitted_for = admitted_for
        self.order_id = order_id
        self.changed = asyncio.Event()
        self.closed_for: Why | None = None

    @abstractmethod
    def show(self, order: TrackedOrder) -> None:
        """Takes an order as the tracker has it, and sets `changed` where there is something to be sent."""

    @abstractmethod
    def hear(self, order: Order) -> None:
        """Takes an order, of anybody, that a command of this process has led on: the tracker has it later."""

    @abstractmethod
    def take(self) -> bytes:
        """What is to be sent by now, once."""

    @abstractmethod
    def end(self, why: Why) -> bytes:
        """The last that is sent."""

    def why_over(self) -> Why | None:
        return self.closed_for

    def close(self, why: Why) -> None:
        self.closed_for = self.closed_for or why
        self.changed.set()


class OrderStreams:
    """All streams of this process. `start` and `stop` are called in its event loop, `carried_out` on any thread."""

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
        self._streams: dict[Stream, None] = {}
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._looks_left: dict[str, int] = {}

    async def start(self) -> None:
        self._stop = stop = threading.Event()
        self._loop = loop = asyncio.get_running_loop()
        self._thread(target=lambda: self._read(loop, stop), name="followed orders", daemon=True).start()

    async def stop(self) -> None:
        self._stop.set()
        self._loop = None

    def carried_out(self, order: Order) -> None:
        """Has the streams hear at once of what a command of this process has done."""
        if (loop := self._loop) is not None:
            loop.call_soon_threadsafe(self._tell, order)

    def answer(self, stream: Stream) -> EventStream:
        """The response that sends it. Raises as `enter` does."""
        self.enter(stream)
        return EventStream(self.parts(stream), gone=partial(stream.close, Why.IDLE), over=partial(self.leave, stream))

    def enter(self, stream: Stream) -> None:
        """Raises a 503 `Problem` when there are as many streams as there may be."""
        mine = [one for one in self._streams if _alike(one, stream) and one.closed_for is None]
        # guarantee: a client has one stream, and the oldest makes room
        for oldest in mine[: max(0, len(mine) + 1 - stream.of_principal)]:
            oldest.close(Why.REPLACED)
            self.leave(oldest)
        # guarantee: streams are bounded in all
        if len(self._streams) >= self.limits.streams:
            raise Problem(
                "too-many-streams",
                HTTPStatus.SERVICE_UNAVAILABLE,
                f"{self.limits.streams} streams of orders are open, and no more can be.",
                "Come back a little later, or ask for the order itself now and then.",
                {"Retry-After": str(RETRY_AFTER_SECONDS)},
            )
        with self._lock:
            self._streams[stream] = None

    def leave(self, stream: Stream) -> None:
        with self._lock:
            self._streams.pop(stream, None)

    async def parts(self, stream: Stream) -> AsyncIterator[bytes]:
        """What is sent, until what it follows or the stream is over."""
        loop = asyncio.get_running_loop()
        # guarantee: a stream lasts no longer than its client is admitted for
        lasts = min(self.limits.longest, stream.admitted_for)
        ends_at = loop.time() + lasts.total_seconds()
        idle = self.limits.idle.total_seconds() if stream.ends_idle else lasts.total_seconds()
        idle_at = loop.time() + idle
        yield stream.begins
        while True:
            stream.changed.clear()
            if part := stream.take():
                yield part
                idle_at = loop.time() + idle
            lasted = min(idle_at, ends_at) <= loop.time()
            # guarantee: a stream ends with its order, or when nothing comes of it for long
            why = stream.why_over() or (Why.IDLE if lasted else None)
            if why is not None:
                yield stream.end(why)
                return
            try:
                async with asyncio.timeout(min(self.limits.heartbeat.total_seconds(), ends_at - loop.time())):
                    await stream.changed.wait()
            except TimeoutError:
                yield STILL_THERE

    def _tell(self, order: Order) -> None:
        for stream in self._streams:
            stream.hear(order)

    def _read(self, loop: asyncio.AbstractEventLoop, stop: threading.Event) -> None:
        """In the thread: asks for every order that is followed, all at once, as long as any is."""
        failures, every = 0, self.limits.look.total_seconds()
        while not stop.wait(max(every, pause_after(failures)) if failures else every):
            with self._lock:
                streams = list(self._streams)
            if not streams:
                continue
            try:
                newest = {one.principal: self._newest(one.principal) for one in streams if one.order_id is None}
                orders = self._orders({one.order_id for one in streams if one.order_id is not None}, newest.values())
            # guarantee: those who follow orders are read for again, whatever a read fails with
            except Exception as error:  # noqa: BLE001 - told; this is the only reader that they have
                failures += 1
                if failures == 1:
                    self._emit(TrackerUnread(error_kind(error)))
                continue
            failures = 0
            if not stop.is_set():
                loop.call_soon_threadsafe(self._show, newest, orders)

    def _newest(self, principal: Principal) -> list[str]:
        own = self._tracked.of_customer if principal.role == "customer" else self._tracked.of_restaurant
        return [order.order_id for order in own(principal.subject, limit=self.limits.newest).orders]

    def _orders(self, followed: set[str], newest: Collection[Sequence[str]]) -> Mapping[str, TrackedOrder]:
        """Those that are followed, and of the newest ones those of which something may be to come."""
        listed = {order_id for order_ids in newest for order_id in order_ids}
        left = self._looks_left = {name: looks for name, looks in self._looks_left.items() if name in listed}
        orders = self._tracked.get_many(followed | {name for name in listed if left.get(name) != 0}, consistent=False)
        for name in listed & orders.keys():
            if is_over(orders[name]):
                left[name] = max(0, left.get(name, self.limits.quiet_looks) - 1)
        return orders

    def _show(self, newest: Mapping[Principal, Sequence[str]], orders: Mapping[str, TrackedOrder]) -> None:
        for stream in self._streams:
            for order_id in newest.get(stream.principal, ()) if stream.order_id is None else (stream.order_id,):
                if order_id in orders:
                    stream.show(orders[order_id])


def _alike(one: Stream, other: Stream) -> bool:
    return type(one) is type(other) and one.principal == other.principal
