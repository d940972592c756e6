"""The orders context: commands and their rules, the table, and who may do what.

`api` and `serving` are imported by their own names, since they load a web framework and a server."""

from producers.orders.commands import (
    DEFAULT_KEYS,
    AcceptOrder,
    CancelOrder,
    Command,
    CompleteOrder,
    ExpireOrder,
    Order,
    OrderItem,
    Performed,
    PlaceOrder,
    Refusal,
    RejectOrder,
    RestaurantCommand,
    derive_cause,
    derive_order_id,
    perform,
    place,
)
from producers.orders.table import OrdersTable
from producers.orders.tokens import MIN_KEY_BYTES, Role, TokenKey

__all__ = [
    "DEFAULT_KEYS",
    "MIN_KEY_BYTES",
    "AcceptOrder",
    "CancelOrder",
    "Command",
    "CompleteOrder",
    "ExpireOrder",
    "Order",
    "OrderItem",
    "OrdersTable",
    "Performed",
    "PlaceOrder",
    "Refusal",
    "RejectOrder",
    "RestaurantCommand",
    "Role",
    "TokenKey",
    "derive_cause",
    "derive_order_id",
    "perform",
    "place",
]
