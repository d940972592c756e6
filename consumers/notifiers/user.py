"""Tells the customer what became of an order: hears its answer or its end, sends an e-mail over SES.

Hears order_accepted, order_completed, order_rejected, order_cancelled and order_expired, and tells user_notified.
"""

from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from consumers.mail import Letter, Mail
from consumers.processing import Unprocessable
from events import (
    EVENT_TYPES,
    EventEnvelope,
    OrderAccepted,
    OrderCancelled,
    OrderCompleted,
    OrderExpired,
    OrderRejected,
    RejectionReason,
    UserNotified,
)

if TYPE_CHECKING:
    from consumers.settings import ConsumerSettings


Told = OrderAccepted | OrderCompleted | OrderRejected | OrderCancelled | OrderExpired


def handler(
    settings: "ConsumerSettings", client: Callable[[str], Any]
) -> Callable[
    [EventEnvelope[OrderAccepted | OrderCompleted | OrderRejected | OrderCancelled | OrderExpired]], UserNotified
]:
    mail = Mail(client("ses"), settings.sender)
    return lambda heard: notify_user(heard, mail)


def notify_user(heard: EventEnvelope[Told], mail: Mail) -> UserNotified:
    message_id = mail.send(letter(heard))
    return UserNotified(customer_id=heard.event.customer_id, channel="ses", message_id=message_id)


def letter(heard: EventEnvelope[Told]) -> Letter:
    """What the customer is told. Raises `Unprocessable` for an event that names no address."""
    event = heard.event
    # guarantee: an event without an address is set apart
    if event.customer_email is None:
        raise Unprocessable(
            f"{EVENT_TYPES[type(event)]} {heard.event_id} names no address: an older release of the orders API wrote "
            "it. fix: run one release of it; then `takeaway dlq drop` this"
        )
    subject, *sentences = _said(heard.order_id, event)
    return Letter(
        to=event.customer_email,
        name=event.customer_name or "",
        subject=subject,
        sentences=tuple(sentences),
        reference=heard.event_id,
        items=event.items or (),
        total=event.total,
        currency=event.currency,
    )


def _said(order_id: str, event: Told) -> tuple[str, ...]:
    """Subject and sentences. No word of the order's is in the subject, which is a header."""
    restaurant = event.restaurant_name or event.restaurant_id
    match event:
        case OrderAccepted():
            return (
                "Your order was accepted",
                f"{restaurant} accepted your order {order_id}.",
                f"It should be ready at {local_time(event.ready_at, event.time_zone)}.",
            )
        case OrderCompleted():
            return "Your food is ready", f"Your order {order_id} is ready and leaves {restaurant}."
        case OrderRejected():
            why = f"{restaurant} cannot take your order {order_id}: {REASONS[event.reason]}."
            return "Your order was rejected", why, _NOT_COOKED
        case OrderCancelled():
            why = f"Your order {order_id} at {restaurant} is cancelled, as you asked."
            return "Your order was cancelled", why, _NOT_COOKED
        case OrderExpired():
            until = local_time(event.accept_by, event.time_zone)
            why = f"{restaurant} did not answer your order {order_id} until {until}, so we took it back."
            return "Your order was not answered", why, _NOT_COOKED


_NOT_COOKED = "Nothing will be cooked."

# What a code means to a customer.
REASONS: dict[RejectionReason, str] = {
    "closed": "it is closed",
    "too_busy": "it has too much to do at the moment",
    "out_of_stock": "something that you ordered has run out",
    "other": "it gave no reason",
}


def local_time(moment: datetime, time_zone: str | None) -> str:
    """By the clock of that zone; in UTC without one, and where it is unknown or has no such time."""
    try:
        if time_zone:
            return f"{moment.astimezone(ZoneInfo(time_zone)):%H:%M} ({time_zone})"
    except (ZoneInfoNotFoundError, ValueError, OSError, OverflowError):
        pass
    return f"{moment:%H:%M} UTC"
