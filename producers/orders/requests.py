"""What people may ask of an order, as the bodies of requests, and which texts and addresses are taken."""

import zoneinfo
from collections.abc import Sequence
from functools import cache
from typing import Annotated

import msgspec
from msgspec import Meta

from events import Currency, Identifier, MinorUnits, RejectionReason, Text

# What people type goes into mails, tickets, terminals and pages, so nothing in it may end a line or turn its direction:
# C0, DEL and C1, LINE and PARAGRAPH SEPARATOR, and of bidirectional text (UAX #9) the marks, embeddings, overrides and
# isolates, with the shaping controls beside them. Joiners stay: names and emoji need them.
_CONTROLS = r"\u0000-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u206f"
# Python's `$` would let a line feed follow.
_ON_ONE_LINE = rf"^[^{_CONTROLS}]*$(?!\n)"
PlainText = Annotated[
    Text, Meta(pattern=_ON_ONE_LINE, description="One line, without control or direction characters.")
]
PlainIdentifier = Annotated[Identifier, Meta(pattern=_ON_ONE_LINE)]

# One mailbox as RFC 5321 (4.1.2) writes it, with a Dot-string before the @ and a domain of several labels after it: no
# quoted strings, no address literals. Amazon SES takes 7-bit ASCII only, a domain's other letters as Punycode
# (docs.aws.amazon.com/ses/latest/APIReference-V2/API_Destination.html). Octets: 64 before the @, 63 a label, 254 in
# all.
_ATOM_TEXT = r"A-Za-z0-9!#$%&'*+/=?^_`{|}~-"
_DOT_STRING = rf"(?![^@]*\.\.)[{_ATOM_TEXT}]([.{_ATOM_TEXT}]{{0,62}}[{_ATOM_TEXT}])?"
_LABEL_REST = r"([A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_MAILBOX = rf"^{_DOT_STRING}@([A-Za-z0-9]{_LABEL_REST}\.)+[A-Za-z]{_LABEL_REST}$(?!\n)"
EmailAddress = Annotated[
    str,
    Meta(
        pattern=_MAILBOX,
        max_length=254,
        description="One e-mail address in ASCII, as ada@example.com: no name beside it, no list, no quotes.",
    ),
]

TimeZoneName = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=64,
        pattern=r"^[A-Za-z0-9_+/-]*$(?!\n)",
        description="A time zone by its IANA name, as Europe/Amsterdam; one that is none is a 400.",
    ),
]


@cache
def _time_zones() -> set[str]:
    """Read from files, once."""
    return zoneinfo.available_timezones()


class OrderItem(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One line of an order. It has no notes: what is unknown here is refused, never dropped."""

    sku: PlainIdentifier
    name: PlainText
    quantity: Annotated[int, Meta(ge=1, le=10_000)]
    unit_price: MinorUnits


class PlaceOrder(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A customer's order. It has no total: that is computed from the items.

    `time_zone` is the IANA name of the one that the order is of: mails say its local time, and UTC without one.
    """

    restaurant_id: PlainIdentifier
    customer_name: PlainText
    customer_email: EmailAddress
    items: Annotated[Sequence[OrderItem], Meta(min_length=1, max_length=200)]
    currency: Currency
    city: PlainText
    restaurant_name: PlainText | None = None
    time_zone: TimeZoneName | None = None

    def __post_init__(self) -> None:
        """What was read is equal to what was sent, and as immutable: the decoder makes a list."""
        msgspec.structs.force_setattr(self, "items", tuple(self.items))
        if self.time_zone is not None and self.time_zone not in _time_zones():
            raise ValueError("Expected the name of a time zone, as Europe/Amsterdam - at `$.time_zone`")


class AcceptOrder(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The restaurant takes the order on."""

    ready_in_minutes: Annotated[int, Meta(ge=1, le=24 * 60)]


class RejectOrder(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The restaurant turns the order down."""

    reason: RejectionReason


class CompleteOrder(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The order has left the restaurant."""


class CancelOrder(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The customer takes the order back, while no restaurant has answered."""


class ExpireOrder(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The time for an answer is over. It is given by the clock, and not by a restaurant or customer."""


RestaurantCommand = AcceptOrder | RejectOrder | CompleteOrder
Command = RestaurantCommand | CancelOrder | ExpireOrder

# The idempotency key of a command sent without one: an order is accepted once, so a retry is a repeat.
DEFAULT_KEYS: dict[type[Command], str] = {
    AcceptOrder: "accept",
    RejectOrder: "reject",
    CompleteOrder: "complete",
    CancelOrder: "cancel",
    ExpireOrder: "expire",
}
