"""What a page is sent while it is open: which of its principal's orders have changed."""

from datetime import timedelta

import msgspec

from events import OrderState
from producers.api import RETRY, Stream, Why, may_see
from producers.orders import Order, Principal
from producers.tracking import TrackedOrder

_encoder = msgspec.json.Encoder()


class Changes(Stream):
    """The stream of one browser, of which a person may have several.

    It begins with `here`: what was before is asked for by the page. What a command of this process has done is told at
    once, everything else as soon as the tracker has seen it.
    """

    of_principal = 4
    begins = RETRY + b"event: here\ndata: {}\n\n"
    ends_idle = False

    def __init__(self, principal: Principal, admitted_for: timedelta) -> None:
        super().__init__(principal, admitted_for)
        self._versions: dict[str, int] = {}
        self._pending: dict[str, OrderState] = {}

    def show(self, order: TrackedOrder) -> None:
        if self._versions.get(order.order_id) != order.version:
            self._versions[order.order_id] = order.version
            self._tell(order.order_id, order.timeline.order_state)

    def hear(self, order: Order) -> None:
        # guarantee: a page hears of its own orders alone
        if may_see(self.principal, order):
            self._tell(order.order_id, order.state)

    def take(self) -> bytes:
        """Ids and states alone, each order once."""
        pending, self._pending = self._pending, {}
        told = [_encoder.encode({"order_id": order_id, "state": state}) for order_id, state in pending.items()]
        return b"".join(b"data: " + one + b"\n\n" for one in told)

    def end(self, why: Why) -> bytes:
        return b"event: end\ndata: " + _encoder.encode({"reason": why.value}) + b"\n\n"

    def _tell(self, order_id: str, state: OrderState) -> None:
        self._pending[order_id] = state
        self.changed.set()
