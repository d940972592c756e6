"""Watches what restaurants that others run do with a load's orders: the orders API is asked how each stands."""

import threading
from collections.abc import Callable, Mapping

from events import ACCEPTED, COMPLETED, REJECTED, UNANSWERED, from_on
from foundation.clock import Wait
from producers.load.live.orders_client import OrdersClient
from producers.load.live.restaurants import Served

# Questions a second: little beside what a load asks of the API anyway.
QUESTIONS_PER_SECOND = 50.0


class WatchedRestaurants:
    """As `Restaurants`, seen from outside. `acknowledged` has the load's orders so far, each with its customer."""

    def __init__(self, api: OrdersClient, acknowledged: Callable[[], Mapping[str, str]], *, wait: Wait) -> None:
        self._api = api
        self._acknowledged = acknowledged
        self._wait = wait
        self._lock = threading.Lock()
        self._states: dict[str, str] = {}

    def run(self, stop: threading.Event) -> None:
        """Asks round by round for the orders that have no end yet, until stopped."""
        while not stop.is_set():
            finished = self.served().finished
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

    def served(self) -> Served:
        with self._lock:
            states = dict(self._states)
        return Served(
            accepted=_in(states, *from_on(ACCEPTED)),
            rejected=_in(states, *from_on(REJECTED)),
            completed=_in(states, *from_on(COMPLETED)),
            unanswered=_in(states, *UNANSWERED),
        )


def _in(states: Mapping[str, str], *wanted: str) -> frozenset[str]:
    return frozenset(order_id for order_id, state in states.items() if state in wanted)
