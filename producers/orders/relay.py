"""The relay: publishes what is stored in the orders table and not on the stream, when its process did not come to that.

Each API process runs one. Most of the time there is nothing to do: the process that stores an event publishes it right
away, so what has been pending for seconds was left behind. Two relays, or a relay beside a slow process, publish an
event twice, under one `event_id`; an order's events first come up in their order, since each waits for the
acknowledgement of the one before.
"""

import random
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from foundation.backoff import pause_after
from foundation.clock import Clock, Wait
from foundation.diagnostics import Emit
from foundation.threads import StartThread
from producers.orders.diagnostics import NotRelayed, Relayed, RelayStands, error_kind
from producers.orders.ordering import Ordering
from producers.orders.table import PENDING_KEYS, Orders

# Longer than a healthy process takes from the table to the stream, so that it is not raced.
PENDING_FOR = timedelta(seconds=4)
# Of each key of the index, so that a look ends: the rest is there at the next one.
ORDERS_A_KEY = 32
# Orders that fail one behind the other, until that is taken for the stream's or the table's fault, and not for theirs.
FAILURES_A_LOOK = 3

_LOOK_EVERY = (1.0, 2.0)
_FIRST_PAUSE = 2.0
# How long `stop` waits for what is under way, in seconds.
_ENDS_WITHIN = 2.0


@dataclass(frozen=True)
class _PutOff:
    """How often an order failed in a row, and until when it is left alone, on the monotonic clock."""

    failures: int
    until: float


class Relay:
    """Looks for pending orders until `wait` says that the process stops, and has `ordering` publish their events."""

    def __init__(
        self, orders: Orders, ordering: Ordering, *, clock: Clock, wait: Wait, emit: Emit, jitter: random.Random
    ) -> None:
        self._orders = orders
        self._ordering = ordering
        self._clock = clock
        self._wait = wait
        self._emit = emit
        self._jitter = jitter
        self._put_off: dict[str, _PutOff] = {}

    def run(self) -> None:
        failures = 0
        while not self._wait(self._pause(failures)):
            failures = 0 if self.look() else failures + 1

    def look(self) -> bool:
        """One look at every key of the index; False when it was given up for want of the table or the stream."""
        try:
            return self._look()
        except Exception as error:  # noqa: BLE001 - told, and tried again: a relay that ended is missed only when needed
            self._emit(RelayStands(error_kind(error)))
            return False

    def _pause(self, failures: int) -> float:
        """Processes that were started together, or failed together, do not look together for long."""
        if failures:
            return pause_after(failures, first=_FIRST_PAUSE) * self._jitter.uniform(0.5, 1.0)
        return self._jitter.uniform(*_LOOK_EVERY)

    def _look(self) -> bool:
        seen: set[str] = set()
        failed_in_a_row = 0
        # Each relay in an order of its own: two that look at once find other orders first.
        for key in self._jitter.sample(range(PENDING_KEYS), PENDING_KEYS):
            # guarantee: what is being published is left to its process
            before = self._clock.now() - PENDING_FOR
            # guarantee: orders that are put off take no other's place in a look
            found = self._orders.pending(key, before, ORDERS_A_KEY + len(self._put_off))
            seen.update(found)
            # The oldest first, behind them those that failed before: many of these would end each look.
            due = sorted((order_id for order_id in found if not self._is_put_off(order_id)), key=self._failures)
            for order_id in due[:ORDERS_A_KEY]:
                if self._wait(0):
                    return True
                failed_in_a_row = 0 if self._relay(order_id) else failed_in_a_row + 1
                if failed_in_a_row == FAILURES_A_LOOK:
                    return False
        self._put_off = {order_id: until for order_id, until in self._put_off.items() if order_id in seen}
        return True

    def _failures(self, order_id: str) -> int:
        return self._put_off[order_id].failures if order_id in self._put_off else 0

    def _is_put_off(self, order_id: str) -> bool:
        return order_id in self._put_off and self._clock.monotonic() < self._put_off[order_id].until

    def _relay(self, order_id: str) -> bool:
        try:
            events = self._ordering.relay(order_id)
        except Exception as error:  # noqa: BLE001 - of this order, or of all: that the next ones fail too will tell
            return self._failed(order_id, error_kind(error))
        if events is None:
            return self._failed(order_id, "not acknowledged, or not noted")
        self._put_off.pop(order_id, None)
        if events:
            self._emit(Relayed(order_id, events))
        return True

    def _failed(self, order_id: str, error: str) -> bool:
        """An order that nobody can publish, or read, keeps none of the others waiting."""
        failures = self._failures(order_id) + 1
        # guarantee: an order that cannot be relayed is put off alone
        self._put_off[order_id] = _PutOff(failures, self._clock.monotonic() + pause_after(failures, first=_FIRST_PAUSE))
        self._emit(NotRelayed(order_id, error))
        return False


class RelayThread:
    """Runs a relay, made with the `Wait` that `stop` cuts short, once.

    In a daemon: a process that must end waits for no call.
    """

    def __init__(self, make: Callable[[Wait], Relay], *, thread: StartThread = threading.Thread) -> None:
        self._stop = threading.Event()
        self._thread = thread(target=make(self._stop.wait).run, name="relay", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """No further order is begun. What is under way ends with its publisher, which is to be closed next."""
        # guarantee: the relay ends with its process' API
        self._stop.set()

    @property
    def alive(self) -> bool:
        return self._thread.is_alive()

    def join(self) -> None:
        """To be called behind the publisher's `close`: what was acknowledged is noted yet."""
        self._thread.join(_ENDS_WITHIN)
