"""The pages' marks in memory, as conditional as the table, and as slow to remove what has expired."""

import threading
from datetime import datetime


class FakeMarks:
    """`RedeemedLinks` and `OpenedRestaurants` in dicts."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.redeemed: dict[str, datetime] = {}
        self.opened: dict[str, datetime] = {}

    def redeem(self, link: str, until: datetime) -> bool:
        with self._lock:
            known = link in self.redeemed
            self.redeemed[link] = until
            return not known

    def open(self, restaurant_id: str, until: datetime) -> None:
        self.opened[restaurant_id] = until

    def close(self, restaurant_id: str) -> None:
        self.opened.pop(restaurant_id, None)

    def is_open(self, restaurant_id: str, now: datetime) -> bool:
        return restaurant_id in self.opened and self.opened[restaurant_id] > now
