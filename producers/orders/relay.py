"""The relay: publishes what is stored in the orders table and not on the stream, when its process did not come to that.

Each API process runs one. Most of the time there is nothing to do: the process that stores an event publishes it right
away, so what has been pending for seconds was left behind. Two relays, or a relay beside a slow process, publish an
event twice, under one `event_id`; an order's events first come up in their order, since each waits for the
acknowledgement of the one before.
"""

import random
import threading
from collections.abc import Callable, Sequence
from datetime import timedelta

from foundation.clock import Clock, Wait
from foundation.diagnostics import Emit
from foundation.dynamodb import Outcome, Rounds
from foundation.threads import StartThread
from producers.orders.diagnostics import NotRelayed, Relayed, RelayStands, error_kind
from producers.orders.ordering import Ordering
from producers.orders.table import PENDING_KEYS, Orders

# Longer than a healthy process takes from the table to the stream, so that it is not raced.
PENDING_FOR = timedelta(seconds=4)

# How long `stop` waits for what is under way, in seconds.
_ENDS_WITHIN = 2.0


class Relay:
    """Looks for pending orders until `wait` says that the process stops, and has `ordering` publish their events."""

    def __init__(
        self, orders: Orders, ordering: Ordering, *, clock: Clock, wait: Wait, emit: Emit, jitter: random.Random
    ) -> None:
        self._orders = orders
        self._ordering = ordering
        self._clock = clock
        self._emit = emit
        self._rounds = Rounds(
            range(PENDING_KEYS), self._find, self._relay, self._stands, clock=clock, wait=wait, jitter=jitter
        )

    def run(self) -> None:
        self._rounds.run()

    def look(self) -> bool:
        """One look at every key of the index; False when it was given up for want of the table or the stream."""
        return self._rounds.round()

    def _find(self, key: int, limit: int) -> Sequence[str]:
        # guarantee: what is being published is left to its process
        before = self._clock.now() - PENDING_FOR
        return self._orders.pending(key, before, limit)

    def _relay(self, order_id: str) -> Outcome:
        try:
            events = self._ordering.relay(order_id)
        except Exception as error:  # noqa: BLE001 - of this order, or of all: that the next ones fail too will tell
            return self._failed(order_id, error_kind(error))
        if events is None:
            return self._failed(order_id, "not acknowledged, or not noted")
        if events:
            self._emit(Relayed(order_id, events))
        return Outcome.DONE

    def _failed(self, order_id: str, error: str) -> Outcome:
        self._emit(NotRelayed(order_id, error))
        return Outcome.FAILED

    def _stands(self, error: Exception) -> None:
        self._emit(RelayStands(error_kind(error)))


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
