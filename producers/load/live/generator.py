"""Places a scenario's orders in an open loop: each at its intended time, however slow the answers to others are.

Latency counts from the intended time, so a generator that falls behind shows it instead of hiding it.
"""

import threading
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import timedelta

from events import OrderPlaced
from foundation.clock import Clock, Wait
from producers.load.ledger import LedgerWriter, expected_events
from producers.load.live.commands import given
from producers.load.live.orders_client import Acknowledged, OrdersClient, Refused
from producers.load.market import IntendedOrder

# An API that is away for a while keeps no order from being sent at its time: threads are made when they are needed.
WORKERS = 256


@dataclass
class Placings:
    """What has become of the orders so far; durations in seconds. A lag is how late an order was sent.

    `acknowledged` has each such order's customer. `last_offset` and `last_lag` are the last one's: when it was meant to
    be sent, after the start, and how late it was.
    """

    intended: int = 0
    refused: int = 0
    unanswered: int = 0
    acknowledged: dict[str, str] = field(default_factory=dict)
    latencies: list[float] = field(default_factory=list)
    max_lag: float = 0.0
    last_offset: float = 0.0
    last_lag: float = 0.0


class Generator:
    """Runs once. `wait` is cut short to stop placing; what is in flight then still finishes.

    `placed` is told of each order that the API has acknowledged.
    """

    def __init__(
        self,
        api: OrdersClient,
        ledger: LedgerWriter,
        *,
        placed: Callable[[IntendedOrder], None],
        clock: Clock,
        wait: Wait,
    ) -> None:
        self._api = api
        self._ledger = ledger
        self._placed = placed
        self._clock = clock
        self._wait = wait
        self._lock = threading.Lock()
        self.placings = Placings()

    def run(self, orders: Iterable[IntendedOrder]) -> None:
        """Returns when every order is placed, refused or given up."""
        started = self._clock.monotonic()
        in_flight: deque[Future[None]] = deque()
        with ThreadPoolExecutor(WORKERS, thread_name_prefix="customer") as pool:
            for order in orders:
                intended = started + order.offset.total_seconds()
                if self._wait(max(0.0, intended - self._clock.monotonic())):
                    # Orders that are queued but not sent, because we are behind, are not placed any more.
                    pool.shutdown(wait=True, cancel_futures=True)
                    break
                in_flight.append(pool.submit(self._place, order, intended))
                while in_flight and in_flight[0].done():
                    in_flight.popleft().result()
        for future in in_flight:
            if not future.cancelled():
                future.result()

    def counts(self) -> tuple[int, int]:
        """Orders sent so far, and acknowledged so far."""
        with self._lock:
            return self.placings.intended, len(self.placings.acknowledged)

    def acknowledged(self) -> dict[str, str]:
        """The orders acknowledged so far, each with its customer."""
        with self._lock:
            return dict(self.placings.acknowledged)

    def _place(self, order: IntendedOrder, intended: float) -> None:
        lag = self._clock.monotonic() - intended
        with self._lock:
            self.placings.intended += 1
            self.placings.max_lag = max(self.placings.max_lag, lag)
            self.placings.last_offset, self.placings.last_lag = order.offset.total_seconds(), lag
        entries = expected_events(
            OrderPlaced,
            order.idempotency_key,
            order_id=order.order_id,
            restaurant_id=order.body.restaurant_id,
            customer_id=order.customer_id,
            intended_at=self._clock.now() - timedelta(seconds=lag),
        )
        reply = given(
            self._ledger,
            entries,
            lambda: self._api.place(order.body, customer_id=order.customer_id, idempotency_key=order.idempotency_key),
            self._clock,
        )
        if isinstance(reply, Acknowledged):
            self._placed(order)
        with self._lock:
            if isinstance(reply, Acknowledged):
                self.placings.acknowledged[order.order_id] = order.customer_id
                self.placings.latencies.append(self._clock.monotonic() - intended)
            elif isinstance(reply, Refused):
                self.placings.refused += 1
            else:
                self.placings.unanswered += 1
