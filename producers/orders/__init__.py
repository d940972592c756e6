"""The orders context: commands and their rules, the table, and who may do what.

`api` and `serving` are imported by their own names, since they load a web framework and a server."""

from producers.orders.commands import (
    Order,
    Performed,
    Refusal,
    TooEarly,
    UnknownOrder,
    WrongState,
    derive_cause,
    derive_order_id,
    perform,
    place,
)
from producers.orders.diagnostics import error_kind
from producers.orders.ordering import Done, Ordering, Unacknowledged
from producers.orders.relay import Relay, RelayThread
from producers.orders.requests import (
    DEFAULT_KEYS,
    AcceptOrder,
    CancelOrder,
    Command,
    CompleteOrder,
    ExpireOrder,
    OrderItem,
    PlaceOrder,
    RejectOrder,
    RestaurantCommand,
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
    "Done",
    "ExpireOrder",
    "Order",
    "OrderItem",
    "Ordering",
    "OrdersTable",
    "Performed",
    "PlaceOrder",
    "Refusal",
    "RejectOrder",
    "Relay",
    "RelayThread",
    "RestaurantCommand",
    "Role",
    "TokenKey",
    "TooEarly",
    "Unacknowledged",
    "UnknownOrder",
    "WrongState",
    "derive_cause",
    "derive_order_id",
    "error_kind",
    "perform",
    "place",
]
