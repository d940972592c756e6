"""What has become of a load's orders, by state."""

from collections.abc import Mapping
from dataclasses import dataclass

from events import ACCEPTED, CANCELLED, COMPLETED, EXPIRED, REJECTED, OrderState, from_on


@dataclass(frozen=True)
class Served:
    """Orders by how far they are known to be; a completed order was accepted too."""

    accepted: frozenset[str] = frozenset()
    rejected: frozenset[str] = frozenset()
    completed: frozenset[str] = frozenset()
    cancelled: frozenset[str] = frozenset()
    expired: frozenset[str] = frozenset()

    @property
    def finished(self) -> frozenset[str]:
        return self.rejected | self.completed | self.cancelled | self.expired


def served(states: Mapping[str, OrderState]) -> Served:
    """`states` has the last known state of each order."""

    def come_to(state: OrderState) -> frozenset[str]:
        wanted = from_on(state)
        return frozenset(order_id for order_id, now in states.items() if now in wanted)

    return Served(come_to(ACCEPTED), come_to(REJECTED), come_to(COMPLETED), come_to(CANCELLED), come_to(EXPIRED))
