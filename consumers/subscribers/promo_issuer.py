"""Thanks faithful customers: each fifth completed order of a customer earns a voucher.

Hears order_completed and tells voucher_issued. It keeps a count for each customer, whose orders lie on several shards.
"""

import base64
import secrets
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import msgspec

from consumers.steps import Stateful
from events import EventEnvelope, OrderCompleted, VoucherIssued

if TYPE_CHECKING:
    from consumers.settings import ConsumerSettings

EVERY = 5
PERCENT_OFF = 10


class Customer(msgspec.Struct, frozen=True):
    """What is remembered of a customer."""

    completed_orders: int = 0


def stateful(_settings: "ConsumerSettings", _client: Callable[[str], Any]) -> Stateful[Customer, OrderCompleted]:
    return Stateful(key=lambda heard: heard.event.customer_id, begin=Customer(), decide=decide)


def drawn_code() -> str:
    """60 bits of chance. Ids of events are no secret: an order's restaurant sees them, too."""
    # guarantee: a voucher's code follows from nothing that others know
    return base64.b32encode(secrets.token_bytes(8))[:12].decode()


def decide(
    customer: Customer, heard: EventEnvelope[OrderCompleted], *, code: Callable[[], str] = drawn_code
) -> tuple[Customer, VoucherIssued | None]:
    """One more order; and a voucher, if that makes it a fifth one. Pure but for its code, which `code` draws."""
    completed = customer.completed_orders + 1
    voucher = VoucherIssued(
        customer_id=heard.event.customer_id,
        voucher_code=code(),
        percent_off=PERCENT_OFF,
        completed_orders=completed,
        customer_name=heard.event.customer_name,
        customer_email=heard.event.customer_email,
    )
    return Customer(completed), None if completed % EVERY else voucher
