"""The facts about an order, as frozen values. An event's wire tag is its class name in snake_case."""

import re
from datetime import UTC, datetime
from typing import Annotated, ClassVar, Literal, get_args

import msgspec
from msgspec import Meta

Identifier = Annotated[str, Meta(min_length=1, max_length=128)]
Text = Annotated[str, Meta(max_length=1024)]
MinorUnits = Annotated[int, Meta(ge=0, le=10**12, description="Money in the currency's minor unit, for example cents.")]
Currency = Annotated[str, Meta(pattern="^[A-Z]{3}$", max_length=3, description="ISO 4217 code.")]
Timestamp = Annotated[datetime, Meta(tz=True, description="UTC, to the microsecond.")]

# A code, not a sentence: what people type may hold anything, and this goes into the lake.
RejectionReason = Literal["closed", "too_busy", "out_of_stock", "other"]

# Each field is a column of the lake, which files know by its `field_id`, from 101 on: never changed, and never used
# again when the field goes. `personal` is what may be a customer's name or address. A field of several events is one
# column, and is declared here once.
RestaurantId = Annotated[Identifier, Meta(extra={"field_id": 101})]
CustomerId = Annotated[Identifier, Meta(extra={"field_id": 102})]
Total = Annotated[MinorUnits, Meta(extra={"field_id": 109})]
TotalsCurrency = Annotated[Currency, Meta(extra={"field_id": 110})]
Channel = Annotated[Identifier, Meta(extra={"field_id": 113})]
MessageId = Annotated[Identifier, Meta(extra={"field_id": 114})]
CustomerName = Annotated[Text, Meta(extra={"field_id": 116, "personal": True})]
CustomerEmail = Annotated[Text, Meta(extra={"field_id": 117, "personal": True})]
AcceptBy = Annotated[Timestamp, Meta(extra={"field_id": 118})]
RestaurantName = Annotated[Text, Meta(extra={"field_id": 119})]
TimeZone = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=64,
        description="IANA name of the restaurant's and the customer's time zone, as Europe/Amsterdam.",
        extra={"field_id": 120},
    ),
]


def require_utc(moment: datetime, name: str) -> datetime:
    """The moment in UTC. Raises ValueError for one that is outside the years 1 to 9999 there."""
    try:
        return moment.astimezone(UTC)
    except OverflowError as error:
        raise ValueError(f"Expected a moment within years 1 to 9999 of UTC - at `$.{name}`") from error


class Item(msgspec.Struct, frozen=True, kw_only=True):
    """One line of an order."""

    sku: Annotated[Identifier, Meta(extra={"field_id": 105})]
    name: Annotated[Text, Meta(extra={"field_id": 106})]
    quantity: Annotated[int, Meta(ge=1, le=10_000, extra={"field_id": 107})]
    unit_price: Annotated[MinorUnits, Meta(extra={"field_id": 108})]


Items = Annotated[
    tuple[Annotated[Item, Meta(extra={"field_id": 104})], ...],
    Meta(min_length=1, max_length=200, extra={"field_id": 103}),
]


class _Event(msgspec.Struct, frozen=True, kw_only=True):
    """`schema_version` is what is written; those from `oldest_version` on are read.

    A newer version adds optional fields, and changes none: what means something else is another event. An optional
    field that a listener may do without needs no newer version; where it says nothing it is not written.
    """

    schema_version: ClassVar[int] = 1
    oldest_version: ClassVar[int] = 1


class OrderPlaced(_Event, frozen=True, kw_only=True, omit_defaults=True):
    """A customer placed an order; `total` is the sum over `items` of quantity times unit price.

    It expires if it is unanswered at `accept_by`; without one, as of an older release, it waits for ever.
    """

    customer_id: CustomerId
    customer_name: CustomerName
    customer_email: CustomerEmail
    restaurant_id: RestaurantId
    items: Items
    total: Total
    currency: TotalsCurrency
    city: Annotated[Text, Meta(extra={"field_id": 111})]
    accept_by: AcceptBy | None = None
    restaurant_name: RestaurantName | None = None
    time_zone: TimeZone | None = None

    def __post_init__(self) -> None:
        if self.accept_by is not None:
            msgspec.structs.force_setattr(self, "accept_by", require_utc(self.accept_by, "accept_by"))


class OrderDetails(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What was ordered, as the placing told it: a listener that writes to the customer need not have heard that.

    An older release's events lack all of it.
    """

    restaurant_name: RestaurantName | None = None
    items: Items | None = None
    total: Total | None = None
    currency: TotalsCurrency | None = None
    time_zone: TimeZone | None = None


class RestaurantNotified(_Event, frozen=True, kw_only=True):
    """The restaurant's ticket was handed to `channel`, which knows it as `message_id`."""

    restaurant_id: RestaurantId
    channel: Channel
    message_id: MessageId


class OrderAccepted(OrderDetails, _Event, frozen=True, kw_only=True, omit_defaults=True):
    """The restaurant took the order on and promised it for `ready_at`."""

    restaurant_id: RestaurantId
    customer_id: CustomerId
    customer_name: CustomerName
    customer_email: CustomerEmail
    ready_at: Annotated[Timestamp, Meta(extra={"field_id": 112})]

    def __post_init__(self) -> None:
        # guarantee: a moment of an event is one in UTC
        msgspec.structs.force_setattr(self, "ready_at", require_utc(self.ready_at, "ready_at"))


class OrderRejected(OrderDetails, _Event, frozen=True, kw_only=True, omit_defaults=True):
    """The restaurant turned the order down. An older release's tells no name and no address."""

    restaurant_id: RestaurantId
    customer_id: CustomerId
    reason: Annotated[RejectionReason, Meta(extra={"field_id": 115})]
    customer_name: CustomerName | None = None
    customer_email: CustomerEmail | None = None


class OrderCancelled(OrderDetails, _Event, frozen=True, kw_only=True, omit_defaults=True):
    """The customer took the order back before the restaurant had answered."""

    restaurant_id: RestaurantId
    customer_id: CustomerId
    customer_name: CustomerName
    customer_email: CustomerEmail


class OrderExpired(OrderDetails, _Event, frozen=True, kw_only=True, omit_defaults=True):
    """The restaurant had not answered at `accept_by`."""

    restaurant_id: RestaurantId
    customer_id: CustomerId
    customer_name: CustomerName
    customer_email: CustomerEmail
    accept_by: AcceptBy

    def __post_init__(self) -> None:
        msgspec.structs.force_setattr(self, "accept_by", require_utc(self.accept_by, "accept_by"))


class UserNotified(_Event, frozen=True, kw_only=True):
    """The customer's message was handed to `channel`, which knows it as `message_id`."""

    customer_id: CustomerId
    channel: Channel
    message_id: MessageId


class OrderCompleted(_Event, frozen=True, kw_only=True, omit_defaults=True):
    """The order is ready and leaves the restaurant: the end of a good one.

    An older release's tells no name and no address.
    """

    restaurant_id: RestaurantId
    customer_id: CustomerId
    total: Total
    currency: TotalsCurrency
    customer_name: CustomerName | None = None
    customer_email: CustomerEmail | None = None
    restaurant_name: RestaurantName | None = None
    items: Items | None = None
    time_zone: TimeZone | None = None


class TicketWithdrawn(_Event, frozen=True, kw_only=True):
    """The restaurant was told over `channel` not to cook the order, by a message known there as `message_id`."""

    restaurant_id: RestaurantId
    channel: Channel
    message_id: MessageId


class VoucherIssued(_Event, frozen=True, kw_only=True, omit_defaults=True):
    """The customer has `percent_off` an order with `voucher_code`, for so many `completed_orders`.

    Name and address are those of the order that was completed, where that told them.
    """

    customer_id: CustomerId
    voucher_code: Annotated[Identifier, Meta(extra={"field_id": 121, "personal": True})]
    percent_off: Annotated[int, Meta(ge=1, le=100, extra={"field_id": 122})]
    completed_orders: Annotated[int, Meta(ge=1, le=10**6, extra={"field_id": 123})]
    customer_name: CustomerName | None = None
    customer_email: CustomerEmail | None = None


Event = (
    OrderPlaced
    | RestaurantNotified
    | OrderAccepted
    | OrderRejected
    | UserNotified
    | OrderCompleted
    | OrderCancelled
    | OrderExpired
    | TicketWithdrawn
    | VoucherIssued
)
EVENTS: tuple[type[Event], ...] = get_args(Event)


def event_type(event: type[Event]) -> str:
    """The wire tag of an event class: `OrderPlaced` is `order_placed`."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", event.__name__).lower()


EVENT_TYPES: dict[type[msgspec.Struct], str] = {event: event_type(event) for event in EVENTS}
