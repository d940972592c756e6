"""What becomes of an order that nobody really placed: when each thing happens, and the events that say so.

The events are made by the very functions with which the API and the notifiers make theirs.
"""

import math
import uuid
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from statistics import NormalDist

from events import (
    ACCEPT_WITHIN,
    CANCELLED,
    COMPLETED,
    EVENT_TYPES,
    EVENTS,
    EXPIRED,
    REJECTED,
    RESTAURANT_NOTIFIER,
    EncodedEvent,
    Event,
    FinalState,
    RestaurantNotified,
    Step,
    TicketWithdrawn,
    UserNotified,
    encoded,
    following,
    handler_steps,
    name_based_uuid,
)
from producers.load.market.catalogue import fingerprint
from producers.load.market.demand import DAY_MINUTES
from producers.load.market.kitchen import ANSWER_DEADLINE, KitchenPlan, Kitchens
from producers.load.market.market import IntendedOrder, Market
from producers.load.market.scenarios import CALM, Incident
from producers.orders import (
    DEFAULT_KEYS,
    AcceptOrder,
    CancelOrder,
    Command,
    CompleteOrder,
    ExpireOrder,
    Order,
    Performed,
    Refusal,
    RejectOrder,
    RestaurantCommand,
    perform,
    place,
)

# Minutes from hearing to telling, half of the time: the stream, the worker and the service behind it.
MEDIAN_NOTICE, NOTICE_SIGMA = 0.6 / 60, 0.5
# An order expires so many minutes after its time at the latest.
EXPIRES_WITHIN = 1 / 60
# A backlog is worked off at this many notices a minute.
BACKLOG_RATE = 600.0
# Who forgot to tap Complete does it for all such orders of the day when the restaurant has closed.
AFTER_CLOSING, BETWEEN_TAPS = 12.0, 0.05

_MESSAGES = uuid.uuid5(uuid.NAMESPACE_URL, "urn:takeaway:message").bytes

Outcome = FinalState


class ImpossibleJourney(AssertionError):
    """The API would refuse what a generated journey does: a defect of ours."""


@dataclass(frozen=True)
class Journey:
    """One order's way; moments in minutes after the start, None for what did not happen.

    `taken_back` is when it was cancelled or expired, `ready` when the food was, `completed` when that was tapped.
    `luck` is what the notices' times are made of.
    """

    order: IntendedOrder
    plan: KitchenPlan
    outcome: Outcome
    placed: float
    restaurant_notified: float
    luck: int
    incident: Incident = field(default=CALM, compare=False)
    answered: float | None = None
    taken_back: float | None = None
    ready: float | None = None
    completed: float | None = None

    @property
    def answer(self) -> AcceptOrder | RejectOrder:
        """A full kitchen says so."""
        return RejectOrder(reason="too_busy") if self.plan.turned_away else self.plan.answer

    @property
    def end(self) -> RestaurantCommand | CancelOrder | ExpireOrder:
        """The first command after the placing: the answer, or what came before one."""
        if self.outcome == CANCELLED:
            return CancelOrder()
        return ExpireOrder() if self.outcome == EXPIRED else self.answer

    def told_at(self, step: Step, heard: float) -> float:
        """When a step tells of what it heard at that minute: the restaurant's notifier goes by the order of events."""
        told = _told_at(self.luck, self.incident, step, heard)
        return max(told, self.restaurant_notified) if step.actor == RESTAURANT_NOTIFIER.actor else told

    @property
    def tapped_late(self) -> bool:
        """No event says so."""
        return self.completed != self.ready


def journeys(market: Market, orders: Iterable[IntendedOrder], incident: Incident = CALM) -> Iterator[Journey]:
    """The orders' journeys, as they are placed: kitchens have queues, so each depends on those before it."""
    kitchens = Kitchens(market.seed, market.demand.peak_per_hour, market.restaurants)
    taps: dict[tuple[str, int], int] = {}
    for order in orders:
        placed = order.offset.total_seconds() / 60
        luck = fingerprint(market.seed, "journey", order.order_id)
        of = order.body.restaurant_id
        notified = _told_at(luck, incident, RESTAURANT_NOTIFIER, placed)
        expires = placed + ANSWER_DEADLINE
        cancels = math.inf if order.cancels_after is None else placed + order.cancels_after.total_seconds() / 60
        wanted_until = min(expires, cancels)
        slowness = incident.slowness(of, notified)
        plan = kitchens.of(of).take(order.order_id, notified, wanted_until=wanted_until, slowness=slowness)
        answered = notified + plan.answer_after
        outcome = _outcome(plan, cancelled=cancels < min(answered, expires), in_time=answered < expires)
        journey = Journey(order, plan, outcome, placed, notified, luck, incident)
        if outcome == CANCELLED:
            yield replace(journey, taken_back=cancels)
        elif outcome == EXPIRED:
            yield replace(journey, taken_back=expires + EXPIRES_WITHIN * _share(luck, "expires"))
        elif outcome == REJECTED:
            yield replace(journey, answered=answered)
        else:
            ready = answered + plan.preparation
            completed = _tapped_late(market, of, ready, taps) if plan.forgets else ready
            yield replace(journey, answered=answered, ready=ready, completed=completed)


def events(journey: Journey, start: datetime) -> Iterator[EncodedEvent[Event]]:
    """Its events, in the order in which one causes the other."""
    intended = journey.order

    def at(minutes: float) -> datetime:
        return start + timedelta(minutes=minutes)

    order = place(
        intended.body,
        customer_id=intended.customer_id,
        idempotency_key=intended.idempotency_key,
        at=at(journey.placed),
        accept_within=ACCEPT_WITHIN,
    )
    if isinstance(order, Refusal):
        raise ImpossibleJourney(order.detail)
    yield from _and_notices(order.placing.encoded, journey, journey.placed, start)
    ended = journey.answered if journey.taken_back is None else journey.taken_back
    if ended is None:
        raise ImpossibleJourney(f"order {intended.order_id} has neither an answer nor an end")
    performed = _perform(journey.end, order, at(ended))
    yield from _and_notices(performed.encoded, journey, ended, start)
    if journey.completed is not None:
        completed = _perform(CompleteOrder(), order.after(performed), at(journey.completed))
        yield from _and_notices(completed.encoded, journey, journey.completed, start)


def _and_notices(
    heard: EncodedEvent[Event], journey: Journey, minute: float, start: datetime
) -> Iterator[EncodedEvent[Event]]:
    """The event of that minute, and what the notifiers tell of it. What goes by several orders, no history tells."""
    yield heard
    for step in _STEPS[type(heard.envelope.event)]:
        for event in step.publishes:
            if tells := _NOTICES.get(event):
                message_id = name_based_uuid(_MESSAGES, f"{step.actor} {heard.envelope.event_id}".encode())
                told = tells(journey.order, message_id)
                told_at = start + timedelta(minutes=journey.told_at(step, minute))
                yield encoded(following(heard.envelope, told, occurred_at=told_at, producer=step.actor))


def _restaurant_notified(order: IntendedOrder, message_id: str) -> Event:
    return RestaurantNotified(restaurant_id=order.body.restaurant_id, channel="sns", message_id=message_id)


def _ticket_withdrawn(order: IntendedOrder, message_id: str) -> Event:
    return TicketWithdrawn(restaurant_id=order.body.restaurant_id, channel="sns", message_id=message_id)


def _user_notified(order: IntendedOrder, message_id: str) -> Event:
    return UserNotified(customer_id=order.customer_id, channel="ses", message_id=message_id)


# By what is told, how it is made of the order and the id that the service gave the message.
_NOTICES: dict[type[Event], Callable[[IntendedOrder, str], Event]] = {
    RestaurantNotified: _restaurant_notified,
    TicketWithdrawn: _ticket_withdrawn,
    UserNotified: _user_notified,
}
_STEPS = {heard: handler_steps(heard) for heard in EVENTS}


def _perform(command: Command, order: Order, at: datetime) -> Performed[Event]:
    """Given by the one whose command it is."""
    key, of = DEFAULT_KEYS[type(command)], order.placed
    subject = of.customer_id if isinstance(command, CancelOrder) else of.restaurant_id
    by = None if isinstance(command, ExpireOrder) else subject
    performed = perform(command, order, subject=by, idempotency_key=key, at=at)
    if isinstance(performed, Refusal):
        raise ImpossibleJourney(performed.detail)
    return performed


def _outcome(plan: KitchenPlan, *, cancelled: bool, in_time: bool) -> Outcome:
    if cancelled:
        return CANCELLED
    if not in_time:
        return EXPIRED
    return REJECTED if plan.turned_away or isinstance(plan.answer, RejectOrder) else COMPLETED


def _tapped_late(market: Market, restaurant_id: str, ready: float, taps: dict[tuple[str, int], int]) -> float:
    """After closing, one tap after the other."""
    [of] = (one for one in market.restaurants if one.restaurant_id == restaurant_id)
    hour = market.demand.hour(ready)
    if hour is None:
        return ready + 2 * AFTER_CLOSING
    day = int((ready - hour * 60) // DAY_MINUTES)
    taps[restaurant_id, day] = number = taps.get((restaurant_id, day), 0) + 1
    return max(ready - hour * 60 + of.closes * 60, ready) + AFTER_CLOSING + number * BETWEEN_TAPS


def _told_at(luck: int, incident: Incident, step: Step, heard: float) -> float:
    """When a step tells of what it heard at that minute, which waits while its notifier is down."""
    begins = incident.notified(heard, BACKLOG_RATE) if step.actor == RESTAURANT_NOTIFIER.actor else heard
    share = _share(luck, f"{step.actor} {EVENT_TYPES[step.listens_to] if step.listens_to else None}")
    return begins + MEDIAN_NOTICE * math.exp(NOTICE_SIGMA * _NORMAL.inv_cdf(share))


def _share(luck: int, of: str) -> float:
    """Between 0 and 1, neither of them, for this part of an order's luck."""
    return ((fingerprint(luck, of) >> 32) + 0.5) / 2**32


_NORMAL = NormalDist()
