"""Customers who change their minds: each takes its order back some time after the placing, if it is not too late."""

import threading
from dataclasses import dataclass
from datetime import timedelta

from events import CANCELLED, OrderCancelled, OrderState
from foundation.clock import Clock
from foundation.diagnostics import Diagnostic, Emit
from producers.load.ledger import LedgerWriter, expected_events
from producers.load.live.agenda import Agenda
from producers.load.live.commands import given
from producers.load.live.orders_client import Acknowledged, OrdersClient, Refused
from producers.load.market import IntendedOrder
from producers.orders import DEFAULT_KEYS, CancelOrder

# What stream and notifier take until a restaurant knows, at any speed: else all customers of a fast load would win.
NOTICE = timedelta(seconds=0.3)


@dataclass(frozen=True)
class NotCancelled(Diagnostic):
    """A customer could not take an order back, for another reason than the order's state."""

    order_id: str
    reply: str


class Customers:
    """Those of one load. What an agenda has not come to when the load ends is not done any more."""

    def __init__(self, api: OrdersClient, ledger: LedgerWriter, agenda: Agenda, *, clock: Clock, emit: Emit) -> None:
        self._api = api
        self._ledger = ledger
        self._agenda = agenda
        self._clock = clock
        self._emit = emit
        self._lock = threading.Lock()
        self._states: dict[str, OrderState] = {}

    def placed(self, order: IntendedOrder) -> None:
        """To be told of each order that is placed."""
        if order.cancels_after is not None:
            self._agenda.after((NOTICE + order.cancels_after).total_seconds(), lambda: self._cancel(order))

    def states(self) -> dict[str, OrderState]:
        """The orders that were to be taken back, by the state that they were found in then."""
        with self._lock:
            return dict(self._states)

    def _cancel(self, order: IntendedOrder) -> None:
        entries = expected_events(
            OrderCancelled,
            DEFAULT_KEYS[CancelOrder],
            order_id=order.order_id,
            restaurant_id=order.body.restaurant_id,
            customer_id=order.customer_id,
            intended_at=self._clock.now(),
        )
        reply = given(
            self._ledger,
            entries,
            lambda: self._api.cancel(order.order_id, customer_id=order.customer_id),
            self._clock,
        )
        # That the restaurant came first is a normal end.
        state = CANCELLED if isinstance(reply, Acknowledged) else reply.state if isinstance(reply, Refused) else None
        if state is None:
            self._emit(NotCancelled(order.order_id, str(reply)))
            return
        with self._lock:
            self._states[order.order_id] = state
