"""What becomes of an order that nobody really placed: when each thing happens, and the events that say so.

The events are made by the very functions with which the API and the notifiers make theirs.
"""

import math
import uuid
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import NormalDist
from typing import Literal

from events import (
    CANCELLED,
    COMPLETED,
    EXPIRED,
    REJECTED,
    RESTAURANT_NOTIFIER,
    USER_NOTIFIER,
    EncodedEvent,
    Event,
    FinalState,
    RestaurantNotified,
    UnansweredState,
    UserNotified,
    encoded,
    following,
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
    CompleteOrder,
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

    `ready` is when the food was, `completed` when somebody tapped so.
    """

    order: IntendedOrder
    plan: KitchenPlan
    outcome: Outcome
    placed: float
    restaurant_notified: float
    answered: float | None = None
    user_notified: float | None = None
    ready: float | None = None
    completed: float | None = None

    @property
    def answer(self) -> AcceptOrder | RejectOrder:
        """A full kitchen says so."""
        return RejectOrder(reason="too_busy") if self.plan.turned_away else self.plan.answer

    @property
    def silently(self) -> Literal[UnansweredState, "tapped_late"] | None:
        """What no event says."""
        if self.outcome == EXPIRED or self.outcome == CANCELLED:  # noqa: PLR1714 - mypy narrows this
            return self.outcome
        return "tapped_late" if self.completed != self.ready else None

    @property
    def ended(self) -> float:
        """When its end was, said or not."""
        if self.outcome == EXPIRED:
            return self.restaurant_notified + ANSWER_DEADLINE
        if self.outcome == CANCELLED:
            return self.restaurant_notified + (self.plan.cancels_after or 0.0)
        return self.completed or self.answered or self.placed


def journeys(market: Market, orders: Iterable[IntendedOrder], incident: Incident = CALM) -> Iterator[Journey]:
    """The orders' journeys, as they are placed: kitchens have queues, so each depends on those before it."""
    kitchens = Kitchens(market.seed, market.demand.peak_per_hour, market.restaurants)
    taps: dict[tuple[str, int], int] = {}
    for order in orders:
        placed = order.offset.total_seconds() / 60
        luck = fingerprint(market.seed, "journey", order.order_id)
        of = order.body.restaurant_id
        notified = incident.notified(placed, BACKLOG_RATE) + _notice(luck >> 32)
        plan = kitchens.of(of).take(order.order_id, notified, slowness=incident.slowness(of, notified))
        outcome = _outcome(plan)
        if outcome in {EXPIRED, CANCELLED}:
            yield Journey(order, plan, outcome, placed, notified)
            continue
        answered = notified + plan.answer_after
        told = answered + _notice(luck & 0xFFFFFFFF)
        if outcome == REJECTED:
            yield Journey(order, plan, outcome, placed, notified, answered, told)
        else:
            ready = answered + plan.preparation
            completed = _tapped_late(market, of, ready, taps) if plan.forgets else ready
            yield Journey(order, plan, outcome, placed, notified, answered, told, ready, completed)


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
    )
    if isinstance(order, Refusal):
        raise ImpossibleJourney(order.detail)
    placed = order.placing.envelope
    yield order.placing.encoded
    told = RestaurantNotified(
        restaurant_id=intended.body.restaurant_id, channel="sns", message_id=_message("ticket", intended.order_id)
    )
    notified_at = at(journey.restaurant_notified)
    yield encoded(following(placed, told, occurred_at=notified_at, producer=RESTAURANT_NOTIFIER.actor))
    if journey.answered is None:
        return
    answered = _perform(journey.answer, order, at(journey.answered))
    yield answered.encoded
    if journey.user_notified is not None:
        read = UserNotified(
            customer_id=intended.customer_id, channel="ses", message_id=_message("mail", intended.order_id)
        )
        notified_at = at(journey.user_notified)
        yield encoded(following(answered.envelope, read, occurred_at=notified_at, producer=USER_NOTIFIER.actor))
    if journey.completed is not None:
        order = Order(order.placing, (answered,))
        yield _perform(CompleteOrder(), order, at(journey.completed)).encoded


def _perform(command: RestaurantCommand, order: Order, at: datetime) -> Performed[Event]:
    key = DEFAULT_KEYS[type(command)]
    performed = perform(command, order, subject=order.placed.restaurant_id, idempotency_key=key, at=at)
    if isinstance(performed, Refusal):
        raise ImpossibleJourney(performed.detail)
    return performed


def _outcome(plan: KitchenPlan) -> Outcome:
    if plan.cancels_after is not None and plan.cancels_after < min(plan.answer_after, ANSWER_DEADLINE):
        return CANCELLED
    if plan.answer_after >= ANSWER_DEADLINE:
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


def _message(kind: str, order_id: str) -> str:
    """As the service would name it."""
    return name_based_uuid(_MESSAGES, f"{kind} {order_id}".encode())


def _notice(luck: int) -> float:
    """Minutes; `luck` is 32 bits."""
    return MEDIAN_NOTICE * math.exp(NOTICE_SIGMA * _NORMAL.inv_cdf((luck + 0.5) / 2**32))


_NORMAL = NormalDist()
