"""The agreed score: who hears what, does what and tells what, by when. Read to draw, document and check the flow.

No running code asks it who goes next: every player knows only its own line.
"""

from dataclasses import dataclass
from datetime import timedelta
from enum import Enum

from events.orders import (
    Event,
    OrderAccepted,
    OrderCancelled,
    OrderCompleted,
    OrderExpired,
    OrderPlaced,
    OrderRejected,
    RestaurantNotified,
    TicketWithdrawn,
    UserNotified,
    VoucherIssued,
)


class Bound(Enum):
    """How a step is bound to code: by a command to the orders context, or by a consumer's handler."""

    COMMAND = "command"
    HANDLER = "handler"


@dataclass(frozen=True)
class Step:
    """One move: `actor` hears `listens_to` (nothing, when a person starts the flow) and tells one of `publishes`.

    `deadline` is how long after hearing it has to happen, none if it need not; `owner` is the team that answers for it.
    A step that publishes nothing is an effect alone, which the stream does not show: nothing is awaited of it there.
    """

    actor: str
    listens_to: type[Event] | None
    publishes: tuple[type[Event], ...]
    bound_by: Bound
    owner: str
    deadline: timedelta | None = None

    @property
    def awaited_within(self) -> timedelta | None:
        """How long after hearing it has to be on the stream; None where it need not, and where it tells nothing."""
        # guarantee: what tells nothing is never awaited, missing or overdue
        return self.deadline if self.publishes else None


# What is told to somebody is told soon.
_NOTICE = timedelta(minutes=1)


def _withdraws(heard: type[Event]) -> Step:
    return Step("restaurant_notifier", heard, (TicketWithdrawn,), Bound.HANDLER, owner="restaurants", deadline=_NOTICE)


def _tells_customer(heard: type[Event]) -> Step:
    return Step("user_notifier", heard, (UserNotified,), Bound.HANDLER, owner="customers", deadline=_NOTICE)


RESTAURANT_NOTIFIER = Step(
    "restaurant_notifier",
    OrderPlaced,
    (RestaurantNotified,),
    Bound.HANDLER,
    owner="restaurants",
    deadline=_NOTICE,
)
USER_NOTIFIER = _tells_customer(OrderAccepted)

# How long a restaurant has for its answer, from the placing on: then the order expires.
ACCEPT_WITHIN = timedelta(minutes=10)
# What stream, notifier and API may take of that on a busy machine, whatever the people's speed.
SHORTEST_ACCEPT_WITHIN = timedelta(seconds=20)
_A_MINUTE = timedelta(minutes=1)

CHOREOGRAPHY: tuple[Step, ...] = (
    Step("customer", None, (OrderPlaced,), Bound.COMMAND, owner="ordering"),
    RESTAURANT_NOTIFIER,
    Step(
        "restaurant",
        RestaurantNotified,
        (OrderAccepted, OrderRejected),
        Bound.COMMAND,
        owner="restaurants",
        deadline=ACCEPT_WITHIN,
    ),
    # While the restaurant has not answered, and only if the customer likes.
    Step("customer", OrderPlaced, (OrderCancelled,), Bound.COMMAND, owner="ordering"),
    # By itself, whatever command comes after that; or by one of its own, which has a minute for it.
    Step("ordering", OrderPlaced, (OrderExpired,), Bound.COMMAND, owner="ordering", deadline=ACCEPT_WITHIN + _A_MINUTE),
    USER_NOTIFIER,
    Step(
        "restaurant", OrderAccepted, (OrderCompleted,), Bound.COMMAND, owner="restaurants", deadline=timedelta(hours=2)
    ),
    # The food is ready.
    _tells_customer(OrderCompleted),
    # What makes up for an order that comes to nothing.
    _tells_customer(OrderRejected),
    _tells_customer(OrderCancelled),
    _tells_customer(OrderExpired),
    _withdraws(OrderCancelled),
    _withdraws(OrderExpired),
    # Of some completed orders, and then to the customer.
    Step("promo_issuer", OrderCompleted, (VoucherIssued,), Bound.HANDLER, owner="marketing"),
    Step("voucher_mailer", VoucherIssued, (), Bound.HANDLER, owner="marketing", deadline=_NOTICE),
    # `takeaway new consumer` adds its steps above this line.
)

ARCHIVER = "archiver"
TRACKER = "tracker"

# Each hears every event and tells none.
OBSERVERS: tuple[str, ...] = (ARCHIVER, TRACKER)


def first_step(actor: str) -> Step:
    """The first step of a consumer's handler. Raises `ValueError` for an actor without any."""
    for step in CHOREOGRAPHY:
        if step.bound_by is Bound.HANDLER and step.actor == actor:
            return step
    raise ValueError(f"no handler's step is {actor}'s. fix: add one to events/choreography.py")


def heard_by(actor: str) -> tuple[type[Event], ...]:
    """What this consumer's handler listens to, in the order of the choreography; nothing for an observer."""
    return tuple(
        step.listens_to
        for step in CHOREOGRAPHY
        if step.bound_by is Bound.HANDLER and step.actor == actor and step.listens_to is not None
    )


def handler_steps(heard: type[Event]) -> tuple[Step, ...]:
    """The steps that must follow `heard` without a person's doing, whether or not the stream then shows them."""
    return tuple(
        step
        for step in CHOREOGRAPHY
        if step.bound_by is Bound.HANDLER and step.listens_to is heard and step.deadline is not None
    )


def accept_within(speed: float) -> timedelta:
    """How long an answer may take where people are `speed` times as fast, as simulated kitchens are."""
    # guarantee: a machine has its seconds at any speed
    return max(ACCEPT_WITHIN / speed, SHORTEST_ACCEPT_WITHIN)
