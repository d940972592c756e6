"""Orders that commands of this process have led on lately: lists show them before the tracker has seen them."""

import threading
from collections import deque

from producers.api import may_see
from producers.orders import Order, Principal


class RecentOrders:
    """The newest `most` of them. Safe for threads."""

    def __init__(self, most: int = 256) -> None:
        self._orders: deque[Order] = deque(maxlen=most)
        self._lock = threading.Lock()

    def carried_out(self, order: Order) -> None:
        with self._lock:
            self._orders.append(order)

    def of(self, principal: Principal) -> list[str]:
        """Ids of this principal's orders, the newest first."""
        with self._lock:
            orders = list(self._orders)
        return list(dict.fromkeys(order.order_id for order in reversed(orders) if may_see(principal, order)))
