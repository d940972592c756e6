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
    UserNotified,
)


class Bound(Enum):
    """How a step is bound to code: by a command to the orders context, or by a consumer's handler."""

    COMMAND = "command"
    HANDLER = "handler"


@dataclass(frozen=True)
class Step:
    """One move: `actor` hears `listens_to` (nothing, when a person starts the flow) and tells one of `publishes`.

    `deadline` is how long after hearing it has to happen, none if it need not; `owner` is the team that answers for it.
    """

    actor: str
    listens_to: type[Event] | None
    publishes: tuple[type[Event], ...]
    bound_by: Bound
    owner: str
    deadline: timedelta | None = None


RESTAURANT_NOTIFIER = Step(
    "restaurant_notifier",
    OrderPlaced,
    (RestaurantNotified,),
    Bound.HANDLER,
    owner="restaurants",
    deadline=timedelta(minutes=1),
)
USER_NOTIFIER = Step(
    "user_notifier", OrderAccepted, (UserNotified,), Bound.HANDLER, owner="customers", deadline=timedelta(minutes=1)
)

# How long a restaurant has for its answer, from the placing on: then the order expires.
ACCEPT_WITHIN = timedelta(minutes=10)
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
)

ARCHIVER = "archiver"

# Each hears every event and tells none.
OBSERVERS: tuple[str, ...] = (ARCHIVER,)


def handler_steps(heard: type[Event]) -> tuple[Step, ...]:
    """The steps that must follow `heard` without a person's doing: what a reader may expect on the stream."""
    return tuple(step for step in CHOREOGRAPHY if step.bound_by is Bound.HANDLER and step.listens_to is heard)
