"""What a page shows of an order: its line, and on which part of a restaurant's board its ticket is. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from events import (
    ACCEPTED,
    EVENT_TYPES,
    FINAL,
    PLACED,
    Event,
    OrderAccepted,
    OrderCancelled,
    OrderCompleted,
    OrderExpired,
    OrderRejected,
    OrderTimeline,
    RestaurantNotified,
    UserNotified,
    VoucherIssued,
)
from producers.orders import Order
from producers.pages.orders.words import REASONS

_TOLD_RESTAURANT, _TOLD_CUSTOMER = EVENT_TYPES[RestaurantNotified], EVENT_TYPES[UserNotified]
_VOUCHER = EVENT_TYPES[VoucherIssued]


@dataclass(frozen=True)
class Step:
    """One point of an order's line; `at` is when it happened, `by` by when it is to."""

    name: str
    looks: Literal["done", "now", "next", "bad"]
    at: datetime | None = None
    by: datetime | None = None


def line(order: Order, timeline: OrderTimeline | None) -> list[Step]:
    """The order from its placing to its end. `timeline` is None while nothing is known of what was told on the way."""
    begun = [Step("Ordered", "done", at=order.placing.envelope.occurred_at)]
    told = _first(timeline, _TOLD_RESTAURANT)
    if told:
        begun.append(Step("The restaurant has your order", "done", at=told))
    elif order.state == PLACED:
        begun.append(Step("The restaurant is being told", "now"))
    return begun + _answered(order, waits=told is not None)


def _answered(order: Order, *, waits: bool) -> list[Step]:
    ready = Step("Ready", "next")
    if not order.later:
        answer = Step("The restaurant answers", "now" if waits else "next", by=order.placed.accept_by)
        return [answer, Step("Prepared", "next"), ready]
    steps: list[Step] = []
    for performed in order.later:
        event, at = performed.envelope.event, performed.envelope.occurred_at
        match event:
            case OrderAccepted():
                preparing = Step("Being prepared", "now", by=event.ready_at)
                steps = [Step("Accepted", "done", at=at), preparing, ready]
            case OrderCompleted():
                steps = [steps[0], Step("Ready", "done", at=at)]
            case OrderRejected():
                steps = [Step(f"Rejected: {REASONS.get(event.reason, event.reason)}", "bad", at=at)]
            case OrderCancelled():
                steps = [Step("Cancelled by you", "bad", at=at)]
            case OrderExpired():
                steps = [Step("Expired: the restaurant did not answer in time", "bad", at=at)]
            case _:
                continue
    return steps


def mails(timeline: OrderTimeline | None) -> list[datetime]:
    """When the customer was told by mail."""
    return _all(timeline, _TOLD_CUSTOMER)


def voucher_at(timeline: OrderTimeline | None) -> datetime | None:
    """When the order earned a voucher, if it did. Its code is in the customer's mail, and in no table of orders."""
    return _first(timeline, _VOUCHER)


@dataclass(frozen=True)
class Ticket:
    """An order as its restaurant sees it; `due` is by when it has to act, None when nothing is to be done."""

    order: Order
    due: datetime | None
    is_late: bool


@dataclass(frozen=True)
class Board:
    """A restaurant's tickets: what is to be answered and to be completed, the most urgent first, and what is over."""

    to_answer: list[Ticket]
    in_kitchen: list[Ticket]
    over: list[Ticket]

    @property
    def late(self) -> int:
        return sum(ticket.is_late for ticket in (*self.to_answer, *self.in_kitchen))


MOST_OVER = 12


def board(orders: Iterable[Order], now: datetime) -> Board:
    tickets = [_ticket(order, now) for order in orders]
    placed = [ticket for ticket in tickets if ticket.order.state == PLACED]
    accepted = [ticket for ticket in tickets if ticket.order.state == ACCEPTED]
    over = [ticket for ticket in tickets if ticket.order.state in FINAL]
    over.sort(key=lambda ticket: ticket.order.history[-1].envelope.occurred_at, reverse=True)
    return Board(sorted(placed, key=_urgency), sorted(accepted, key=_urgency), over[:MOST_OVER])


def _ticket(order: Order, now: datetime) -> Ticket:
    due = order.placed.accept_by if order.state == PLACED else ready_at(order) if order.state == ACCEPTED else None
    return Ticket(order, due, due is not None and now > due)


def ready_at(order: Order) -> datetime | None:
    """When the restaurant has promised it for."""
    events: list[Event] = [performed.envelope.event for performed in order.later]
    return next((event.ready_at for event in events if isinstance(event, OrderAccepted)), None)


def _urgency(ticket: Ticket) -> tuple[bool, datetime, str]:
    placed_at = ticket.order.placing.envelope.occurred_at
    return ticket.due is None, ticket.due or placed_at, ticket.order.order_id


def _all(timeline: OrderTimeline | None, kind: str) -> list[datetime]:
    return [one.occurred_at for one in timeline.events if one.event_type == kind] if timeline else []


def _first(timeline: OrderTimeline | None, kind: str) -> datetime | None:
    return next(iter(_all(timeline, kind)), None)
