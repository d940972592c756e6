"""The orders API's store in memory: conditional as the table is, and as able to lose an answer or to be down."""

import threading
from collections import deque
from collections.abc import Collection
from datetime import datetime

from botocore.exceptions import EndpointConnectionError, ReadTimeoutError

from events.orders import Event, OrderExpired
from events.wire import decode
from producers.orders.commands import Order, Performed
from producers.orders.table import pending_key


class FakeOrders:
    """`Orders` in a dict. What goes in comes out as its bytes say, as from the table."""

    def __init__(self) -> None:
        self._orders: dict[str, Order] = {}
        self.pending_since: dict[str, datetime] = {}
        self._lock = threading.Lock()
        self._faults: deque[Exception] = deque()
        self._lost_answers: deque[Exception] = deque()

    def fail(self, times: int = 1) -> None:
        """The next `times` calls raise before anything is done."""
        self._faults.extend([EndpointConnectionError(endpoint_url="http://orders")] * times)

    def lose_answer(self, times: int = 1) -> None:
        """The next `times` writes are applied, and then raise."""
        self._lost_answers.extend([ReadTimeoutError(endpoint_url="http://orders")] * times)

    def create(self, order: Order) -> Order:
        with self._lock:
            self._raise_scripted()
            if order.order_id not in self._orders:
                self.pending_since[order.order_id] = order.placing.envelope.occurred_at
            stored = self._orders.setdefault(order.order_id, _as_stored(order))
            self._lose_answer_if_scripted()
            return stored

    def get(self, order_id: str) -> Order | None:
        with self._lock:
            self._raise_scripted()
            return self._orders.get(order_id)

    def get_many(self, order_ids: Collection[str]) -> dict[str, Order]:
        with self._lock:
            self._raise_scripted()
            return {name: self._orders[name] for name in order_ids if name in self._orders}

    def advance(self, order: Order, performed: Performed[Event]) -> Order:
        with self._lock:
            self._raise_scripted()
            stored = self._orders[order.order_id]
            if stored.state == order.state and _in_time(stored, performed):
                stored = self._orders[order.order_id] = _as_stored(stored.after(performed))
                self.pending_since.setdefault(order.order_id, performed.envelope.occurred_at)
            self._lose_answer_if_scripted()
            return stored

    def of_customer(self, customer_id: str) -> list[Order]:
        with self._lock:
            self._raise_scripted()
            return [order for order in self._orders.values() if order.placed.customer_id == customer_id]

    def remove(self, order: Order) -> bool:
        with self._lock:
            self._raise_scripted()
            stored = self._orders.get(order.order_id)
            if stored is not None and len(stored.history) != len(order.history):
                return False
            self._orders.pop(order.order_id, None)
            self.pending_since.pop(order.order_id, None)
            self._lose_answer_if_scripted()
            return True

    def note_acknowledged(self, order: Order, performed: Performed[Event]) -> Order:
        with self._lock:
            self._raise_scripted()
            stored = self._orders[order.order_id]
            at = order.history.index(performed)
            stored = self._orders[order.order_id] = stored.acknowledging(stored.history[at])
            noted = order.acknowledging(performed)
            # Like the table, which settles only where that is asked of it, by a process that has seen the whole.
            if noted.is_acknowledged:
                self._settle(noted)
            self._lose_answer_if_scripted()
            return noted

    def settle(self, order: Order) -> bool:
        with self._lock:
            self._raise_scripted()
            settled = order.is_acknowledged and self._settle(order)
            self._lose_answer_if_scripted()
            return settled

    def _settle(self, order: Order) -> bool:
        stored = self._orders[order.order_id]
        if len(stored.history) != len(order.history) or not stored.is_acknowledged:
            return False
        self.pending_since.pop(order.order_id, None)
        return True

    def pending(self, key: int, before: datetime, limit: int) -> list[str]:
        with self._lock:
            self._raise_scripted()
            of_key = {order_id: at for order_id, at in self.pending_since.items() if pending_key(order_id) == key}
            return sorted((one for one, at in of_key.items() if at < before), key=of_key.__getitem__)[:limit]

    def _raise_scripted(self) -> None:
        if self._faults:
            raise self._faults.popleft()

    def _lose_answer_if_scripted(self) -> None:
        if self._lost_answers:
            raise self._lost_answers.popleft()


def _in_time(order: Order, performed: Performed[Event]) -> bool:
    accept_by, at = order.placed.accept_by, performed.envelope.occurred_at
    if order.state != "placed" or accept_by is None:
        return True
    return (at >= accept_by) == isinstance(performed.envelope.event, OrderExpired)


def _as_stored(order: Order) -> Order:
    for performed in order.history:
        if decode(performed.encoded.data) != performed.envelope:
            raise AssertionError(f"{performed.envelope.event_type} does not survive its bytes")
    return order
