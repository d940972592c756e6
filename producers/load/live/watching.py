"""Watches what restaurants that others run do with a load's orders: the orders API is asked how each stands."""

import threading
from collections.abc import Callable, Mapping

from events import FINAL, OrderState
from foundation.clock import Wait
from producers.load.live.orders_client import OrdersClient

# Questions a second: little beside what a load asks of the API anyway.
QUESTIONS_PER_SECOND = 50.0


class WatchedRestaurants:
    """As `Restaurants`, seen from outside. `acknowledged` has the load's orders so far, each with its customer."""

    def __init__(self, api: OrdersClient, acknowledged: Callable[[], Mapping[str, str]], *, wait: Wait) -> None:
        self._api = api
        self._acknowledged = acknowledged
        self._wait = wait
        self._lock = threading.Lock()
        self._states: dict[str, OrderState] = {}

    def run(self, stop: threading.Event) -> None:
        """Asks round by round for the orders that have no end yet, until stopped."""
        while not stop.is_set():
            finished = {order_id for order_id, state in self.states().items() if state in FINAL}
            for order_id, customer_id in self._acknowledged().items():
                if stop.is_set():
                    return
                if order_id not in finished:
                    state = self._api.state(order_id, customer_id=customer_id)
                    if state is not None:
                        with self._lock:
                            self._states[order_id] = state
                    self._wait(1 / QUESTIONS_PER_SECOND)
            self._wait(1 / QUESTIONS_PER_SECOND)

    def states(self) -> dict[str, OrderState]:
        with self._lock:
            return dict(self._states)
